"""What is told of the span that is held of each log, and of what is missing."""

from __future__ import annotations

from pathlib import Path

from logkeep.domain.backup_job import JobStatus
from logkeep.domain.cluster import Cluster
from logkeep.domain.coverage import LogCoverage
from logkeep.domain.manifest import Frame, earliest_time, latest_time
from logkeep.service import coverage, log_settings
from tests.support.installation import Installation


def line(hour: int, text: str = "a line") -> bytes:
    return b"[2026-11-24T%02d:00:00,000][INFO ] %s\n" % (hour, text.encode())


def held(installation: Installation, cluster: Cluster, **which: str) -> dict[tuple[str, str], LogCoverage]:
    return {(one.node, one.family): one for one in coverage.list_held(installation.runtime, cluster, **which)}


def test_each_log_is_told_with_its_span_and_sums(installation: Installation, cluster: Cluster, logs: Path) -> None:
    (logs / "es-2026-11-24-1.log").write_bytes(line(1) + line(2))
    (logs / "es.log").write_bytes(line(3) * 3)
    (logs / "es_audit.json").touch()
    installation.back_up(cluster)
    with (logs / "es.log").open("ab") as file:
        file.write(line(5))
    installation.back_up(cluster)
    told = held(installation, cluster)
    log = told["n1", "es.log"]
    assert (log.first_time, log.last_time) == ("2026-11-24T01:00:00,000", "2026-11-24T05:00:00,000")
    assert (log.generations, log.lines, log.raw) == (2, 6, 6 * len(line(1)))
    assert log.stored == sum(path.stat().st_size for path in installation.objects())
    empty = told["n1", "es_audit.json"]
    assert (empty.generations, empty.lines, empty.raw, empty.first_time) == (0, 0, 0, "")


def test_every_gap_is_told_in_the_order_of_time_with_its_job(
    installation: Installation, cluster: Cluster, logs: Path
) -> None:
    jobs: list[str] = []
    for hour in (1, 4, 9):
        (logs / "es.log").write_bytes(line(hour, f"generation of {hour}"))
        jobs.append(installation.back_up(cluster).job_id)
    gaps = held(installation, cluster)["n1", "es.log"].gaps
    assert [(told.gap.after[11:13], told.gap.until[11:13]) for told in gaps] == [("01", "04"), ("04", "09")]
    assert [told.job_id for told in gaps] == jobs[1:]


def test_a_gap_stays_known_when_the_record_that_told_it_is_cleared(
    installation: Installation, cluster: Cluster, logs: Path
) -> None:
    (logs / "es.log").write_bytes(line(1))
    installation.back_up(cluster)
    (logs / "es.log").write_bytes(line(4, "another"))
    installation.back_up(cluster)
    logs.rename(logs.with_name("away"))
    assert installation.back_up(cluster).status is JobStatus.FAIL
    log_settings.close_backup(installation.runtime, cluster)
    assert len(held(installation, cluster)["n1", "es.log"].gaps) == 1


def zoned(clock: str, zone: str) -> bytes:
    return f"[2026-10-25T{clock},000{zone}][INFO ] an event at {clock}{zone}\n".encode() * 8


def test_the_span_of_a_log_is_one_of_instants_over_a_change_of_daylight_saving(
    installation: Installation, cluster: Cluster, logs: Path
) -> None:
    utc_00_50, utc_01_10 = ("02:50:00", "+02:00"), ("02:10:00", "+01:00")
    for name, moment in (("es-2026-10-25-1.log", utc_00_50), ("es.log", utc_01_10)):
        with (logs / "gc.log").open("ab") as file:
            file.write(zoned(*moment))
        (logs / name).write_bytes(zoned(*moment))
        installation.back_up(cluster)
    told = held(installation, cluster)
    for one in (told["n1", "gc.log"], told["n1", "es.log"]):
        assert (one.first_time, one.last_time) == ("2026-10-25T02:50:00,000+02:00", "2026-10-25T02:10:00,000+01:00")
        assert one.lines == 16
    assert told["n1", "es.log"].generations == 2


def test_gaps_are_in_the_order_of_instants_over_a_change_of_daylight_saving(
    installation: Installation, cluster: Cluster, logs: Path
) -> None:
    times = ("02:40:00", "+02:00"), ("02:50:00", "+02:00"), ("02:10:00", "+01:00"), ("02:20:00", "+01:00")
    jobs: list[str] = []
    for clock, zone in times:
        (logs / "es.log").write_bytes(zoned(clock, zone))
        jobs.append(installation.back_up(cluster).job_id)
    gaps = held(installation, cluster)["n1", "es.log"].gaps
    assert [told.job_id for told in gaps] == jobs[1:]


def test_the_span_of_a_segment_is_one_of_instants() -> None:
    frames = [
        Frame(0, 10, 0, 10, f"2026-10-25T{first}", f"2026-10-25T{last}", None, 1)
        for first, last in (("02:50:00,000+02:00", "02:59:00,000+02:00"), ("02:00:00,000+01:00", "02:10:00,000+01:00"))
    ]
    unknown = Frame(20, 10, 20, 10, "", "", None, 1)
    assert earliest_time([*frames, unknown]) == "2026-10-25T02:50:00,000+02:00"
    assert latest_time([*frames, unknown]) == "2026-10-25T02:10:00,000+01:00"


def test_only_one_node_or_log_is_told_when_asked_for(installation: Installation, tmp_path: Path) -> None:
    for node in ("n1", "n2", "n3"):
        (tmp_path / node).mkdir(exist_ok=True)
        if node != "n3":
            (tmp_path / node / "es.log").write_bytes(line(1))
            (tmp_path / node / "gc.log").write_bytes(line(1))
    cluster = installation.add_cluster(**{node: tmp_path / node for node in ("n1", "n2", "n3")})
    installation.back_up(cluster)
    assert list(held(installation, cluster, node="n2")) == [("n2", "es.log"), ("n2", "gc.log")]
    assert list(held(installation, cluster, family="gc.log")) == [("n1", "gc.log"), ("n2", "gc.log")]
    assert list(held(installation, cluster, node="n1", family="gc.log")) == [("n1", "gc.log")]
    assert list(held(installation, cluster, node="other")) == []
    assert ("n3", "") in held(installation, cluster)


def test_the_newest_backup_that_succeeded_is_told(
    installation: Installation, cluster: Cluster, logs: Path, tmp_path: Path
) -> None:
    assert coverage.get_last_success(installation.runtime, cluster) is None
    (logs / "es.log").write_bytes(line(1))
    job = installation.back_up(cluster)
    logs.rename(tmp_path / "away")
    assert installation.back_up(cluster).status is JobStatus.FAIL
    assert coverage.get_last_success(installation.runtime, cluster) == (job.job_id, job.finished_at)


def test_more_nodes_than_one_page_are_all_told(installation: Installation, tmp_path: Path) -> None:
    nodes = {f"n{number}": tmp_path / f"logs-{number}" for number in range(120)}
    for directory in nodes.values():
        directory.mkdir()
        (directory / "es.log").write_bytes(line(1))
    cluster = installation.add_cluster(**nodes)
    installation.back_up(cluster)
    assert len(held(installation, cluster)) == 120
