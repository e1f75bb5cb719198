"""Whatever happens to what lies in the bucket is found, and told by what of the logs it concerns."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from logkeep.backup import segment
from logkeep.backup.segment import Sizes
from logkeep.database.connection import reading, writing
from logkeep.domain.cluster import Cluster
from logkeep.domain.verification import Finding, Orphans, Progress
from logkeep.errors import StoreUnreachable
from logkeep.service import backup_run, clusters, log_settings
from logkeep.service.verification import verify
from logkeep.stores.base import MARKER, ObjectStore
from tests.support.installation import SETTING, Installation

FRAME = 700  # bytes, so that a few kilobytes are many frames


@pytest.fixture(autouse=True)
def _small_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup_run, "SIZES", Sizes(FRAME, 10 * FRAME))
    assert segment.SIZES.frame > FRAME


def line(number: int) -> bytes:
    return b"[2026-11-24T%02d:%02d:%02d,000][INFO ] line %d\n" % (
        number // 3600,
        number // 60 % 60,
        number % 60,
        number,
    )


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "n1"
    folder.mkdir()
    (folder / "es.log").write_bytes(b"".join(map(line, range(1, 401))))
    (folder / "gc.log").write_bytes(random.Random(1).randbytes(3000))  # frames without a line end among them
    (folder / "empty.log").touch()
    return folder


@pytest.fixture
def kept(installation: Installation, logs: Path) -> Cluster:
    """A cluster with two backups; es.log grew between them."""
    cluster = installation.add_cluster(n1=logs)
    installation.back_up(cluster)
    with (logs / "es.log").open("ab") as log:
        log.write(b"".join(map(line, range(401, 501))))
    installation.back_up(cluster)
    return cluster


def everything(installation: Installation) -> list[Path]:
    return sorted(path for path in installation.bucket.rglob("*") if path.is_file() and path.name != MARKER)


def true_lines(content: bytes, finding: Finding) -> tuple[int, int]:
    """The lines that end in the bytes of a finding, or the one they are a part of."""
    first = content[: finding.start].count(b"\n") + 1
    return first, max(first, content[: finding.end].count(b"\n"))


# What is damaged


def test_every_damaged_frame_is_told_by_its_lines_and_times(
    installation: Installation, kept: Cluster, logs: Path
) -> None:
    victim = max(
        (path for path in installation.objects() if path.parent.name == "es.log"), key=lambda p: p.stat().st_size
    )
    data = bytearray(victim.read_bytes())
    whole = installation.segment_of(kept, victim)
    for frame in (whole.frames[1], whole.frames[4], whole.frames[5]):
        data[frame.offset + frame.stored // 2] ^= 0x10
    victim.write_bytes(data)
    found = installation.findings(kept, read_data=True)
    spans = [(whole.frames[1], whole.frames[1]), (whole.frames[4], whole.frames[5])]
    assert [(f.start, f.end) for f in found] == [(a.start, b.start + b.raw) for a, b in spans]
    for finding, (first, last) in zip(found, spans, strict=True):
        assert (finding.node, finding.family, finding.generation) == ("n1", "es.log", whole.generation)
        assert (finding.first_time, finding.last_time) == (first.first_time, last.last_time)
        assert finding.lines == true_lines((logs / "es.log").read_bytes(), finding)
        assert finding.problem.startswith("damaged at byte ")


def flip(data: bytes, at: int, how: int) -> bytes:
    at %= len(data)
    return data[:at] + bytes([data[at] ^ how]) + data[at + 1 :]


changes = st.one_of(
    st.tuples(st.just(flip), st.integers(0, 1_000_000), st.integers(1, 255)),
    st.tuples(st.just(lambda data, at, _: data[: at % len(data)]), st.integers(0, 1_000_000), st.just(0)),
    st.tuples(st.just(lambda data, _, more: data + bytes([more])), st.just(0), st.integers(0, 255)),
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.integers(0, 1_000_000), changes)
def test_any_flipped_cut_or_added_byte_is_found(
    installation: Installation, kept: Cluster, logs: Path, which: int, change: tuple[Any, int, int]
) -> None:
    files = [path for path in everything(installation) if path.suffix != ".sig"]
    victim = files[which % len(files)]
    before = victim.read_bytes()
    damage, at, how = change
    try:
        victim.write_bytes(damage(before, at, how))
        found = installation.findings(kept, read_data=True)
    finally:
        victim.write_bytes(before)
    assert {finding.object for finding in found} == {str(victim.relative_to(installation.bucket))}
    if victim.suffix == ".zst":
        content = (logs / found[0].family).read_bytes()
        assert [finding.lines for finding in found] == [true_lines(content, finding) for finding in found]
        _check_bytes(installation, kept, victim, found, change)


def _check_bytes(installation: Installation, kept: Cluster, victim: Path, found: list[Finding], change: Any) -> None:
    """The damaged frame is told; of what no frame shows, the whole segment."""
    whole = installation.segment_of(kept, victim)
    damage, at, _ = change
    if damage is flip:
        frame = next(f for f in whole.frames if f.offset <= at % whole.stored < f.offset + f.stored)
        spans = [(frame.start, frame.start + frame.raw), (whole.start, whole.end)]
        assert [(f.start, f.end) for f in found] in ([spans[0]], [spans[1]])
    else:
        cut = [f for f in whole.frames if at and f.offset + f.stored > at % whole.stored]
        assert [(f.start, f.end) for f in found] == [(cut[0].start if cut else whole.start, whole.end)]


def test_an_object_that_holds_another_valid_one_is_found(installation: Installation, kept: Cluster) -> None:
    one, other = [path for path in installation.objects() if path.parent.name == "es.log"][:2]
    one.write_bytes(other.read_bytes())
    assert {f.object for f in installation.findings(kept, read_data=True)} == {
        str(one.relative_to(installation.bucket))
    }


def test_frames_of_another_object_of_the_same_shape_are_found(installation: Installation, tmp_path: Path) -> None:
    logs = tmp_path / "twins"
    logs.mkdir()
    for name, sign in (("a.log", b"x"), ("b.log", b"y")):
        (logs / name).write_bytes((sign * 30 + b"\n") * 60)
    cluster = installation.add_cluster(n1=logs)
    installation.back_up(cluster)
    one, other = (next(p for p in installation.objects() if p.parent.name == name) for name in ("a.log", "b.log"))
    assert one.stat().st_size == other.stat().st_size
    one.write_bytes(other.read_bytes())
    [finding] = installation.findings(cluster, read_data=True)
    assert (finding.family, finding.lines) == ("a.log", (1, 60))
    assert "hash" in finding.problem


@pytest.mark.parametrize("deep", [False, True])
def test_missing_empty_and_cut_objects_are_found_by_their_sizes(
    installation: Installation, kept: Cluster, logs: Path, deep: bool
) -> None:
    gone, empty, cut = installation.objects()[:3]
    gone.unlink()
    empty.write_bytes(b"")
    cut.write_bytes(cut.read_bytes()[:-1])
    found = installation.findings(kept, read_data=deep)
    assert {f.object: f.lines for f in found} == {
        str(path.relative_to(installation.bucket)): true_lines(
            (logs / path.parent.name).read_bytes(), next(f for f in found if f.object.endswith(path.name))
        )
        for path in (gone, empty, cut)
    }
    assert next(f for f in found if f.object.endswith(gone.name)).problem == "missing"


def test_lines_are_unknown_where_what_came_before_is_not_kept(installation: Installation, kept: Cluster) -> None:
    """As where a catalogue was made anew from a chain with a hole."""
    victim = next(p for p in installation.objects() if installation.segment_of(kept, p).start > 0)
    victim.unlink()
    with writing(installation.runtime.database) as connection:
        connection.execute(text("DELETE FROM segments WHERE start = 0"))
    finding = next(one for one in installation.findings(kept) if one.node)
    assert finding.lines is None
    assert (finding.start, finding.end) != (None, None)


class Failing:
    """A bucket whose disk cannot read some objects any more."""

    def __init__(self, store: ObjectStore, broken: set[str]) -> None:
        self._store = store
        self._broken = broken

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def open(self, name: str) -> BinaryIO:
        if name in self._broken:
            raise StoreUnreachable("Input/output error")
        return self._store.open(name)


def failing(installation: Installation, *paths: Path) -> Installation:
    broken = {str(path.relative_to(installation.bucket)) for path in paths}
    stores: Any = {"logs": Failing(installation.runtime.stores["logs"], broken)}
    return replace(installation, runtime=replace(installation.runtime, stores=stores))


def test_one_object_that_cannot_be_read_does_not_hide_the_others(installation: Installation, kept: Cluster) -> None:
    first, *_, last = installation.objects()
    last.write_bytes(last.read_bytes()[:-1] + b"?")
    found = failing(installation, first).findings(kept, read_data=True)
    assert [f.object for f in found] == [str(p.relative_to(installation.bucket)) for p in (first, last)]
    assert found[0].problem == "cannot be read: LK-STORE-UNREACHABLE: Input/output error"


def test_a_bucket_that_fails_again_and_again_ends_the_verification(installation: Installation, kept: Cluster) -> None:
    with pytest.raises(StoreUnreachable):
        failing(installation, *installation.objects()).verify(kept, read_data=True)


# What does not belong there


def test_a_foreign_object_is_a_finding(installation: Installation, kept: Cluster) -> None:
    folder = installation.bucket / "css/log/prod"
    job_id = installation.jobs(kept)[0].job_id
    foreign = [
        folder / "notes.txt",
        folder / "n1/es.log/copy of an object.zst",
        folder / f"n1/es.log/00000099-000000000000000-{job_id}.1-1.zst",  # its job was done at the first attempt
        folder / f"deeper/n1/es.log/00000099-000000000000000-{'a' * 32}.1-1.zst",
        folder / f"_manifests/20261124T000000000Z-{job_id}.7.json",
        folder / f"_manifests/20261124T000000000Z-{'b' * 32}.1.json",
        folder / f"_manifests/20261124T000000000Z-{job_id}.7.json.sig",
    ]
    for path in foreign:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"theirs")
    found = installation.findings(kept)
    assert sorted(f.object for f in found) == sorted(str(path.relative_to(installation.bucket)) for path in foreign)
    assert {f.problem for f in found} == {"foreign: nothing in the catalogue tells of it"}


def test_what_lies_beside_the_folders_of_the_cluster_is_not_its_matter(
    installation: Installation, kept: Cluster
) -> None:
    for name in ("css/log/prod2/x", "css/log/prod.txt", "other/prod/x"):
        path = installation.bucket / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"theirs")
    assert not installation.findings(kept)


def test_folders_that_the_setting_left_are_looked_at_too(installation: Installation, kept: Cluster) -> None:
    log_settings.update_setting(installation.runtime, kept, replace(SETTING, base_path="elsewhere"))
    installation.back_up(kept)
    for folder in ("css/log/prod", "elsewhere/prod"):
        (installation.bucket / folder / "x").write_bytes(b"theirs")
    assert [f.object for f in installation.findings(kept)] == ["css/log/prod/x", "elsewhere/prod/x"]


@pytest.mark.usefixtures("shared_folder")
def test_objects_of_a_removed_cluster_are_foreign_to_one_of_its_name_and_no_orphans(
    installation: Installation, kept: Cluster, logs: Path
) -> None:
    clusters.remove_cluster(installation.runtime, kept)
    old = everything(installation)
    again = installation.add_cluster(n1=logs)
    told = installation.verify(again)
    assert told[-1] == Orphans(0, 0)
    assert len([one for one in told if isinstance(one, Finding)]) == len(old)


def test_what_a_backup_stores_meanwhile_is_neither_missing_nor_foreign(
    installation: Installation, kept: Cluster, logs: Path
) -> None:
    told: list[object] = []
    for one in verify(installation.runtime, kept, read_data=True):
        told.append(one)
        if isinstance(one, Progress) and one.objects == 1:
            (logs / "aaa.log").write_bytes(b"new\n")
            (logs / "zzz.log").write_bytes(b"new\n")
            installation.back_up(kept)
    assert not [one for one in told if isinstance(one, Finding)]
    assert told[-1] == Orphans(0, 0)


# Taking turns


@pytest.fixture
def many(installation: Installation, tmp_path: Path) -> Cluster:
    logs = tmp_path / "many"
    logs.mkdir()
    for number in range(1, 101):
        (logs / f"es-2026-11-24-{number}.log").write_bytes(b"%d\n" % number)
    cluster = installation.add_cluster(n1=logs)
    installation.back_up(cluster)
    return cluster


def read_times(installation: Installation) -> dict[str, int]:
    with reading(installation.runtime.database) as connection:
        return {row[0]: row[1] for row in connection.execute(text("SELECT object, read_at FROM segments"))}


def read_by(installation: Installation, cluster: Cluster, sample: float) -> set[str]:
    """The objects that one run reads back."""
    before = read_times(installation)
    told = installation.verify(cluster, sample=sample)
    read = {name for name, at in read_times(installation).items() if at != before[name]}
    assert [one for one in told if isinstance(one, Progress)][-1].objects_read == len(read)
    return read


def test_twenty_runs_of_five_percent_read_every_object_once(installation: Installation, many: Cluster) -> None:
    runs = [read_by(installation, many, 5) for _ in range(20)]
    assert [len(run) for run in runs] == [5] * 20
    assert len(set().union(*runs)) == 100


def test_no_object_waits_longer_while_others_are_added(
    installation: Installation, many: Cluster, tmp_path: Path
) -> None:
    first = set(read_times(installation))
    read: set[str] = set()
    for run in range(20):
        for number in range(8):
            (tmp_path / "many" / f"new-{run}-{number}.log").write_bytes(b"%d %d\n" % (run, number))
        installation.back_up(many)
        read |= read_by(installation, many, 5)
    assert first <= read
    second = set(read_times(installation))
    for _ in range(20):
        read |= read_by(installation, many, 5)
    assert second <= read


def test_damage_anywhere_is_found_within_twenty_runs_and_then_told_each_time(
    installation: Installation, many: Cluster
) -> None:
    victim = random.Random(7).choice(installation.objects())
    data = victim.read_bytes()
    victim.write_bytes(flip(data, 9, 1))
    found = [bool(installation.findings(many, sample=5)) for _ in range(22)]
    assert found == sorted(found)
    assert found[19:] == [True] * 3
    victim.write_bytes(data)
    assert not installation.findings(many, sample=5)
    assert len(read_by(installation, many, 5)) == 5


def test_reading_everything_back_counts_as_a_turn(installation: Installation, many: Cluster) -> None:
    halfway = [read_by(installation, many, 5) for _ in range(10)]
    assert len(set().union(*halfway)) == 50
    installation.verify(many, read_data=True)
    again = [read_by(installation, many, 5) for _ in range(20)]
    assert len(set().union(*again)) == 100


@pytest.mark.parametrize(("percent", "count"), [(0.001, 1), (1, 1), (1.1, 2), (7, 7), (100, 100)])
def test_a_part_of_an_object_is_read_as_one(
    installation: Installation, many: Cluster, percent: float, count: int
) -> None:
    assert len(read_by(installation, many, percent)) == count
