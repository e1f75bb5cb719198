"""Search of what is kept, held against all that `restore` gives: order, index, cursor, damage."""

from __future__ import annotations

import gc
import gzip
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from logkeep.backup.segment import Sizes
from logkeep.database.connection import writing
from logkeep.database.indexing import forget_indexed
from logkeep.domain.archive_search import START, ArchiveQuery, Hit, SearchDamage, SearchEnd
from logkeep.domain.cluster import Cluster
from logkeep.domain.instant import instant
from logkeep.domain.record_filter import RecordFilter
from logkeep.domain.span import Span, read_moment
from logkeep.errors import InvalidField, Overloaded
from logkeep.logformat.lines import LineHead, read_head
from logkeep.search import order
from logkeep.service import archive, backup_run, indexing
from logkeep.service.archive_search import search_archive
from logkeep.stores.layout import is_index
from logkeep.work.indexer import IndexThread
from tests.support.installation import Installation

LEVELS = ("INFO ", "WARN ", "ERROR")
ALL = ArchiveQuery(
    text="", regex=False, ignore_case=False, node="", family="", wanted=RecordFilter(), limit=10**6, count=False
)


@pytest.fixture(autouse=True)
def _small_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup_run, "SIZES", Sizes(4096, 20_000))


class Writer:
    """Logs of two nodes that grow, rotate, and are backed up in the middle of a line."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.folders = {name: folder / name for name in ("n1", "n2")}
        self.minute = 0
        self.texts: list[str] = []
        self._rests: dict[tuple[str, str], bytes] = {}
        for path in self.folders.values():
            path.mkdir()

    def write(self, records: int) -> None:
        """Append to each log, at times that overlap; the last line may lack its end."""
        for node, folder in self.folders.items():
            for family in ("prod.log", "prod_audit.json", "plain.log"):
                lines = [self._record(family, node, number) for number in range(records)]
                data = "".join(lines).encode()
                keep = len(data) - self.chance.choice((0, 0, 1, 20))
                path = folder / family
                before = path.read_bytes() if path.exists() else b""
                path.write_bytes(before + self._rests.pop((node, family), b"") + data[:keep])
                self._rests[node, family] = data[keep:]
        self.minute += records

    def _record(self, family: str, node: str, number: int) -> str:
        minute = self.minute + number
        time = f"2026-11-{24 + minute // 1440:02}T{minute // 60 % 24:02}:{minute % 60:02}:{self.chance.randrange(60):02},000"
        word = f"{self.chance.getrandbits(64):016x}"
        if self.chance.random() < 0.02:
            self.texts.append(self.chance.choice((word, word[3:12], f"{word} of {minute}", word.upper())))
        if family == "plain.log":
            return f"{word} of {minute} without a time\n"
        if family == "prod_audit.json":
            return f'{{"type": "audit", "timestamp": "{time}Z", "id": "{word} of {minute}"}}\n'
        trace = f"\tat a.b(C.java:{word})\n" * self.chance.choice((0, 0, 1, 3, 60 if minute % 97 == 0 else 0))
        return f"[{time}][{self.chance.choice(LEVELS)}][o.o.n.Node] [{node}] {word} of {minute}\n{trace}"

    def rotate(self) -> None:
        for folder in self.folders.values():
            for number in (1, 2):
                if not (target := folder / f"prod-2026-11-24-{number}.log.gz").exists():
                    rest = self._rests.pop((folder.name, "prod.log"), b"")
                    target.write_bytes(gzip.compress((folder / "prod.log").read_bytes() + rest))
                    (folder / "prod.log").write_bytes(b"")
                    break


@pytest.fixture
def written(installation: Installation, tmp_path: Path) -> tuple[Cluster, Writer]:
    """Six backups, two rotations in between; all but the last have an index."""
    writer = Writer(tmp_path, 15)
    cluster = installation.add_cluster(**writer.folders)
    for number in range(6):
        writer.write(120)
        installation.back_up(cluster)
        if number in {1, 3}:
            writer.rotate()
            installation.back_up(cluster)
        if number == 4:
            list(indexing.index_cluster(installation.runtime, cluster))
    return cluster, writer


Line = tuple[str, str, str, str]  # node, family, time, text


def every_line(
    installation: Installation, cluster: Cluster
) -> dict[tuple[str, str], list[tuple[LineHead | None, str]]]:
    """Node and family -> the lines in the order of writing, with the head of their record."""
    found: dict[tuple[str, str], list[tuple[LineHead | None, str]]] = {}
    for key, data in installation.restored(cluster).items():
        lines = data.decode().split("\n")
        lines = lines[:-1] if not lines[-1] else lines
        heads = [read_head(line.encode()) for line in lines]
        last = next((head for head in heads if head), None)
        for line, head in zip(lines, heads, strict=True):
            last = head or last
            found.setdefault(key, []).append((last, line))
    return found


def expected(
    lines: dict[tuple[str, str], list[tuple[LineHead | None, str]]], query: ArchiveQuery
) -> list[tuple[float, str, str, str]]:
    """Time, node, family and text of each line that is looked for."""
    found: list[tuple[float, str, str, str]] = []
    for (node, family), of_log in lines.items():
        if query.node not in {"", node} or query.family not in {"", family}:
            continue
        for head, line in of_log:
            time, level = (head.time, head.level) if head else ("", None)
            hit = query.text.lower() in line.lower() if query.ignore_case else query.text in line
            if hit and query.wanted.holds(time, level):
                found.append((query.order(time), node, family, line))
    return found


def found(installation: Installation, cluster: Cluster, query: ArchiveQuery) -> tuple[list[Hit], SearchEnd]:
    events = list(search_archive(installation.runtime, cluster, query))
    assert isinstance(events[-1], SearchEnd)
    return [event for event in events if isinstance(event, Hit)], events[-1]


def queries(writer: Writer, number: int) -> Iterator[ArchiveQuery]:
    chance = random.Random(16)
    common = ["java:0", "of 1", "o.o.n.Node", '"id": "a', "at a.b", "none of that, never", "without a time", "] [n1] "]
    for _ in range(number):
        minutes = sorted(chance.sample(range(writer.minute + 60), 2))
        since, until = (read_moment(f"2026-11-24T{at // 60 % 24:02}:{at % 60:02}") for at in minutes)
        span = chance.choice([Span(), Span(), Span(since, until), Span(since), Span(None, until)])
        yield replace(
            ALL,
            text=chance.choice(common if chance.random() < 0.3 else writer.texts),
            ignore_case=chance.random() < 0.3,
            node=chance.choice(["", "", "n2"]),
            family=chance.choice(["", "", "prod.log"]),
            wanted=RecordFilter(span, frozenset(chance.choice([[], [], ["WARN"], ["INFO", "ERROR"]]))),
            newest_first=chance.random() < 0.5,
            use_index=chance.random() < 0.8,
        )


def test_it_finds_each_line_once_in_the_order_of_time(
    installation: Installation, written: tuple[Cluster, Writer]
) -> None:
    cluster, writer = written
    lines = every_line(installation, cluster)
    skipped = hit = 0
    for query in queries(writer, 60):
        hits, end = found(installation, cluster, query)
        wanted = expected(lines, query)
        told = [(query.order(one.time), one.node, one.family, one.text) for one in hits]
        assert sorted(told) == sorted(wanted), query
        assert [at for at, *_ in told] == sorted(at for at, *_ in told), query
        assert (end.completed, end.after, end.total.hits) == (True, None, len(wanted))
        counted = found(installation, cluster, replace(query, count=True))[1]
        assert counted.total.hits == len(wanted)
        hit += len(wanted)
        skipped += end.total.frames - end.total.frames_read
    assert hit > 500
    assert skipped > 500


def test_parts_by_cursor_are_the_whole(installation: Installation, written: tuple[Cluster, Writer]) -> None:
    cluster, writer = written
    chance = random.Random(17)
    for query in queries(writer, 15):
        whole, _ = found(installation, cluster, query)
        parts: list[Hit] = []
        after = START
        while True:
            part, end = found(installation, cluster, replace(query, limit=chance.choice((1, 7, 50)), after=after))
            parts += part
            if end.after is None:
                assert end.completed
                break
            assert part and not end.completed
            after = end.after
            if len(parts) > 400:
                whole = whole[: len(parts)]
                break
        assert parts == whole, query


@pytest.mark.parametrize("seed", range(2))
def test_what_nodes_have_written_since_is_found_as_it_will_be_kept(
    installation: Installation, written: tuple[Cluster, Writer], seed: int
) -> None:
    cluster, writer = written
    writer.chance = random.Random(seed)
    writer.write(60)
    if seed % 2:
        writer.rotate()
        writer.write(40)
    now = [(query, *found(installation, cluster, replace(query, live=True))) for query in queries(writer, 15)]
    now += [
        (query, *found(installation, cluster, query))
        for query in (replace(ALL, text=word, live=True) for word in writer.texts[-9:])
    ]
    installation.back_up(cluster)
    lines = every_line(installation, cluster)
    live = 0
    for query, hits, end in now:
        told = [(query.order(one.time), one.node, one.family, one.text) for one in hits]
        assert sorted(told) == sorted(expected(lines, query)), query
        assert end.completed
        kept = [replace(one, source=ALL) for one in found(installation, cluster, query)[0]]
        assert [replace(one, source=ALL) for one in hits] == kept, query
        live += sum(bool(one.source.file) for one in hits)
    assert live > 10


def test_lines_around_hits_are_those_of_the_log(installation: Installation, written: tuple[Cluster, Writer]) -> None:
    cluster, writer = written
    writer.write(30)
    everything = [replace(ALL, text=word, context=chance, live=True) for word in writer.texts[:20] for chance in (1, 7)]
    told = [hit for query in everything for hit in found(installation, cluster, query)[0]]
    installation.back_up(cluster)
    logs = {
        (log.node, log.generation): b"".join(archive.read_kept(installation.runtime, cluster, log.node, log.generation))
        for log in archive.list_kept(installation.runtime, cluster)
    }
    assert len(told) > 30
    for hit in told:
        data = logs[hit.node, hit.generation]
        before, [line, *after] = data[: hit.start].decode().split("\n")[:-1], data[hit.start :].decode().split("\n")
        assert line == hit.text
        assert list(hit.before) == before[-len(hit.before) :] if hit.before else not before
        assert list(hit.after) == after[: len(hit.after)]
        assert len(hit.before) in {1, 7} or len(hit.before) == len(before)


def test_node_that_cannot_be_read_is_told_and_what_is_kept_of_it_is_found(
    installation: Installation, written: tuple[Cluster, Writer]
) -> None:
    cluster, writer = written
    writer.folders["n2"].rename(writer.folders["n2"].with_name("away"))
    events = list(search_archive(installation.runtime, cluster, replace(ALL, text=" of ", live=True)))
    [told] = [event for event in events if isinstance(event, SearchDamage)]
    assert (told.node, told.family, told.live) == ("n2", "", True)
    assert "LK-SOURCE" in told.problem
    assert {event.node for event in events if isinstance(event, Hit)} == {"n1", "n2"}
    assert not events[-1].completed  # type: ignore[union-attr]


def test_search_that_ends_at_a_bound_goes_on_where_it_ended(
    installation: Installation, written: tuple[Cluster, Writer]
) -> None:
    cluster, writer = written
    for query in queries(writer, 6):
        whole, _ = found(installation, cluster, query)
        parts, after, rounds = list[Hit](), START, 0
        while True:
            part, end = found(installation, cluster, replace(query, max_bytes=20_000 << rounds, after=after))
            parts, rounds = parts + part, rounds + 1
            if end.after is None:
                assert end.completed
                break
            assert not end.completed
            after = end.after
        assert parts == whole, query


def test_more_than_can_be_held_is_told_in_order_all_the_same(
    installation: Installation, written: tuple[Cluster, Writer], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, _ = written
    whole, end = found(installation, cluster, replace(ALL, text=" of "))
    monkeypatch.setattr(order, "_HELD", 30_000)
    few, ended = found(installation, cluster, replace(ALL, text=" of "))
    assert few == whole and ended.completed and end.completed
    part, cut = found(installation, cluster, replace(ALL, text=" of ", limit=200))
    assert part == whole[:200] and not cut.completed


def test_live_file_that_may_still_be_being_compressed_is_told(
    installation: Installation, written: tuple[Cluster, Writer]
) -> None:
    cluster, writer = written
    data = gzip.compress(b"".join(b"[2026-11-26T00:00:00,%03d][INFO ] cut %d\n" % (n, n) for n in range(900)))
    (writer.folders["n1"] / "prod-2026-11-26-9.log.gz").write_bytes(data[: len(data) // 2])
    events = list(search_archive(installation.runtime, cluster, replace(ALL, text="cut", live=True)))
    [told] = [event for event in events if isinstance(event, SearchDamage)]
    assert told.live and "may still be being compressed" in told.problem
    assert sum(isinstance(event, Hit) for event in events) > 100


def test_rare_text_reads_few_frames_and_a_dry_run_none(
    installation: Installation, written: tuple[Cluster, Writer]
) -> None:
    cluster, _ = written
    list(indexing.index_cluster(installation.runtime, cluster))
    absent = replace(ALL, text="0123456789abcdef never written")
    _, end = found(installation, cluster, absent)
    assert end.not_indexed == 0
    assert end.total.frames_read < end.total.frames / 2  # those that a backup ended within a line
    _, planned = found(installation, cluster, replace(absent, dry_run=True))
    assert (planned.total.hits, planned.total.frames_read) == (0, end.total.frames_read)
    _, ended = found(installation, cluster, replace(absent, dry_run=True, max_seconds=1e-9))
    assert not ended.completed and ended.total.frames_read < planned.total.frames_read
    _, all_read = found(installation, cluster, replace(absent, use_index=False))
    assert all_read.total.frames_read == all_read.total.frames == end.total.frames


def test_index_is_made_by_one_at_a_time_and_again_after_a_kill(
    installation: Installation, written: tuple[Cluster, Writer]
) -> None:
    cluster, _ = written
    begun = indexing.index_cluster(installation.runtime, cluster, rebuild=True)
    next(begun)
    with pytest.raises(Overloaded, match="two minutes"):
        indexing.index_cluster(installation.runtime, cluster)
    assert indexing.index_next(installation.runtime) is None
    installation.clock.advance(130_000)  # as if nothing had gone on
    *_, end = indexing.index_cluster(installation.runtime, cluster)
    assert end.done and end.segments > 10
    assert found(installation, cluster, replace(ALL, text="never was written"))[1].not_indexed == 0
    assert not installation.findings(cluster, read_data=True)
    begun.close()


def test_index_in_the_background_waits_until_it_is_worth_it_and_many_small_ones_are_merged(
    installation: Installation, written: tuple[Cluster, Writer], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, writer = written
    assert indexing.index_next(installation.runtime) is None
    monkeypatch.setattr(indexing, "_WORTH_SEGMENTS", 1)
    monkeypatch.setattr(indexing, "_MERGED", 4)
    for _ in range(5):
        installation.clock.advance(3_700_000)
        writer.write(10)
        installation.back_up(cluster)
        due = indexing.index_next(installation.runtime)
        assert due and due[0].id == cluster.id
        assert list(due[1])[-1].done
    for node in writer.folders:
        left = [path for path in installation.bucket.rglob("*.idx*") if path.parent.name == node]
        assert 2 <= len(left) < 8, left
    lines = every_line(installation, cluster)
    for query in queries(writer, 10):
        hits, end = found(installation, cluster, query)
        assert len(hits) == len(expected(lines, query))
        assert end.not_indexed == 0
    assert not installation.findings(cluster, read_data=True)


def test_thread_indexes_what_is_worth_it_until_it_is_stopped(
    installation: Installation, written: tuple[Cluster, Writer], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, _ = written
    monkeypatch.setattr(indexing, "_WORTH_SEGMENTS", 1)
    thread = IndexThread(installation.runtime, tick_seconds=0.01)
    thread.start()
    absent = replace(ALL, text="never was written")
    for _ in range(1000):
        if found(installation, cluster, absent)[1].not_indexed == 0:
            break
        time.sleep(0.01)
    thread.stop()
    assert found(installation, cluster, absent)[1].not_indexed == 0


def test_index_of_a_bucket_is_used_again_when_the_database_was_lost(
    installation: Installation, written: tuple[Cluster, Writer]
) -> None:
    cluster, _ = written
    list(indexing.index_cluster(installation.runtime, cluster))
    objects = sorted(installation.bucket.rglob("*.idx"))
    with writing(installation.runtime.database) as connection:
        forget_indexed(connection, cluster.id)
    *_, end = indexing.index_cluster(installation.runtime, cluster)
    assert (end.segments, sorted(installation.bucket.rglob("*.idx"))) == (0, objects)


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("harm", ["damaged", "missing", "unsigned", "of another key"])
def test_index_that_is_not_whole_and_signed_hides_nothing(
    installation: Installation, written: tuple[Cluster, Writer], harm: str
) -> None:
    cluster, writer = written
    indexes = [
        path for path in installation.bucket.rglob("*.idx") if is_index(str(path.relative_to(installation.bucket)))
    ]
    assert len(indexes) == 2
    for path in indexes:
        signature = path.with_name(f"{path.name}.sig")
        match harm:
            case "damaged":
                damage(path)
            case "missing":
                path.unlink()
            case "unsigned":
                signature.unlink()
            case _:
                signature.write_bytes(bytes(64))
    lines = every_line(installation, cluster)
    query = replace(ALL, text=writer.texts[0])
    hits, end = found(installation, cluster, query)
    assert len(hits) == len(expected(lines, query)) > 0
    assert end.not_indexed == end.total.frames == end.total.frames_read
    problems = [one.problem for one in installation.findings(cluster, read_data=True)]
    assert len(problems) == (0 if harm == "missing" else 2), problems
    list(indexing.index_cluster(installation.runtime, cluster))
    assert not installation.findings(cluster, read_data=True)
    assert found(installation, cluster, query)[1].not_indexed == 0


def test_damaged_frame_is_told_with_its_place_and_all_else_is_found(
    installation: Installation, written: tuple[Cluster, Writer]
) -> None:
    cluster, _ = written
    lines = every_line(installation, cluster)
    victim = max(installation.objects(), key=lambda path: path.stat().st_size)
    damage(victim)
    query = replace(ALL, text=" of ")
    events = list(search_archive(installation.runtime, cluster, query))
    told = [event for event in events if isinstance(event, SearchDamage)]
    assert len(told) == 1 and "at byte " in told[0].problem and victim.name in told[0].problem
    hits = [event for event in events if isinstance(event, Hit)]
    every = expected(lines, query)
    assert len(every) - 60 < len(hits) < len(every)
    ends = tuple(line for *_, line in every)  # of a line that the damaged frame begins the rest is there
    assert all(any(line.endswith(hit.text) for line in ends) for hit in hits)
    assert not events[-1].completed  # type: ignore[union-attr]


def test_unknown_node_and_log_name_the_known_ones(installation: Installation, written: tuple[Cluster, Writer]) -> None:
    cluster, _ = written
    with pytest.raises(InvalidField, match="n1, n2"):
        search_archive(installation.runtime, cluster, replace(ALL, text="x", node="n9"))
    with pytest.raises(InvalidField, match=r"plain.log, prod.log, prod_audit.json"):
        search_archive(installation.runtime, cluster, replace(ALL, text="x", node="n1", family="other"))


def test_times_are_compared_as_instants() -> None:
    assert ALL.order("2026-11-24T01:00:00,000+02:00") == instant("2026-11-23T23:00:00,000Z")


def test_search_leaves_no_object_open(installation: Installation, written: tuple[Cluster, Writer]) -> None:
    """Else the end of the process would wait for their closing, which needs threads that are gone by then."""
    gc.disable()
    try:
        events = list(search_archive(installation.runtime, written[0], replace(ALL, text="at a.b", limit=1)))
        assert any(isinstance(event, Hit) for event in events)
        assert not [one for one in Path("/proc/self/fd").iterdir() if str(one.resolve()).endswith(".zst")]
    finally:
        gc.enable()
