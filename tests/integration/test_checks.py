"""A look at the log directories of a cluster tells what a backup would meet, and is bounded in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from logkeep.domain.cluster import NewNode
from logkeep.domain.node_check import NodeCheck
from logkeep.errors import SourceUnreadable
from logkeep.service import checks
from logkeep.sources.base import Listing, LogSource, OpenLog, PassedKind
from tests.support.installation import Installation


def look(installation: Installation, *nodes: NewNode, **bounds: float) -> dict[str, NodeCheck]:
    found = checks.check_nodes(installation.runtime, installation.project.id, nodes, **bounds)  # type: ignore[arg-type]
    return {one.node: one for one in found}


class Odd(LogSource):
    """Some of its files may not be read, and a folder cannot be listed."""

    def __init__(self, source: LogSource, before: Callable[[], None] = lambda: None) -> None:
        self._source = source
        self._before = before

    def list(self) -> Listing:
        self._before()
        listing = self._source.list()
        listing.pass_over("closed/", PassedKind.CLOSED, "Permission denied; let the logkeep user enter it")
        return listing

    def open(self, name: str) -> OpenLog:
        if name.startswith("secret"):
            raise SourceUnreadable(f"{name!r} cannot be read: Permission denied; let the logkeep user read it")
        return self._source.open(name)


def odd(installation: Installation, before: Callable[[], None] = lambda: None) -> Installation:
    opened = installation.runtime.open_source
    runtime = replace(installation.runtime, open_source=lambda *asked: Odd(opened(*asked), before))
    return replace(installation, runtime=runtime)


def test_a_look_tells_what_is_there_and_what_would_be_left_out(installation: Installation, logs: Path) -> None:
    (logs / "es.log").write_bytes(b"x" * 100)
    (logs / "es-1.log").write_bytes(b"x" * 10)
    (logs / "dump.hprof").write_bytes(b"x" * 1000)
    (logs / "link.log").symlink_to(logs / "es.log")
    found = look(installation, NewNode("n1", f"file://{logs}"))["n1"]
    assert (found.reachable, found.problem, found.files, found.bytes, found.opened) == (True, "", 2, 110, 2)
    assert found.left_out == {"excluded": 1, "link": 1}
    assert sorted(found.left_out_names) == ["dump.hprof", "link.log"]
    assert found.warning == ""
    assert not installation.objects()


def test_a_directory_that_is_not_there_or_empty_is_told(installation: Installation, logs: Path) -> None:
    found = look(installation, NewNode("none", "file:///nonexistent"), NewNode("empty", f"file://{logs}"))
    assert found["none"].problem.startswith("LK-SOURCE-UNREACHABLE: the log directory /nonexistent cannot be listed")
    assert found["empty"].problem.startswith("LK-NODE-EMPTY: no file is in the log directory")
    assert found["none"].warning.startswith("node none: LK-SOURCE-UNREACHABLE: ")


def test_what_may_not_be_read_is_told(installation: Installation, logs: Path) -> None:
    for number in range(30):
        (logs / f"secret-{number}.log").write_bytes(b"x")
    found = look(odd(installation), NewNode("n1", f"file://{logs}"))["n1"]
    assert (found.files, found.unreadable_total, len(found.unreadable)) == (30, 31, 20)
    assert found.unreadable[0].startswith("LK-SOURCE-UNREADABLE: folder 'closed/' cannot be listed: Permission denied")
    assert "31 files or folders cannot be read" in found.warning


def test_a_node_that_hangs_is_told_and_does_not_hold_up_the_others(installation: Installation, logs: Path) -> None:
    (logs / "es.log").write_bytes(b"x")
    back = threading.Event()
    turns: list[int] = []

    def hang_once() -> None:
        turns.append(1)
        if len(turns) == 1:
            back.wait()

    began = time.monotonic()
    nodes = [NewNode(f"n{number}", f"file://{logs}") for number in range(3)]
    found = look(odd(installation, hang_once), *nodes, seconds=2.0)
    back.set()
    assert time.monotonic() - began < 6
    hanging = [one for one in found.values() if not one.reachable]
    assert len(hanging) == 1
    assert hanging[0].problem.startswith("LK-SOURCE-UNREACHABLE: it does not answer within 2 seconds")
    assert sum(one.files for one in found.values()) == 2
