"""Whole screens at 80 and 200 columns, as a person reads them."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from logkeep.cli import terminal
from logkeep.cli.backups import print_records
from logkeep.cli.client import decode
from logkeep.cli.coverage import _print_coverage  # pyright: ignore[reportPrivateUsage]
from logkeep.cli.invocation import CommonOptions
from logkeep.cli.jobs import _print_job  # pyright: ignore[reportPrivateUsage]
from logkeep.cli.output import note, print_table
from logkeep.cli.status import _print_days, _print_page  # pyright: ignore[reportPrivateUsage]
from logkeep.cli.texts import width_of
from logkeep.contract.css.responses import ClusterLogRecord
from logkeep.contract.native.job_responses import HeldLine, JobView
from logkeep.contract.native.responses import ClusterView
from logkeep.contract.native.status_responses import DayView, StatusList
from logkeep.domain.day_strip import DayState

JOB = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
LONG = "/mnt/volumes/customers/a-rather-long-name-of-a-customer/opensearch/logs/prod_server-2026-11-24-17.json.gz"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def screen(monkeypatch: pytest.MonkeyPatch, width: int, show: Callable[[], None]) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.setattr("sys.stdout", shown := Terminal())
    show()
    return re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", shown.getvalue()).splitlines()


def log(**more: Any) -> dict[str, Any]:
    held = {"node": "node-1", "family": "prod_server.json", "from": "2026-11-24T00:00:00,000Z", "generations": 31}
    sizes = {"until": "2026-11-25T09:59:59,123Z", "lines": 1_234_567, "raw": 1_300_000_000, "stored": 98_000_000}
    last = {"lastSuccessAt": 1_764_000_000_000, "lastSuccessJob": JOB, "safeUntil": 1_764_100_000_000}
    return {**held, **sizes, **last, "gaps": [], "removed": [], "warnings": [], **more}


def coverage(logs: list[dict[str, Any]]) -> Callable[[], None]:
    named = dict.fromkeys(("id", "kind", "version", "endpoint"), "")
    moments = {"createdAt": 0, "updatedAt": 0, "lastSuccessAt": None}
    cluster = msgspec.convert({"name": "prod", "nodes": [], "policyState": "off", **named, **moments}, ClusterView)
    return lambda: _print_coverage(cluster, msgspec.convert(logs, list[HeldLine]))


GAP = {"after": "2026-11-24T17:00:00,000Z", "until": "", "atLeast": 5000, "jobId": JOB}
MESSAGE = "'prod_server.json' is kept again from byte 4096 on, as bytes before the end of what is kept were changed"
WARNED = {"file": "", "code": "LK-LOG-CHANGED", "message": MESSAGE, "jobId": JOB}


@pytest.mark.parametrize("width", [80, 200])
def test_coverage_is_a_block_for_each_log(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    gap = {**GAP, "reason": "deleted before it was kept"}
    logs = [log(gaps=[gap], warnings=[WARNED]), log(node="node-2", family="")]
    shown = screen(monkeypatch, width, coverage(logs))
    told = "prod: the last backup that succeeded ended 2025-11-24 16:00:00 UTC, job"
    assert shown[: 5 - (width == 200)] == [
        *([f"{told} {JOB}"] if width == 200 else [told, f"      {JOB}"]),
        "",
        "node-1  prod_server.json",
        "  held     2026-11-24T00:00:00,000Z to 2026-11-25T09:59:59,123Z",
    ]
    assert max(map(len, shown)) <= width
    assert "  size     31 generations, 1,234,567 lines, 1.2 GiB, 93.5 MiB in the bucket" in shown
    assert shown.count(f"           told by job {JOB}") == 2
    assert shown[-5:] == ["", "node-2", "  nothing is held", "", "1 log: 1 gap, 1 warning"]
    if width == 80:
        first = shown.index("  gap      after 2026-11-24T17:00:00,000Z until an unknown time, at least 4.9")
        assert shown[first + 1] == "           KiB: deleted before it was kept"


def job(**more: Any) -> JobView:
    now = time.time() * 1000
    node = {"files": 1, "lines": 10, "raw": 50_000_000, "stored": 4_000_000, "finishedAt": None}
    nodes = [{"node": "node-1", "startedAt": int(now - 10_000), "planned": 200_000_000, "done": 100_000_000, **node}]
    document = {
        "id": "r",
        "createAt": int(now - 11_000),
        "logPath": "css/log",
        "status": "RUNNING",
        "jobTypes": "Manual",
        "jobId": JOB,
        "clusterId": "c",
        "attempts": 1,
        "nodes": nodes,
        "finishedAt": None,
        "failedMsg": None,
        "gaps": [],
        "failures": [],
        "files": [],
        "filesTotal": 0,
        "warnings": [],
        "forecasts": [],
        "removed": {"objects": 0, "raw": 0, "stored": 0, "lines": 0},
        **more,
    }
    return decode(msgspec.json.encode(document), JobView)


def test_running_job_tells_rate_and_remaining_time(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = screen(monkeypatch, 80, lambda: _print_job(job(), "prod"))
    progress = next(line for line in shown if line.startswith("progress"))
    assert re.fullmatch(r"progress  50 % of 190\.7 MiB, 9\.\d MiB/s, (9\.\d|10|11) s to go", progress)


def file(name: str) -> list[str]:
    return ["node-1", name, JOB]


@pytest.mark.parametrize("width", [80, 200])
def test_paths_are_cut_and_ids_are_not(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    rows = [file(LONG), file("gc.log")]
    shown = screen(monkeypatch, width, lambda: print_table(("NODE", "FILE", "JOB"), rows, cut=(1,)))
    assert max(map(len, shown)) <= width
    assert sum(JOB in line for line in shown) == 2
    assert shown[0].split() == ["NODE", "FILE", "JOB"]
    path = shown[2].split()[1]
    assert (path == LONG) is (width == 200)
    if width == 80:
        assert re.fullmatch(r"/mnt/vol\S*…\S*11-24-17\.json\.gz", path)
        assert len(shown[2]) >= 75


@pytest.mark.parametrize("width", [80, 200])
def test_a_block_breaks_no_value(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    heads, source = ("NODE", "ROLE", "IP", "LOGS", ""), f"file://{LONG}"
    rows = [
        ["node-1", "ess", "10.0.0.1", source, "gone since 2026-11-24 06:40:21 UTC"],
        ["n2", "ess", "-", "file:///x", ""],
    ]
    shown = screen(monkeypatch, width, lambda: print_table(heads, rows))
    if width == 200:
        assert source in shown[2]
        assert max(map(len, shown)) <= 200
        return
    assert shown == [
        "NODE: node-1  ROLE: ess  IP: 10.0.0.1",
        "  LOGS:",
        source,
        "  gone since 2026-11-24 06:40:21 UTC",
        "NODE: n2  ROLE: ess  LOGS: file:///x",
    ]


def status(troubles: list[str]) -> Callable[[], None]:
    moments = {"lastSuccessAt": 100_000_000_000, "lastSuccessAge": 1, "nextRun": 100_200_000_000, "verifiedAt": None}
    job = {"lastJob": JOB, "lastJobStatus": "FAIL", "runningJob": None, "runningSince": None}
    told = {"state": "failed", "needsHand": True, "troubles": [{"state": "failed", "message": one} for one in troubles]}
    one = {"id": "c", "name": "opensearch-production-1", **told, **moments, **job, "gaps": 1000, "warnings": 12}
    well = {**one, "name": "test", "state": "ok", "needsHand": False, "troubles": [], "gaps": 0, "warnings": 0}
    page = {"clusters": [one, well], "needHand": 1, "totalSize": 2, "at": 100_100_000_000}
    return lambda: _print_page(CommonOptions(), msgspec.convert(page, StatusList), 1)


def test_a_strip_of_days_is_told_apart_without_colours_and_without_unicode(monkeypatch: pytest.MonkeyPatch) -> None:
    states = ["none", "kept", "failed", "missed", "running"]
    days = [DayView("2026-11-24", DayState(state), 0, 0) for state in states * 18]
    shown = screen(monkeypatch, 80, lambda: _print_days(days))
    assert shown == ["  " + "·█x!>" * 14, "  " + "·█x!>" * 4, "  2026-11-24 to 2026-11-24"]
    monkeypatch.setattr("logkeep.cli.status.readable", lambda text: text.encode("ascii", "backslashreplace").decode())
    assert screen(monkeypatch, 80, lambda: _print_days(days[:5]))[0] == "  .#x!>"


@pytest.mark.parametrize("width", [80, 200])
def test_status_fits_into_the_terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    see = "`logkeep records opensearch-production-1 --status FAIL`"
    shown = screen(monkeypatch, width, status([f"the backup, 3 h ago, failed: LK-STORE-DENIED: who knows; see {see}"]))
    assert max(map(len, shown)) <= width
    narrow = width == 80
    heads = ["CLUSTER", "STATE", "LAST SUCCESS", "NEXT RUN", "GAPS", "WARNINGS", "VERIFIED"]
    cells = ["opensearch-production-1", "failed", "27 h ago", "in 27 h", "1,000+", "12", "never"]
    for line, expected in ((shown[0], heads), (shown[2], cells)):
        assert re.split(r"  +", line.strip()) == [*expected[: 5 if narrow else 6], expected[6]]
    assert ("left out, as this terminal is narrow: WARNINGS" in shown) is narrow
    assert "opensearch-production-1" in shown
    assert any(see in line for line in shown), "a command is in one line"
    assert shown[-1] == "2 clusters: 1 needs a hand"


@pytest.mark.parametrize("width", [80, 200])
def test_records_leave_out_a_column_rather_than_break(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    record = {"id": "r", "clusterId": "c", "createAt": 1_764_000_000_000, "logPath": "css/log", "status": "SUCCESS"}
    record |= {"finishedAt": 1_764_000_185_000, "jobTypes": "Manual", "failedMsg": None, "jobId": JOB}
    records = msgspec.convert([record], list[ClusterLogRecord])
    shown = screen(monkeypatch, width, lambda: print_records(records, ["prod"]))
    assert max(map(len, shown)) <= width
    assert shown[2].split()[-1] == JOB
    assert ("Manual" in shown[2]) is (width == 200)
    assert shown[3:] == ([] if width == 200 else ["left out, as this terminal is narrow: TYPE"])


NODE = "ip-10-20-30-40.eu-central-1.compute.internal.prod.example.cn"
FAILED = f"LK-SOURCE-DENIED: node {NODE}: {LONG * 2} may not be read; see `logkeep job show {JOB}`, then mend it"


@pytest.mark.parametrize("width", [80, 200])
def test_failures_are_broken_between_words(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    record = {"id": "r", "clusterId": "c", "createAt": 1_764_000_000_000, "logPath": "css/log", "status": "FAIL"}
    record |= {"finishedAt": None, "jobTypes": "Manual", "failedMsg": f"{FAILED}; {FAILED}", "jobId": JOB}
    records = msgspec.convert([record], list[ClusterLogRecord])
    shown = screen(monkeypatch, width, lambda: print_records(records, ["prod"]))
    begun = [at for at, line in enumerate(shown) if line.startswith("  LK-SOURCE-DENIED: node")]
    assert len(begun) == 2
    told = shown[begun[0] : begun[1]]
    assert " ".join(line.strip() for line in told) == FAILED
    assert all(line.startswith("    ") for line in told[1:])
    assert {line.strip() for line in told if len(line) > width} == {LONG * 2}, "a path is whole, in a line of its own"


@pytest.mark.parametrize("width", [80, 200])
def test_what_a_job_tells_is_broken_between_words(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    gap = {"node": NODE, "family": "prod.log", **GAP, "reason": "deleted before it was kept"}
    warned = {**WARNED, "node": NODE, "family": "prod.log"}
    safe = {"node": NODE, "family": "prod.log", "safeUntil": 1_764_000_000_000, "nextRun": None}
    told = {"status": "FAIL", "failedMsg": FAILED, "gaps": [gap], "warnings": [warned], "forecasts": [safe]}
    shown = screen(monkeypatch, width, lambda: _print_job(job(**told), "prod"))
    assert [line for line in shown if len(line) > width and LONG not in line] == []
    assert [line.partition(":")[0] for line in shown if re.match(r"gap|warning|forecast", line)] == [
        *("gap", "warning", "forecast")
    ]


@pytest.mark.parametrize("width", [80, 200])
def test_a_message_is_broken_between_words_and_its_commands_are_not(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr("sys.stderr", said := Terminal())
    command = f"`logkeep --dir {LONG[:40]} records opensearch-production-eu-west-01`"
    text = (
        f"logkeep: the service does not answer; it may be ending, or it is not started yet; see {command}:\n  {FAILED}"
    )
    screen(monkeypatch, width, lambda: note(text))
    lines = said.getvalue().splitlines()
    assert any(command in line for line in lines)
    assert {line.strip() for line in lines if len(line) > width and command not in line} == {LONG * 2}
    assert re.sub(r"\n +", " ", said.getvalue()).strip() == re.sub(r"\n +", " ", text)


@pytest.mark.parametrize("width", [80, 200])
def test_the_audit_is_a_block_for_each_entry(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    heads = ("TIME (UTC)", "OPERATION", "STATUS", "WHO", "FROM", "PROJECT", "CLUSTER", "REQUEST")
    entry = ("2026-11-29 18:22:10", "AddCluster", "200", "LK7E8CDB6F4262801ABF", "10.0.0.1", "cn-north-4", "-", JOB)
    shown = screen(monkeypatch, width, lambda: print_table(heads, [entry]))
    if width == 200:
        assert shown[2].split()[-2:] == ["-", JOB]
    else:
        assert shown == [
            "TIME (UTC): 2026-11-29 18:22:10  OPERATION: AddCluster  STATUS: 200",
            "  WHO: LK7E8CDB6F4262801ABF  FROM: 10.0.0.1  PROJECT: cn-north-4",
            f"  REQUEST: {JOB}",
        ]


@pytest.mark.parametrize("on_terminal", [False, True])
def test_wide_characters_align(monkeypatch: pytest.MonkeyPatch, on_terminal: bool) -> None:
    rows = [["生产集群", "SUCCESS"], ["prod", "FAIL"], ["e\u0301tat", "RUNNING"]]
    monkeypatch.setattr(Terminal, "isatty", lambda _: on_terminal)
    shown = screen(monkeypatch, 80, lambda: print_table(("CLUSTER", "STATUS"), rows))
    ends = {line.rstrip().rpartition(" ")[0] for line in shown if "─" not in line}
    assert {width_of(end) for end in ends} == {max(map(width_of, ends))}


@pytest.mark.parametrize("width", [80, 200])
def test_bar_has_bytes_rate_and_remaining_time_in_one_line(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("sys.stderr", said := Terminal())
    with terminal.spinner("backing up a-cluster-with-a-long-name") as advance:
        for step in range(1, 6):
            advance(step * 30_000_000, "a-node-with-a-long-name (1 of 3)", 300_000_000)
            time.sleep(0.12)
    lines = re.split(r"[\r\n]", re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", said.getvalue()))
    full = [line for line in lines if re.search(r"\d\.\d/286\.1 MiB +[\d.]+ [MG]iB/s +\d:\d\d:\d\d", line)]
    assert full, lines
    assert all(len(line.rstrip()) <= width for line in full)
    assert ("…" in full[-1]) is (width == 80)
