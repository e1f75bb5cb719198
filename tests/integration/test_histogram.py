"""Counts over time, held against a count of all that `restore` gives."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from logkeep.backup.segment import Sizes
from logkeep.domain.archive_search import ArchiveQuery, SearchDamage, SearchEnd
from logkeep.domain.cluster import Cluster
from logkeep.domain.histogram import Bucket, Interval
from logkeep.domain.record_filter import RecordFilter
from logkeep.domain.span import Span, read_moment
from logkeep.errors import InvalidField
from logkeep.logformat.lines import read_head
from logkeep.search import tally
from logkeep.service import backup_run, indexing
from logkeep.service.histogram import count_over_time
from logkeep.stores.layout import is_index
from tests.integration.test_archive_search import ALL, Writer, damage, every_line, expected
from tests.support.installation import Installation, open_installation

Counts = dict[str, dict[str, int]]


@pytest.fixture(autouse=True)
def _small_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup_run, "SIZES", Sizes(4096, 20_000))


Kept = tuple[Installation, Cluster, Writer]


@pytest.fixture(scope="module", params=["indexed", "partly", "not indexed"])
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """Backups that cut lines, some within a head, with rotations in between; every test leaves them as they are."""
    folder = tmp_path_factory.mktemp("kept")
    with open_installation(folder / "installation") as installation, pytest.MonkeyPatch.context() as patch:
        patch.setattr(backup_run, "SIZES", Sizes(4096, 20_000))
        yield installation, *_keep(installation, Writer(folder, 21), request.param)


def _keep(installation: Installation, writer: Writer, indexed: str) -> tuple[Cluster, Writer]:
    cluster = installation.add_cluster(**writer.folders)
    odd = writer.folders["n1"] / "odd.log"
    for number in range(8):
        writer.write(70)
        odd.write_bytes(odd_lines(writer.chance, writer.minute)[: -writer.chance.randrange(1, 40)])
        if number in {1, 6}:
            # What looks like the head of a record and is the rest of a line, and a head in three parts.
            path = writer.folders["n2"] / "cut.log"
            for piece in CUT_LINES:
                with path.open("ab") as stream:
                    stream.write(piece)
                installation.back_up(cluster)
        installation.back_up(cluster)
        if number in {2, 5}:
            writer.rotate()
            installation.back_up(cluster)
        if number == 4 and indexed == "partly":
            list(indexing.index_cluster(installation.runtime, cluster))
    if indexed == "indexed":
        list(indexing.index_cluster(installation.runtime, cluster))
    return cluster, writer


CUT_LINES = (
    b"[2026-11-24T03:00:00,000][INFO ] a line that is cut before ",
    b"[2026-11-24T03:00:01,000][WARN ] what is no head\n[2026-11-24T03:0",
    b"1:00,0",
    b"00][ERR",
    b"OR] x\n" + b"[2026-11-24T03:01:02,000][WARN ] y\n" * 150 + b"[2026-11-24T03:02:00,000]",
    b"[INFO ] z\n",
    b"[2026-11-24T03:03:00,000][INFO ] " + b"long " * 2000,
    b"[2026-11-24T03:04:00,000][INFO ] still the same line\n\tat a trace\n",
)


def odd_lines(chance: random.Random, until: int) -> bytes:
    """Lines of several layouts and zones, not in order, some with times that do not exist; always with one beginning."""
    chance = random.Random(until // 10_000)
    lines = list[str]()
    for at in range(until):
        minute = max(0, at - chance.choice((0, 0, 0, 1, 60)))
        time = f"2026-11-{24 + minute // 1440:02}T{minute // 60 % 24:02}:{minute % 60:02}:{chance.randrange(63):02},000"
        lines.append(
            chance.choice(
                [
                    f"[{time}][{chance.choice(('INFO ', 'WARN ', 'TRACE'))}][a] x\n",
                    f"[{time}+08:00][INFO ][a] x\n",
                    f"[{time}Z] no level\n",
                    f'{{"timestamp": "{time}", "level": "ERROR", "x": {at}}}\n',
                    f'{{"level": "ERROR", "timestamp": "{time}", "x": {at}}}\n',
                    '{"query": 1}\n[1]\n',
                ]
            )
        )
    return "".join(lines).encode()


def counted(installation: Installation, cluster: Cluster, query: ArchiveQuery) -> tuple[Counts, SearchEnd]:
    assert query.interval
    events = list(count_over_time(installation.runtime, cluster, query, query.interval))
    buckets = [event for event in events if isinstance(event, Bucket)]
    assert isinstance(events[-1], SearchEnd)
    assert len({one.time for one in buckets}) == len(buckets)
    places = [query.order(query.interval.begin(one.time)) for one in buckets]
    assert places == sorted(places)
    return {one.time: one.levels for one in buckets}, events[-1]


def obvious(restored: dict[tuple[str, str], bytes], query: ArchiveQuery) -> Counts:
    """Counts of all records, by what `restore` gives."""
    found: Counts = {}
    for (node, family), data in restored.items():
        if query.node not in {"", node} or query.family not in {"", family}:
            continue
        for line in data.split(b"\n"):
            head = read_head(line)
            if head and query.wanted.holds(head.time, head.level):
                add(found, query, head.time, head.level)
    return found


def add(found: Counts, query: ArchiveQuery, time: str, level: str | None) -> None:
    length = {"minute": 16, "hour": 13, "day": 10}[str(query.interval)]
    of_time = found.setdefault(time[:length] + time[23:], {})
    of_time[level or ""] = of_time.get(level or "", 0) + 1


def queries(writer: Writer, number: int) -> Iterator[ArchiveQuery]:
    chance = random.Random(18)
    for _ in range(number):
        minutes = sorted(chance.sample(range(writer.minute + 60), 2))
        second = chance.choice(("", ":30", ":30,500"))
        zone = chance.choice(("", "", "Z", "+08:00"))
        since, until = (read_moment(f"2026-11-24T{at // 60 % 24:02}:{at % 60:02}{second}{zone}") for at in minutes)
        yield replace(
            ALL,
            node=chance.choice(["", "", "n2"]),
            family=chance.choice(["", "", "prod.log"]),
            wanted=RecordFilter(
                chance.choice([Span(), Span(since, until), Span(since), Span(None, until)]),
                frozenset(chance.choice([[], [], ["WARN"], ["INFO", "ERROR"]])),
            ),
            newest_first=chance.random() < 0.3,
            use_index=chance.random() < 0.8,
            interval=chance.choice(list(Interval)),
        )


def test_all_records_are_counted_exactly(kept: Kept) -> None:
    installation, cluster, writer = kept
    restored = installation.restored(cluster)
    total = 0
    for query in queries(writer, 40):
        found, end = counted(installation, cluster, query)
        assert found == obvious(restored, query), query
        assert end.completed
        total += end.total.hits
        assert end.total.hits == sum(sum(levels.values()) for levels in found.values())
        planned = counted(installation, cluster, replace(query, dry_run=True))
        assert (planned[0], planned[1].total.frames_read) == ({}, end.total.frames_read)
    assert total > 5000


def test_lines_that_match_are_counted_exactly(kept: Kept) -> None:
    installation, cluster, writer = kept
    lines = every_line(installation, cluster)
    chance = random.Random(19)
    for all_records in queries(writer, 15):
        query = replace(all_records, text=chance.choice(["java:0", "of 1", "at a.b", "without a time", "x"]))
        found: Counts = {}
        for (node, family), of_log in lines.items():
            if query.node in {"", node} and query.family in {"", family}:
                for head, line in of_log:
                    time, level = (head.time, head.level) if head else ("", None)
                    if query.text in line and query.wanted.holds(time, level):
                        add(found, query, time, level)
        told, end = counted(installation, cluster, query)
        assert told == found, query
        assert end.total.hits == len(expected(lines, query))


def test_index_spares_the_reading(installation: Installation, tmp_path: Path) -> None:
    writer = Writer(tmp_path, 22)
    cluster = installation.add_cluster(**writer.folders)
    for _ in range(3):
        writer.write(300)
        installation.back_up(cluster)
    list(indexing.index_cluster(installation.runtime, cluster))
    query = replace(ALL, interval=Interval.HOUR)
    _, end = counted(installation, cluster, query)
    assert end.not_indexed == 0
    assert end.total.frames_read < end.total.frames / 5  # around those that a backup ended within a line
    day = RecordFilter(Span(read_moment("2026-11-24T06:00:30"), read_moment("2026-11-24T09:00:30")))
    _, cut = counted(installation, cluster, replace(query, wanted=day, family="prod.log"))
    assert 0 < cut.total.frames_read <= 8
    for path in installation.bucket.rglob("*.idx"):
        if is_index(str(path.relative_to(installation.bucket))):
            damage(path)
    again, end = counted(installation, cluster, query)
    assert end.total.frames_read == end.total.frames == end.not_indexed
    assert again == obvious(installation.restored(cluster), query)


def test_damage_is_told_and_the_rest_is_counted(kept: Kept) -> None:
    installation, cluster, _ = kept
    query = replace(ALL, interval=Interval.DAY, use_index=False)
    whole, _ = counted(installation, cluster, query)
    largest = max(installation.objects(), key=lambda path: path.stat().st_size)
    data = largest.read_bytes()
    damage(largest)
    events = list(count_over_time(installation.runtime, cluster, query, Interval.DAY))
    largest.write_bytes(data)
    assert [type(event) for event in events].count(SearchDamage) == 1
    assert not events[-1].completed  # type: ignore[union-attr]
    left = sum(sum(event.levels.values()) for event in events if isinstance(event, Bucket))
    total = sum(sum(levels.values()) for levels in whole.values())
    assert total - 100 < left < total


def test_too_many_counts_are_refused_with_a_way_out(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    installation, cluster, _ = kept
    monkeypatch.setattr(tally, "_MOST_COUNTS", 100)
    query = replace(ALL, interval=Interval.DAY)
    assert counted(installation, cluster, query)[1].completed
    with pytest.raises(InvalidField, match="larger interval, or a shorter span"):
        counted(installation, cluster, replace(query, interval=Interval.MINUTE))
    with pytest.raises(InvalidField, match="larger interval, or a shorter span"):
        counted(installation, cluster, replace(query, text="o.o.n.Node", interval=Interval.MINUTE))
    with pytest.raises(InvalidField, match="n1, n2"):
        counted(installation, cluster, replace(query, node="n9"))


def test_count_ends_at_a_bound_and_says_so(kept: Kept) -> None:
    installation, cluster, _ = kept
    query = replace(ALL, interval=Interval.HOUR, use_index=False)
    whole, end = counted(installation, cluster, query)
    assert end.completed
    for bound in (replace(query, max_bytes=1), replace(query, max_seconds=1e-9)):
        part, ended = counted(installation, cluster, bound)
        assert not ended.completed
        assert ended.total.hits < end.total.hits
        assert all(part[time][level] <= whole[time][level] for time in part for level in part[time])
