"""What rules of retention removed is told as removed by all who read the archive, and by nobody as missing."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from logkeep.database import retention as retention_rows
from logkeep.database.connection import reading
from logkeep.domain.archive_search import ArchiveQuery, Hit, SearchEnd
from logkeep.domain.cluster import Adoption, Cluster
from logkeep.domain.histogram import Bucket, Interval
from logkeep.domain.record_filter import RecordFilter
from logkeep.domain.removed_span import RemovedSpan
from logkeep.domain.retention import RetentionRule
from logkeep.domain.span import Span, read_moment
from logkeep.domain.task import TaskFilter
from logkeep.domain.verification import Chain, Removed
from logkeep.service import archive, clusters, coverage, job_details, retention, sweep, tasks
from logkeep.service.adoption import adopt_cluster
from logkeep.service.archive_search import search_archive
from logkeep.service.histogram import count_over_time
from logkeep.service.indexing import index_cluster
from logkeep.service.rebuild import rebuild
from logkeep.stores.layout import decode_manifest, manifest_hash
from tests.integration.test_rebuild import everything, forget
from tests.integration.test_retention import DAY, Node, entries
from tests.support.installation import Installation
from tests.support.tampering import Document, forge, make_stranger, manifests, signature

RULE = RetentionRule(keep_days=3)


@pytest.fixture
def node(installation: Installation, cluster: Cluster, logs: Path) -> Node:
    """A node of ten days, of which the first seven were removed."""
    node = Node(installation, cluster, logs)
    node.live(10)
    node.set_rules(RULE)
    node.run()
    assert node.days() == [8, 9, 10]
    return node


def all_told(installation: Installation, cluster: Cluster) -> dict[str, Any]:
    """All that can be asked, and what is said of what was removed."""
    runtime = installation.runtime
    state = retention.get_state(runtime, cluster)
    found = everything(installation, cluster)
    return found | {
        # A forecast is of the service that made it.
        "coverage": [replace(one, safe_until=None) for one in coverage.list_held(runtime, cluster)],
        "removals": retention.list_removals(runtime, cluster),
        "removed": (state.removed_objects, state.removed_stored, state.removed_raw, state.waiting.objects),
        "tasks": [
            (one.at, one.raw, one.stored) for one in tasks.iterate_tasks(runtime, cluster.project_id, TaskFilter())
        ],
        "jobs": [
            job_details.get_detail(runtime, cluster.project_id, job.job_id).removed for job in found["records"][0]
        ],
    }


def test_verification_tells_removed_from_missing(node: Node) -> None:
    installation, cluster = node.installation, node.cluster
    told = installation.verify(cluster, chain=True)
    assert [one for one in told if isinstance(one, Removed)] == [Removed(7, 0, 0)]
    [chain] = [one for one in told if isinstance(one, Chain)]
    [entry] = entries(installation)
    assert (chain.entries, chain.last_entry) == (1, manifest_hash(entry.read_bytes()))
    assert not installation.findings(cluster, chain=True)
    installation.objects()[0].unlink()
    [finding] = installation.findings(cluster)
    assert finding.problem == "missing"


def test_the_next_manifest_names_the_last_entry(node: Node) -> None:
    installation = node.installation
    node.live(1)
    [entry] = entries(installation)
    last, before = (decode_manifest(path.read_bytes()).removal for path in manifests(installation.bucket)[:-3:-1])
    assert (before, last) == ("", manifest_hash(entry.read_bytes()))
    node.run()
    node.live(1)
    second = entries(installation)[-1]
    assert json.loads(second.read_bytes())["previous"] == last
    assert not installation.findings(node.cluster, chain=True)


def test_what_is_to_be_removed_yet_is_neither_foreign_nor_an_orphan(
    installation: Installation, cluster: Cluster, logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(installation, cluster, logs)
    node.live(10)
    node.set_rules(RULE)
    steps = retention.run(installation.runtime, cluster, confirm=True, who="alice")
    with monkeypatch.context() as patched:
        patched.setattr("logkeep.service.retention_run.RetentionRun._remove_objects", lambda _: iter(()))
        list(steps)
    assert len(installation.objects()) == 10
    told = installation.verify(cluster, chain=True)
    assert [(one.objects, one.waiting) for one in told if isinstance(one, Removed)] == [(7, 7)]
    assert not installation.findings(cluster)
    assert not list(sweep.sweep(installation.runtime, cluster, grace_ms=0, remove=True))
    assert node.restored() == node.text(8, 9, 10)


@pytest.mark.parametrize("deed", ["lost", "unsigned", "forged", "changed"])
def test_entry_without_proof_is_told(node: Node, tmp_path: Path, deed: str) -> None:
    installation, cluster = node.installation, node.cluster
    [entry] = entries(installation)
    stranger = make_stranger(tmp_path / "stranger")
    if deed == "lost":
        entry.unlink()
    elif deed == "unsigned":
        signature(entry).unlink()
    elif deed == "forged":
        forge(entry, stranger, lambda document: document["segments"].pop())
    else:
        entry.write_bytes(entry.read_bytes() + b"\n")
    assert installation.findings(cluster)
    assert installation.findings(cluster, chain=True)
    anew = forget(installation)
    [rebuilt] = rebuild(anew.runtime, ["logs"]).clusters
    assert rebuilt.removed == 0
    assert deed == "lost" or rebuilt.problems
    missing = [one for one in anew.findings(cluster) if one.problem == "missing"]
    assert len(missing) == 7
    anew.runtime.database.dispose()


def test_entry_that_a_manifest_names_counts_without_its_signature(node: Node) -> None:
    node.live(1)
    [entry] = entries(node.installation)
    signature(entry).unlink()
    anew = forget(node.installation)
    [rebuilt] = rebuild(anew.runtime, ["logs"]).clusters
    assert rebuilt.removed == 7
    assert "its signature is missing; what is proven names it" in rebuilt.problems[0]
    anew.runtime.database.dispose()


def test_forged_entry_beside_the_others_removes_nothing(node: Node, tmp_path: Path) -> None:
    installation, cluster = node.installation, node.cluster
    [entry] = entries(installation)
    stranger = make_stranger(tmp_path / "stranger")
    left = [installation.segment_of(cluster, path) for path in installation.objects()]

    def forged(document: Document) -> None:
        document |= {"number": 2, "previous": manifest_hash(entry.read_bytes())}
        document["object"] = document["object"].replace("-00000001-", "-00000002-")
        model = document["segments"][0]
        document["segments"] = [
            model | {name: getattr(one, name) for name in ("generation", "start", "end", "object", "stored", "sha256")}
            for one in left
        ]

    forge(entry.with_name(entry.name.replace("-00000001-", "-00000002-")), stranger, forged, entry)
    with structlog.testing.capture_logs():
        node.live(1)
    assert node.days() == [8, 9, 10, 11]
    assert any(one.problem.startswith("foreign") for one in installation.findings(cluster))
    anew = forget(installation)
    [rebuilt] = rebuild(anew.runtime, ["logs"]).clusters
    assert rebuilt.removed == 7
    assert "counts for nothing" in rebuilt.problems[0]
    anew.runtime.database.dispose()


def test_rebuilt_catalogue_knows_what_was_removed(node: Node) -> None:
    node.live(3)
    node.run()
    node.live(1)
    before = all_told(node.installation, node.cluster)
    assert before["removed"][0] == 10
    anew = forget(node.installation)
    [rebuilt] = rebuild(anew.runtime, ["logs"]).clusters
    assert (rebuilt.problems, rebuilt.removed, rebuilt.objects) == ([], 10, 4)
    assert all_told(anew, node.cluster) == before
    stored = anew.objects()
    anew.back_up(node.cluster)
    assert anew.objects() == stored
    anew.runtime.database.dispose()


def test_rebuilt_catalogue_goes_on_with_what_was_to_be_removed(
    installation: Installation, cluster: Cluster, logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(installation, cluster, logs)
    node.live(10)
    node.set_rules(RULE)
    steps = retention.run(installation.runtime, cluster, confirm=True, who="alice")
    with monkeypatch.context() as patched:
        patched.setattr("logkeep.service.retention_run.RetentionRun._remove_objects", lambda _: iter(()))
        list(steps)
    installation.objects()[0].unlink()
    anew = forget(installation)
    rebuild(anew.runtime, ["logs"])
    assert retention.get_state(anew.runtime, cluster).waiting.objects == 6
    due = retention.retain_most_due(anew.runtime, 0)
    assert due
    list(due[1])
    assert len(anew.objects()) == 3
    assert not anew.findings(cluster, chain=True)
    anew.runtime.database.dispose()


def test_adopted_archive_knows_what_was_removed(node: Node) -> None:
    installation, cluster = node.installation, node.cluster
    before = all_told(installation, cluster)
    [removal] = retention.list_removals(installation.runtime, cluster)
    clusters.remove_cluster(installation.runtime, cluster)
    adopt_cluster(installation.runtime, cluster.project_id, Adoption(cluster_id=cluster.id, name="prod"))
    assert retention.list_removals(installation.runtime, cluster) == [removal]
    after = all_told(installation, cluster)
    assert {key: after[key] for key in ("restored", "coverage", "jobs")} == {
        key: before[key] for key in ("restored", "coverage", "jobs")
    }


def test_database_that_was_put_back_takes_up_what_was_removed_since(
    installation: Installation, cluster: Cluster, logs: Path, tmp_path: Path
) -> None:
    node = Node(installation, cluster, logs)
    node.live(8)
    copy = copy_database(installation, tmp_path)
    node.live(2)
    node.set_rules(RULE)
    node.run()
    node.live(1)
    put_back(installation, copy)
    node.live(1)
    assert not installation.findings(cluster, chain=True)
    assert node.days() == [8, 9, 10, 11, 12]
    with reading(installation.runtime.database) as connection:
        assert [row.number for row in retention_rows.fetch_entries(connection, cluster.id)] == [1]
    due = retention.retain_most_due(installation.runtime, 0)
    assert due
    assert list(due[1])[-1].waiting == 0


def test_verification_takes_up_what_was_removed_since_a_copy_of_the_database(
    installation: Installation, cluster: Cluster, logs: Path, tmp_path: Path
) -> None:
    node = Node(installation, cluster, logs)
    node.live(10)
    copy = copy_database(installation, tmp_path)
    node.set_rules(RULE)
    node.run()
    put_back(installation, copy)
    assert not installation.findings(cluster, chain=True)
    assert node.restored() == node.text(8, 9, 10)


def copy_database(installation: Installation, folder: Path) -> Path:
    installation.runtime.database.dispose()
    copy = folder / "copy"
    copy.mkdir()
    for path in installation.folder.glob("logkeep.db*"):
        shutil.copy(path, copy)
    return copy


def put_back(installation: Installation, copy: Path) -> None:
    installation.runtime.database.dispose()
    for path in installation.folder.glob("logkeep.db*"):
        path.unlink()
    for path in copy.iterdir():
        shutil.copy(path, installation.folder)


def test_restore_gives_what_is_left(node: Node) -> None:
    runtime, cluster = node.installation.runtime, node.cluster
    assert node.restored() == node.text(8, 9, 10)
    span = Span(read_moment("2026-01-02"), read_moment("2026-01-09"))
    kept = list(archive.list_kept(runtime, cluster, span=span))
    assert len(kept) == 1
    assert b"day 8 of" in b"".join(archive.read_kept(runtime, cluster, "n1", kept[0].generation, span=span))


def query(text: str, since: str = "", until: str = "", *, count: bool = False) -> ArchiveQuery:
    span = Span(read_moment(since) if since else None, read_moment(until) if until else None)
    return ArchiveQuery(text, False, False, "", "", RecordFilter(span), 100, count)


def test_search_tells_what_was_removed(node: Node) -> None:
    runtime, cluster = node.installation.runtime, node.cluster
    told = list(search_archive(runtime, cluster, query("of many")))
    assert [one.text.partition(" day ")[2][:2].strip() for one in told if isinstance(one, Hit)] == ["8", "9", "10"]
    [removed] = [one for one in told if isinstance(one, RemovedSpan)]
    assert (removed.rule, removed.objects, removed.lines) == ("keep_days=3", 7, 7)
    assert (removed.first_time[:10], removed.last_time[:10]) == ("2026-01-01", "2026-01-07")
    assert isinstance(told[-1], SearchEnd)
    assert told[-1].completed


def test_search_outside_of_what_was_removed_does_not_tell_it(node: Node) -> None:
    told = list(search_archive(node.installation.runtime, node.cluster, query("of many", "2026-01-08")))
    assert not [one for one in told if isinstance(one, RemovedSpan)]


def test_count_tells_what_was_removed(node: Node) -> None:
    for text in ("", "of many"):
        told = list(count_over_time(node.installation.runtime, node.cluster, query(text, count=True), Interval.DAY))
        assert [one.time for one in told if isinstance(one, Bucket)] == ["2026-01-08", "2026-01-09", "2026-01-10"]
        assert len([one for one in told if isinstance(one, RemovedSpan)]) == 1


def test_coverage_begins_where_something_is_left(node: Node) -> None:
    [held] = coverage.list_held(node.installation.runtime, node.cluster)
    assert (held.first_time[:10], held.generations, held.lines) == ("2026-01-08", 3, 3)
    [removed] = held.removed
    assert (removed.rule, removed.raw) == ("keep_days=3", len(node.text(*range(1, 8))))
    node.installation.clock.advance(DAY)
    node.installation.back_up(node.cluster)
    [held] = coverage.list_held(node.installation.runtime, node.cluster)
    assert held.first_time[:10] == "2026-01-08"


def test_job_tells_what_of_it_was_removed(node: Node) -> None:
    runtime, cluster = node.installation.runtime, node.cluster
    *_, first = node.installation.jobs(cluster)
    detail = job_details.get_detail(runtime, cluster.project_id, first.job_id)
    assert (detail.files, detail.removed.objects, detail.removed.lines) == ([], 1, 1)
    *_, task = tasks.iterate_tasks(runtime, cluster.project_id, TaskFilter())
    assert task.raw == len(node.text(1))


def test_index_objects_go_with_the_last_segment_that_they_tell_of(
    installation: Installation, cluster: Cluster, logs: Path
) -> None:
    node = Node(installation, cluster, logs)
    for days in (6, 2, 2):
        node.live(days)
        list(index_cluster(installation.runtime, cluster))
    assert len(indexes(installation)) == 3
    node.set_rules(RULE)
    node.run()
    assert len(indexes(installation)) == 2
    assert len([one for one in search_archive(installation.runtime, cluster, query("of many")) if isinstance(one, Hit)])
    assert not installation.findings(cluster, chain=True)


def indexes(installation: Installation) -> list[Path]:
    names = [path for path in installation.bucket.rglob("_index/*/*") if path.suffix == ".idx"]
    assert {Path(f"{path}.sig") for path in names} == set(installation.bucket.rglob("_index/*/*.sig"))
    return names
