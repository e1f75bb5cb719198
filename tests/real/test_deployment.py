"""The files that set up many machines are read by the tools that they are for."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from logkeep import __version__
from tests.real.servers import need_command

pytestmark = pytest.mark.real
DEPLOY = Path(__file__).parents[2] / "deploy"
BIN = Path(sys.executable).parent


def checked(*command: str | Path) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_systemd_reads_the_units(tmp_path: Path) -> None:
    systemd = need_command("systemd-analyze", "systemd")
    for unit in (DEPLOY / "systemd").iterdir():
        # The program is not where the units look for it on a machine that only runs tests.
        text = unit.read_text("utf-8").replace("/opt/logkeep/bin/logkeep", shutil.which("true") or "")
        (tmp_path / unit.name).write_text(text, "utf-8")
    assert not checked(systemd, "verify", "--man=no", *sorted(tmp_path.iterdir()))


def test_hadolint_finds_nothing_in_the_containerfile() -> None:
    assert not checked(BIN / "hadolint", DEPLOY / "Containerfile")


def test_kubernetes_takes_the_manifest() -> None:
    manifest = DEPLOY / "kubernetes" / "logkeep.yaml"
    said = checked(BIN / "kubernetes-validate", "-k", "1.31", "--strict", manifest)
    documents = list(yaml.safe_load_all(manifest.read_text("utf-8")))
    assert said.count("passed for resource") == len(documents)
    images = {container["image"] for container in containers(documents)}
    assert images == {f"logkeep:{__version__}"}


def containers(documents: list[dict]) -> list[dict]:
    pods = [document["spec"]["template"]["spec"] for document in documents if document["kind"] == "Deployment"]
    return [container for pod in pods for container in pod["containers"]]


def test_commands_of_units_image_and_manifest_are_commands_of_logkeep() -> None:
    texts = [path.read_text("utf-8") for path in DEPLOY.rglob("*") if path.is_file()]
    for options in ("--without-worker", "worker", "serve"):
        assert any(options in text for text in texts)
    lines = [line for text in texts for line in re.findall(r"ExecStart=\S+ (.*)", text)]
    assert len(lines) == 2
    for line in lines:
        checked(sys.executable, "-m", "logkeep", line.split()[0], "--help")
