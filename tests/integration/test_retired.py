"""What the database gives of the generations that are retired."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from logkeep.backup.identity import Fits, Heads, fingerprint, lead_of
from logkeep.database.connection import reading, writing
from logkeep.database.generations import save_checkpoints
from logkeep.database.retired import RetiredGenerations
from logkeep.domain.cluster import Cluster
from logkeep.domain.manifest import Checkpoint, Fingerprint
from logkeep.logformat.names import parse_name
from logkeep.service.catalogue import JobCatalogue
from logkeep.sources.base import LogFile
from tests.support.installation import Installation

FAMILIES = ["app.log", "gc.log", "prod.log"]
CONTENTS = [
    bytes([one]) * 200 + bytes([two]) * 200 + bytes([three]) * 5000 for one in b"ab" for two in b"cd" for three in b"ef"
]


@st.composite
def generations(draw: st.DrawFn) -> list[Checkpoint]:
    found: list[Checkpoint] = []
    for number in range(1, draw(st.integers(1, 12)) + 1):
        content = draw(st.sampled_from(CONTENTS))[: draw(st.sampled_from([10, 100, 200, 300, 500, 5000]))]
        family, present = draw(st.sampled_from(FAMILIES)), draw(st.integers(0, 3)) == 0
        head = fingerprint(content[:4096])
        times = draw(
            st.sampled_from(
                [
                    ("", ""),
                    ("2026-11-24T10:00:00", "2026-11-24T10:00:00"),
                    ("2026-11-24T10:00:00", "2026-11-24T11:00:00"),
                ]
            )
        )
        found.append(
            Checkpoint(number, family, float(number), f"{family}.{number}", len(content), head, head, *times, present, lead=lead_of(content))
        )  # fmt: skip
    return found


@pytest.fixture
def catalogue(installation: Installation, cluster: Cluster) -> JobCatalogue:
    return JobCatalogue(installation.runtime.database, cluster.id, uuid4().hex, 1)


@settings(
    derandomize="LOGKEEP_TEST_HISTORIES" not in os.environ,
    max_examples=int(os.environ.get("LOGKEEP_TEST_HISTORIES", "100")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    generations(), st.sampled_from(FAMILIES), st.sampled_from(CONTENTS), st.sampled_from([5, 100, 200, 256, 400, 4096])
)
def test_file_fits_what_it_would_fit_were_all_generations_loaded(
    catalogue: JobCatalogue, known: list[Checkpoint], family: str, content: bytes, length: int
) -> None:
    node = uuid4().hex
    with writing(catalogue._database) as connection:
        save_checkpoints(connection, catalogue._cluster_id, node, known)
        last = {c.family: c.generation for c in known}  # of each log one stays, so that it is known to be one
        gone = {c.generation for c in known if not c.present} - set(last.values())
        RetiredGenerations(connection, catalogue._cluster_id, node).add(gone)
    loaded = catalogue.checkpoints(node)
    assert {c.generation for c in loaded} == {c.generation for c in known} - gone
    loaded += catalogue.retired_alike(node, family, content[:length])
    file, name = LogFile(f"{family}.99", length, 1, 1, ""), parse_name(f"{family}.99", FAMILIES)
    assert fits(Heads(loaded).fitting(file, name, content[:length])) == fits(
        Heads(known).fitting(file, name, content[:length])
    )


def fits(found: Fits) -> tuple[list[int], list[int]]:
    return sorted(c.generation for c in found.own), sorted(c.generation for c in found.foreign)


def a_generation(number: int, **changes: object) -> Checkpoint:
    head = fingerprint(b"%d" % number)
    lead = sha256(b"%d" % number).hexdigest()
    return replace(
        Checkpoint(number, "app.log", float(number), "app.log.1", 300, head, head, present=False, lead=lead), **changes
    )  # type: ignore[arg-type]


def test_what_is_saved_is_retired_no_more(catalogue: JobCatalogue) -> None:
    with writing(catalogue._database) as connection:
        save_checkpoints(connection, catalogue._cluster_id, "n", [a_generation(1), a_generation(2)])
        RetiredGenerations(connection, catalogue._cluster_id, "n").add({1, 2})
        save_checkpoints(connection, catalogue._cluster_id, "n", [a_generation(2, present=True)])
    assert [c.generation for c in catalogue.checkpoints("n")] == [2]


def test_number_of_steps_does_not_depend_on_how_much_is_retired(catalogue: JobCatalogue) -> None:
    said: list[str] = []
    event.listen(catalogue._database, "before_cursor_execute", lambda *given: said.append(given[2]))
    counts = set()
    for number in (50, 5000):
        node = f"n{number}"
        with writing(catalogue._database) as connection:
            rows = [a_generation(one, head=Fingerprint(4096, f"{one}")) for one in range(number)]
            save_checkpoints(connection, catalogue._cluster_id, node, [replace(c, lead=rows[0].lead) for c in rows])
            RetiredGenerations(connection, catalogue._cluster_id, node).add(range(number))
        catalogue.retired_alike(node, "app.log", b"")
        said.clear()
        assert len(catalogue.retired_alike(node, "app.log", b"other" * 1000)) == 0
        assert catalogue.checkpoints(node) == []
        counts.add(len(said))
    assert len(counts) == 1


def test_sqlite_answers_from_the_index(catalogue: JobCatalogue) -> None:
    plans = list(_plans(catalogue))
    assert plans
    assert all("ix_generations_retired" in plan and "SCAN" not in plan for plan in plans), plans


def _plans(catalogue: JobCatalogue) -> Iterator[str]:
    with writing(catalogue._database) as connection:
        save_checkpoints(connection, catalogue._cluster_id, "n", [a_generation(n) for n in range(1, 20)])
        RetiredGenerations(connection, catalogue._cluster_id, "n").add(range(2, 20))
    said: list[tuple[str, object]] = []
    event.listen(catalogue._database, "before_cursor_execute", lambda *given: said.append(given[2:4]))
    catalogue.checkpoints("n")
    catalogue.retired_alike("n", "app.log", b"3" * 300)
    with reading(catalogue._database) as connection:
        for statement, given in list(said):
            if "generations" in statement:
                rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given)  # type: ignore[arg-type]
                yield " ".join(str(row[3]) for row in rows)
