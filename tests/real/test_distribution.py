"""What `make dist` builds, installed and tried where nothing else of the project is."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from logkeep import __version__

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]  # an installation, on a machine that may do much else

ROOT = Path(__file__).parents[2]
# Kinds of files that the package reads when it runs, each by one of them.
NEEDED = [
    "py.typed",
    "console/templates/base.html",
    "console/static/console.css",
    "console/static/LICENSES.txt",
    "console/locale/zh/LC_MESSAGES/console.mo",
    "database/migrations/env.py",
    "database/migrations/script.py.mako",
    "docs/errors.md",
    "docs/verify_chain.py",
    "examples/logs/oslogs_server.json",
]


@pytest.fixture(scope="module")
def built(testrun_uid: str) -> Path:
    """The directory with what `make dist` built; of several processes that run these tests one calls it."""
    stamp = ROOT / "build" / "dist-of-tests.txt"
    stamp.parent.mkdir(exist_ok=True)
    with stamp.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if stamp.read_text() != testrun_uid:
            run("make", "dist", f"VENV={sys.prefix}", cwd=ROOT)
            stamp.write_text(testrun_uid)
    return ROOT / "dist"


@pytest.fixture(scope="module")
def clean(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment away from the checkout, with the locked versions, the wheel and nothing else."""
    environment = tmp_path_factory.mktemp("clean") / "environment"
    shutil.copytree(ROOT / "build" / "installed", environment, symlinks=True)
    pip("--python", environment, "install", "--no-deps", only(built, "*.whl"), cwd=environment)
    return environment


def run(*command: str | Path, cwd: Path, **more: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LOGKEEP_", "PYTHON"))}
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=kept | more, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def pip(*arguments: str | Path, cwd: Path) -> None:
    run(sys.executable, "-m", "pip", "--quiet", *arguments, cwd=cwd)


def only(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


def test_the_wheel_holds_what_the_package_reads(built: Path) -> None:
    tracked = list(sources("logkeep", "docs", "examples/logs"))
    with ZipFile(only(built, "*.whl")) as wheel:
        names = set(wheel.namelist())
    expected = {path if path.startswith("logkeep/") else f"logkeep/{path}" for path in tracked}
    assert {name for name in names if name.startswith("logkeep/")} == expected
    assert {f"logkeep/{name}" for name in NEEDED} <= names


def test_a_commit_gives_the_same_bytes_elsewhere(built: Path, tmp_path: Path) -> None:
    for path in sources():
        target = tmp_path / "copy" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, target)  # of another time
        target.chmod((ROOT / path).stat().st_mode & 0o700)  # as with another umask
    again = tmp_path / "again"
    run(sys.executable, "-m", "hatchling", "build", "-d", again, cwd=tmp_path / "copy", TZ="Asia/Shanghai")
    assert hashes_in(again) == {name: hash_ for name, hash_ in hashes_in(built).items() if name != "sbom.cdx.json"}
    run(sys.executable, "-m", "tests.support.sbom", "build/installed", again / "sbom.cdx.json", cwd=ROOT)
    assert hashes_in(again) == hashes_in(built)


def sources(*folders: str) -> Iterator[str]:
    """The files that are, or would be, in a commit."""
    told = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *folders, cwd=ROOT)
    yield from (path for path in told.splitlines() if (ROOT / path).is_file())


def hashes_in(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_the_sbom_tells_version_licence_and_hashes_of_all_that_is_locked(built: Path) -> None:
    bill = json.loads((built / "sbom.cdx.json").read_text("utf-8"))
    assert bill["metadata"]["component"]["purl"] == f"pkg:pypi/logkeep@{__version__}"
    told = {component["purl"].partition(":")[2] for component in bill["components"]}
    locked = dict(re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "requirements.lock").read_text("utf-8"), re.MULTILINE))
    named = {name.partition("/")[2].partition("@")[0] for name in told if name.startswith("pypi/")}
    assert set(locked) - named <= {"colorama", "tzdata", "backports-zstd"}, "what Linux or a newer Python needs not"
    assert {name for name in told if name.startswith("npm/")} == {"npm/htmx.org@4.0.1", "npm/uplot@1.6.32"}
    for component in bill["components"]:
        assert component["licenses"], component["name"]
        assert list(hashes_of(component)), component["name"]
    depended = {name for one in bill["dependencies"] for name in one.get("dependsOn", ())}
    assert depended == {component["bom-ref"] for component in bill["components"]}, "something that nothing needs"


def hashes_of(component: dict[str, Any]) -> Iterator[str]:
    for holder in [component, *component.get("externalReferences", ())]:
        yield from (found["content"] for found in holder.get("hashes", ()) if found["alg"] == "SHA-256")


def test_the_wheel_shows_the_main_job_from_an_empty_directory(clean: Path, tmp_path: Path) -> None:
    command = clean / "bin" / "logkeep"
    assert run(command, "--version", cwd=tmp_path) == f"logkeep {__version__}\n"
    shown = json.loads(run(command, "--json", "demo", "--once", cwd=tmp_path))
    assert shown["endpoint"] is None
    assert [path.name for path in tmp_path.iterdir()] == ["build"]
    pip("--python", clean, "check", cwd=tmp_path)


def test_the_sdist_builds_the_same_wheel(built: Path, tmp_path: Path) -> None:
    with tarfile.open(only(built, "*.tar.gz")) as sdist:
        sdist.extractall(tmp_path, filter="data")
    unpacked = only(tmp_path, "logkeep-*")
    pip("wheel", "--no-build-isolation", "--no-deps", "-w", tmp_path, unpacked, cwd=tmp_path)
    assert only(tmp_path, "*.whl").read_bytes() == only(built, "*.whl").read_bytes()
