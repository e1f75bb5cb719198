"""`init` is killed at each change of a file and around each commit; run again, it makes an installation that works."""

from __future__ import annotations

import multiprocessing
import shutil
import signal
from pathlib import Path

from logkeep.bootstrap.runtime import open_runtime
from logkeep.cli.access import read_access
from logkeep.service import identity
from logkeep.settings import load_settings
from tests.integration.cli.installed import called
from tests.support.init_points import init_until

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.support.init_points"])


def _run(directory: Path, fatal: int | None, report: Path) -> int | None:
    process = _PROCESSES.Process(target=init_until, args=(directory, fatal, report))
    process.start()
    process.join(60)
    return process.exitcode


def test_init_killed_at_any_point_is_run_again(tmp_path: Path) -> None:
    assert _run(tmp_path / "whole", None, tmp_path / "points") == 0
    points = (tmp_path / "points").read_text().split("\n")
    assert len(points) > 20 and {"before commit", "before os.rename installation.id.new"} <= set(points)
    wrong: list[str] = []
    for fatal, what in enumerate(points):
        killed = tmp_path / "killed"
        assert _run(killed, fatal, tmp_path / "unused") == -signal.SIGKILL
        wrong += [f"killed at {fatal}, {what}: {problem}" for problem in _run_again(killed)]
        shutil.rmtree(killed, ignore_errors=True)
    assert not wrong, "\n".join(wrong)


def _run_again(directory: Path) -> list[str]:
    done = called(directory, "serve", "--port", "0") if not (directory / "installation.id").exists() else None
    told = [] if done is None or (done.code == 2 and "init`" in done.err) else [f"serve told {done}"]
    again = called(directory, "init")
    if again.code and "is a Logkeep directory already" not in again.err:
        return [*told, again.err]
    return [*told, *_problems(directory)]


def _problems(directory: Path) -> list[str]:
    access, runtime = read_access(directory), open_runtime(load_settings(directory, {}))
    try:
        keys = [key for key in identity.list_keys(runtime) if key.revoked_at is None]
        projects = identity.list_projects(runtime)
    finally:
        runtime.database.dispose()
    problems: list[str] = []
    if access is None or access.ak not in {key.ak for key in keys}:
        problems.append("client.toml has no key that the service knows")
    if len(keys) != 1 or len(projects) != 1:
        problems.append(f"{len(keys)} keys, {len(projects)} projects")
    if left := {one.name for one in directory.iterdir() if ".new" in one.name or one.name.startswith(".")}:
        problems.append(f"left over: {left}")
    return problems
