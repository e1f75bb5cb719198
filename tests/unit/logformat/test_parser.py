"""Records of each known form, as nodes write them."""

from __future__ import annotations

import json

import pytest

from logkeep.domain.log_record import Deprecation, LogRecord, RecordKind, SlowLog
from logkeep.logformat.parser import parse_record, read_records
from logkeep.logformat.splitter import RawRecord
from logkeep.search.lines import LineSearch, parse_line
from logkeep.search.pattern import compile_pattern

TRACE = """org.elasticsearch.transport.RemoteTransportException: [es1][127.0.0.1:9300][indices:data/read/search]
Caused by: java.lang.IllegalArgumentException: Text fields are not optimised
\tat org.elasticsearch.index.mapper.TextFieldMapper.fielddataBuilder(TextFieldMapper.java:875) ~[elasticsearch-7.17.29.jar:7.17.29]
\t... 6 more"""


def parse(text: str) -> LogRecord:
    [found] = read_records([text.encode()])
    assert (found.start, found.end) == (0, len(text.encode()))
    return found


@pytest.mark.parametrize(
    ("text", "level", "component", "node", "message"),
    [
        ("[2026-11-24T00:00:08,806][INFO ][o.o.p.PluginsService     ] [os1] started", "INFO", "o.o.p.PluginsService", "os1", "started"),
        ("[2018-01-02T00:00:08,806][WARN ][o.e.d.z.ZenDiscovery     ] [n-1] not enough", "WARN", "o.e.d.z.ZenDiscovery", "n-1", "not enough"),
        ("[2026-11-24T00:00:08,806][INFO ][o.e.n.Node               ] [] initializing ...\n", "INFO", "o.e.n.Node", None, "initializing ..."),
        ("[2026-11-24T00:00:08,806][INFO ][o.e.n.Node] [n] [.dot-0] creating index\r\n", "INFO", "o.e.n.Node", "n", "[.dot-0] creating index"),
        ("[2026-11-24T00:00:08,806][INFO ][o.e.n.Node] [n] a\nb\n\nc", "INFO", "o.e.n.Node", "n", "a\nb\n\nc"),
        ("[2026-11-24T00:00:08,806][INFO ][o.e.n.Node] no node", "INFO", "o.e.n.Node", None, "no node"),
        ("[2026-11-24T00:00:08,806][WARN ][o.o.g.G.X_ShardId=[[a][1]]] [os1] m", "WARN", "o.o.g.G.X_ShardId=[[a][1]]", "os1", "m"),
        ("[2026-11-24T00:00:08,806][INFO ] no logger", "INFO", None, None, "no logger"),
    ],
)  # fmt: skip
def test_plain_server_log(text: str, level: str, component: str, node: str, message: str) -> None:
    found = parse(text)
    assert (found.kind, found.time) == (RecordKind.INSTANCE, text[1:24])
    assert (found.level, found.component, found.node, found.message) == (level, component, node, message)
    assert (found.stack_trace, found.slow_log, found.deprecation, found.fields) == (None, None, None, {})


@pytest.mark.parametrize(
    ("below", "message", "trace"),
    [
        (TRACE, "failed", TRACE),
        ("more of it\n" + TRACE, "failed\nmore of it", TRACE),
        ("java.lang.StackOverflowError", "failed", "java.lang.StackOverflowError"),
        ("\tat a.b.C.d(E.java:1)", "failed", "\tat a.b.C.d(E.java:1)"),
        (
            "FailedNodeException[Failed node [x]]; nested: y\n\tat a.b.C.d(E.java:1)",
            "failed",
            "FailedNodeException[Failed node [x]]; nested: y\n\tat a.b.C.d(E.java:1)",
        ),
        ("a.b.c: no exception", "failed\na.b.c: no exception", None),
        ("a.b.c: not yet\na.b.CException: it\n\tat a.b.C.d(E.java:1)", "failed", None),
    ],
)
def test_stack_trace_of_a_plain_record(below: str, message: str, trace: str | None) -> None:
    found = parse("[2026-11-24T00:00:08,806][WARN ][o.e.n.Node] [n] failed\n" + below + "\n")
    if "not yet" in below:  # which of two is the exception cannot be told
        assert found.stack_trace == below
    else:
        assert (found.message, found.stack_trace) == (message, trace)


SEARCH = SlowLog(
    index="app-warn", shard=1, took="80.5ms", took_millis=80, total_hits="530 hits", types="", stats="a, b",
    search_type="QUERY_THEN_FETCH", total_shards=2, source='{"size":0,"query":{"x":"], id[1]"}}', id="my-id",
)  # fmt: skip


@pytest.mark.parametrize(
    ("logger", "message", "expected"),
    [
        (
            "i.s.s.query              ",
            "[app-warn][1] took[80.5ms], took_millis[80], total_hits[530 hits], types[], stats[a, b], "
            'search_type[QUERY_THEN_FETCH], total_shards[2], source[{"size":0,"query":{"x":"], id[1]"}}], id[my-id], ',
            SEARCH,
        ),
        (
            "index.search.slowlog.fetch",
            "[logs-1][0] took[1.2s], took_millis[1200], types[doc], stats[x], search_type[QUERY_AND_FETCH], "
            "total_shards[5], source[{\n}], ",
            SlowLog(
                index="logs-1", shard=0, took="1.2s", took_millis=1200, types="doc", stats="x",
                search_type="QUERY_AND_FETCH", total_shards=5, source="{\n}",
            ),
        ),
        (
            "i.i.s.index",
            "[app-info/oTq75cSSTPCY00AouVbSTQ] took[46.8ms], took_millis[46], type[_doc], id[gA7S], routing[], "
            'source[{"n":1,"kw":"], id[x]"}]',
            SlowLog(
                index="app-info", index_uuid="oTq75cSSTPCY00AouVbSTQ", took="46.8ms", took_millis=46, doc_type="_doc",
                id="gA7S", routing="", source='{"n":1,"kw":"], id[x]"}',
            ),
        ),
        (
            "i.i.s.index",
            "[app/YtKpd2GwQlCUfEzggeVSuQ] took[24.2ms], took_millis[24], id[dYTQ], routing[r1]",
            SlowLog(index="app", index_uuid="YtKpd2GwQlCUfEzggeVSuQ", took="24.2ms", took_millis=24, id="dYTQ", routing="r1"),
        ),
        (
            "i.s.s.query",
            '[a][0] took[1ms], took_millis[1], source[{"cut":',
            SlowLog(index="a", shard=0, took="1ms", took_millis=1, source='{"cut":'),
        ),
        (
            "i.s.s.query",
            'elasticsearch.slowlog.id="x" elasticsearch.slowlog.message="[a][0]" '
            'elasticsearch.slowlog.source="{"q":1}" elasticsearch.slowlog.took="1ms" elasticsearch.slowlog.took_millis="1"',
            SlowLog(index="a", shard=0, took="1ms", took_millis=1, id="x", source='{"q":1}'),
        ),
    ],
)  # fmt: skip
def test_plain_slow_log(logger: str, message: str, expected: SlowLog) -> None:
    found = parse(f"[2026-11-23T23:51:13,165][WARN ][{logger}] [es7a] {message}\n")
    assert (found.kind, found.slow_log) == (RecordKind.SLOW, expected)
    assert found.node == "es7a"


def test_search_request_slow_log_keeps_the_fields_of_its_own() -> None:
    found = parse(
        "[2026-11-23T23:51:13,165][WARN ][c.s.r.slowlog] [os1] took[2ms], took_millis[2], phase_took_millis[{query=1}], "
        "total_hits[3 hits], search_type[QUERY_THEN_FETCH], shards[{total:1}], source[{}], id[a]"
    )
    assert found.slow_log == SlowLog(
        took="2ms", took_millis=2, total_hits="3 hits", search_type="QUERY_THEN_FETCH", source="{}", id="a"
    )
    assert found.fields == {"phase_took_millis": "{query=1}", "shards": "{total:1}"}


def es_json(**fields: object) -> str:
    return json.dumps({"type": "server", "timestamp": "2026-11-24T00:00:19,257Z", "level": "WARN", **fields})


def test_json_of_elasticsearch_7_and_opensearch() -> None:
    found = parse(
        es_json(component="o.e.n.Node", **{"cluster.name": "c", "node.name": "n", "node.id": "i"}, message="a\nb")
    )
    assert (found.kind, found.time, found.level) == (RecordKind.INSTANCE, "2026-11-24T00:00:19,257Z", "WARN")
    assert (found.component, found.node, found.message) == ("o.e.n.Node", "n", "a\nb")
    assert found.fields == {"type": "server", "cluster.name": "c", "node.id": "i"}


def test_stack_trace_of_es_json_layout_lies_on_several_lines() -> None:
    text = es_json(message="m")[:-1] + ', \n"stacktrace": ["a.B: x",\n"at a.b(C.java:1)",\n"... 6 more"]  }\n'
    assert parse(text).stack_trace == "a.B: x\nat a.b(C.java:1)\n... 6 more"
    cut = parse(text[:-13])  # as a node is writing it
    assert (cut.message, cut.stack_trace) == ("m", "a.B: x\nat a.b(C.java:1)\n...")


def test_slow_log_in_json_of_elasticsearch_7() -> None:
    found = parse(
        es_json(
            type="index_search_slowlog", component="i.s.s.query", message="[app-warn][1]", took="80.5ms", took_millis="80",
            total_hits="530 hits", types="", stats="a, b", search_type="QUERY_THEN_FETCH", total_shards="2",
            source='{"size":0,"query":{"x":"], id[1]"}}', id="my-id",
        )
    )  # fmt: skip
    assert (found.kind, found.slow_log, found.message) == (RecordKind.SLOW, SEARCH, "[app-warn][1]")


def test_slow_log_of_ecs_is_unescaped_twice() -> None:
    source = '{"size":0,"query":{"x":"], id[1]"}}'
    text = json.dumps(
        {
            "@timestamp": "2026-11-24T00:01:19.062Z", "log.level": "INFO", "event.dataset": "elasticsearch.index_search_slowlog",
            "elasticsearch.slowlog.message": "[app-warn][1]", "elasticsearch.slowlog.took": "80.5ms",
            "elasticsearch.slowlog.took_millis": 80, "elasticsearch.slowlog.total_hits": "530 hits",
            "elasticsearch.slowlog.types": "", "elasticsearch.slowlog.stats": "a, b",
            "elasticsearch.slowlog.search_type": "QUERY_THEN_FETCH", "elasticsearch.slowlog.total_shards": "2",
            "elasticsearch.slowlog.source": source.replace('"', '\\"'), "elasticsearch.slowlog.id": "my-id",
            "elasticsearch.slowlog.user.name": "u", "log.logger": "index.search.slowlog.query", "elasticsearch.node.name": "n",
        }
    )  # fmt: skip
    found = parse(text)
    assert (found.kind, found.slow_log, found.message, found.node) == (RecordKind.SLOW, SEARCH, "[app-warn][1]", "n")
    assert found.fields["elasticsearch.slowlog.user.name"] == "u"


def test_ecs_with_an_exception() -> None:
    found = parse(
        '{"@timestamp":"2026-11-24T00:00:25.639Z", "log.level":"ERROR", "message":"m", "log.logger":"o.e.N",'
        '"error.type":"a.B","error.message":"x","error.stack_trace":"a.B: x\\n\\tat c.d(E.java:1)\\n"}\n'
    )
    assert (found.time, found.level) == ("2026-11-24T00:00:25,639Z", "ERROR")
    assert found.stack_trace == "a.B: x\n\tat c.d(E.java:1)\n"
    assert found.fields == {"error.type": "a.B", "error.message": "x"}


@pytest.mark.parametrize(
    ("text", "expected", "message"),
    [
        (
            es_json(type="deprecation.elasticsearch", message="m", key="k", category="api", **{"x-opaque-id": "o"}),
            Deprecation(key="k", category="api", x_opaque_id="o"), "m",
        ),
        (es_json(type="deprecation", level="DEPRECATION", message="m", **{"x-opaque-id": "o"}), Deprecation(x_opaque_id="o"), "m"),
        (
            '{"@timestamp":"2026-11-23T23:51:43.880Z", "log.level": "CRITICAL", "elasticsearch.event.category":"indices",'
            '"elasticsearch.http.request.x_opaque_id":"o","event.code":"k","message":"m","event.dataset":"deprecation.elasticsearch"}',
            Deprecation(key="k", category="indices", x_opaque_id="o"), "m",
        ),
        ("[2026-11-23T23:43:14,342][WARN ][o.e.d.n.Node             ] [es7a] [] no-jdk", Deprecation(), "no-jdk"),
        ("[2026-11-23T23:43:14,342][DEPRECATION][o.o.d.n.Node] [os1] no-jdk", Deprecation(), "no-jdk"),
        ("[2018-11-23T23:43:14,342][WARN ][o.e.d.c.s.Settings] [n] [x] setting was deprecated", Deprecation(), "[x] setting was deprecated"),
        ("[2026-11-23T23:43:14,342][WARN ][deprecation.logstash.codecs.plain] Relying on", None, "Relying on"),
    ],
)  # fmt: skip
def test_deprecations(text: str, expected: Deprecation | None, message: str) -> None:
    found = parse(text)
    assert (found.kind, found.message) == (RecordKind.DEPRECATION if expected else RecordKind.INSTANCE, message)
    assert found.deprecation == expected


def test_audit_in_json() -> None:
    found = parse(
        '{"type":"audit", "timestamp":"2026-12-31T22:33:34,123+0200", "node.id":"i", "node.name":"n", "event.type":"rest", '
        '"event.action":"authentication_success", "user.name":"elastic", "user.roles":["superuser"]}\n'
    )
    assert (found.kind, found.level, found.node, found.message) == (RecordKind.AUDIT, None, "n", "")
    assert found.time == "2026-12-31T22:33:34,123+0200"
    assert found.fields["event.action"] == "authentication_success"
    assert found.fields["user.roles"] == ["superuser"]
    older = parse(
        '{"@timestamp":"2018-10-31T09:35:25,109", "node.name":"n", "event.type":"ip_filter", "event.action":"connection_granted"}'
    )
    assert (older.kind, older.time) == (RecordKind.AUDIT, "2018-10-31T09:35:25,109")


def test_plain_audit_of_elasticsearch_6() -> None:
    found = parse(
        "[2018-03-15T14:05:16,123] [node1] [transport] [access_granted]\torigin_type=[rest], principal=[a b], "
        "indices=[x,y], roles=[[r]], action=[indices:data/read]"
    )
    assert (found.kind, found.node) == (RecordKind.AUDIT, "node1")
    assert found.fields == {
        "event.type": "transport", "event.action": "access_granted", "origin_type": "rest", "principal": "a b",
        "indices": "x,y", "roles": "[r]", "action": "indices:data/read",
    }  # fmt: skip


def test_audit_of_opensearch() -> None:
    found = parse(
        '[2026-11-24T00:00:08,806][INFO ][sgaudit] [os1] {"audit_category":"FAILED_LOGIN","audit_format_version":4}'
    )
    assert (found.kind, found.fields["audit_category"]) == (RecordKind.AUDIT, "FAILED_LOGIN")


def test_plain_logstash() -> None:
    found = parse("[2026-11-24T00:00:08,806][INFO ][logstash.javapipeline    ][main] Pipeline started {}")
    assert (found.component, found.node, found.message) == ("logstash.javapipeline", None, "Pipeline started {}")
    assert found.fields == {"pipeline.id": "main"}
    found = parse("[2026-11-24T00:00:08,806][ERROR][o.l.x][main][ab12] [x] failed")
    assert (found.message, found.fields) == ("[x] failed", {"pipeline.id": "main", "plugin.id": "ab12"})
    assert parse("[2026-11-24T00:00:08,806][WARN ][logstash.runner ] [x] y").message == "[x] y"
    slow = parse(
        "[2026-11-24T00:00:08,806][WARN ][slowlog.logstash.filters.sleep][main][ab] event processing time "
        "{:plugin_params=>{}, :took_in_nanos=>3027675106, :took_in_millis=>3027}"
    )
    assert (slow.kind, slow.slow_log) == (RecordKind.SLOW, SlowLog(took_millis=3027))


def test_logstash_in_json_has_a_record_on_each_line() -> None:
    line = {"level": "INFO", "loggerName": "logstash.agent", "timeMillis": 1646301603610, "thread": "t"}
    slow = {**line, "loggerName": "slowlog.logstash.filters.sleep"}
    text = "".join(
        json.dumps(one) + "\n"
        for one in (
            line | {"logEvent": {"message": "m", "backtrace": ["a", "b"], "x": 1}},
            slow | {"logEvent": {"message": "event processing time", "took_in_millis": 3027, "event": "{}"}},
        )
    )
    first, second = read_records([text.encode()])
    assert (first.time, first.level, first.component) == ("2022-03-03T10:00:03,610Z", "INFO", "logstash.agent")
    assert (first.message, first.stack_trace, first.fields) == ("m", "a\nb", {"thread": "t", "x": 1})
    assert (second.kind, second.slow_log, second.start) == (RecordKind.SLOW, SlowLog(took_millis=3027), first.end)


@pytest.mark.parametrize(
    ("text", "time", "level", "tags", "message", "fields"),
    [
        ("[2026-11-23T23:43:11.000+0000][21472][gc,init] CPUs: 2", "2026-11-23T23:43:11,000+0000", None, "gc,init", "CPUs: 2", {"pid": "21472"}),
        ("[2026-11-23T23:43:11.000+0000][21472][info ][safepoint   ] Safepoint [x]", "2026-11-23T23:43:11,000+0000", "INFO", "safepoint", "Safepoint [x]", {"pid": "21472"}),
        ("[2026-11-23T23:43:11.000+0000][0.005s][warning][gc] Using G1", "2026-11-23T23:43:11,000+0000", "WARN", "gc", "Using G1", {"uptime": "0.005s"}),
        ("[0.005s][info][gc] Using G1", None, "INFO", "gc", "Using G1", {"uptime": "0.005s"}),
    ],
)  # fmt: skip
def test_gc_log(
    text: str, time: str | None, level: str | None, tags: str, message: str, fields: dict[str, str]
) -> None:
    found = parse(text)
    assert (found.kind, found.time, found.level) == (RecordKind.GC, time, level)
    assert (found.component, found.message, found.fields) == (tags, message, fields)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("no form at all\r\n", None),
        ("{", None),
        ('{"a": 1}', None),
        ("[x] y", None),
        ("[2026-11-24T00:00:08,806] only a time", "2026-11-24T00:00:08,806"),
        ('{"timestamp": "2026-11-24T00:00:08,806", "x": 1}', "2026-11-24T00:00:08,806"),
        ('{"timestamp": "2026-11-24T00:00:08,806", "level": "INFO", "x": ' + "[" * 5000 + "]" * 5000 + "}", "2026-11-24T00:00:08,806"),
    ],
)  # fmt: skip
def test_record_of_no_known_form_is_its_text(text: str, time: str | None) -> None:
    found = parse(text)
    if "[[" not in text:  # of which what stands before it is read
        assert (found.kind, found.message) == (RecordKind.OTHER, text.rstrip("\r\n"))
    assert found.time == time


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (('"m"', '"a\\ud800b"'), "a?b"),
        (('"m"', '"a\0b"'), "a\0b"),
        (('"m"', '"m"} {"x": 1'), 'm\n{"x": 1}'),
        (('"m"}', '"m'), "m"),
        (('"m"}', '"m\\'), "m"),
        (('"m"', '"m" "x"'), 'm\n"x"}'),
        (('"m"}', '"m"}\na.BError: x'), "m"),
    ],
)
def test_damaged_json_is_read_as_far_as_it_goes(damage: tuple[str, str], message: str) -> None:
    found = parse(es_json(component="c", message="m").replace(*damage))
    assert (found.level, found.component, found.message) == ("WARN", "c", message)
    assert (found.stack_trace is not None) == ("BError" in damage[1])


def test_bytes_that_are_not_utf_8_are_replaced() -> None:
    [found] = read_records([es_json(component="c", message="m?").encode().replace(b"m?", b"m\xff")])
    assert (found.component, found.message) == ("c", "m\ufffd")
    [found] = read_records([b"[2026-11-24T00:00:08,806][INFO ][c] [n] m\xff"])
    assert (found.node, found.message) == ("n", "m\ufffd")


def test_hit_of_a_search_has_fields() -> None:
    record = f"[2026-11-24T00:00:08,806][WARN ][o.e.n.Node] [n] failed\n{TRACE}\n".encode()
    search = LineSearch(compile_pattern("e", regex=False, ignore_case=False))
    hits = [parse_line(line.text) for line in search.feed(7, record)]
    assert (hits[0].component, hits[0].message) == ("o.e.n.Node", "failed")
    assert (hits[0].time, hits[0].level) == ("2026-11-24T00:00:08,806", "WARN")
    assert hits[1].message == TRACE.split("\n")[0]


def test_record_that_is_cut_is_parsed_as_far_as_it_is_held() -> None:
    text = es_json(component="c", message="m" * 100).encode()
    [whole] = read_records([text])
    found = parse_record(RawRecord(0, len(text), text[:-50], None))
    assert (found.kind, found.end) == (RecordKind.OTHER, whole.end)
