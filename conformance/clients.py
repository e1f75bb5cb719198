"""The three clients: how each is built, once for each state of its sources, and how its two programs are called."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from dataclasses import dataclass

from service import ROOT, Broken, run_bounded

HERE = ROOT / "conformance"
BUILT = ROOT / "build" / "conformance"
INSTALL_SECONDS, BUILD_SECONDS = 900, 900  # a build fetches its SDK the first time


@dataclass(frozen=True)
class Client:
    """An official SDK and the programs written on it."""

    name: str
    title: str
    tools: tuple[tuple[str, str], ...]  # a command, and Debian's package that has it
    builds: tuple[tuple[str, ...], ...]
    sample: tuple[str, ...]  # the published page's, unchanged
    lifecycle: tuple[str, ...]

    def build(self) -> None:
        """Build what changed since the last time. Raises `Broken`."""
        stamp, state = BUILT / f"{self.name}.stamp", self._state()
        if not self.builds or (stamp.exists() and stamp.read_text("utf-8") == state):
            return
        stamp.unlink(missing_ok=True)
        shutil.rmtree(BUILT / self.name, ignore_errors=True)
        (BUILT / self.name).mkdir(parents=True)
        for words in self.builds:
            self._run(words)
        stamp.write_text(state, "utf-8")

    def _state(self) -> str:
        found = hashlib.sha256(repr(self.builds).encode())
        for path in sorted(path for path in (HERE / self.name).rglob("*") if path.is_file()):
            found.update(f"\0{path.relative_to(HERE)}\0".encode() + path.read_bytes())
        return found.hexdigest()

    def _run(self, words: tuple[str, ...]) -> None:
        env = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}
        done = run_bounded(words, BUILD_SECONDS, env, HERE / self.name)
        if done.returncode:
            said = f"{done.stdout}\n{done.stderr}".strip()
            raise Broken(f"the client for {self.title} cannot be built:\n{said}")


_JAVA = ("java", "-XX:TieredStopAtLevel=1", "-cp", f"{BUILT / 'java' / 'classes'}:{BUILT / 'java' / 'lib'}/*")
CLIENTS = (
    Client(
        "python",
        "Python",
        (),
        (),
        (sys.executable, str(HERE / "python" / "list_logs_job.py")),
        (sys.executable, str(HERE / "python" / "lifecycle.py")),
    ),
    Client(
        "java",
        "Java",
        (("mvn", "maven"), ("javac", "default-jdk-headless"), ("java", "default-jdk-headless")),
        (("mvn", "-q", "-B", f"-Dbuilt={BUILT / 'java'}", "compiler:compile", "dependency:copy-dependencies"),),
        (*_JAVA, "com.huaweicloud.sdk.test.ListLogsJobSolution"),
        (*_JAVA, "conformance.Lifecycle"),
    ),
    Client(
        "go",
        "Go",
        (("go", "golang-go"),),
        (("go", "build", "-buildvcs=false", "-o", f"{BUILT / 'go'}/", "./..."),),
        (str(BUILT / "go" / "sample"),),
        (str(BUILT / "go" / "lifecycle"),),
    ),
)


def install_tools() -> None:
    """Install the toolchains that are missing. Raises `Broken` that names them."""
    missing = sorted({package for c in CLIENTS for command, package in c.tools if not shutil.which(command)})
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Broken(f"the toolchains of the SDKs are needed; install these packages first: {', '.join(missing)}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (("update",), ("install", "-y", "--no-install-recommends", *missing)):
        done = run_bounded(("apt-get", "-q", *words), INSTALL_SECONDS, env)
        if done.returncode:
            raise Broken(f"{', '.join(missing)} cannot be installed: {done.stderr.strip()[-500:]}")
