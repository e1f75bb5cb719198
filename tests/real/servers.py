"""Real servers for tests: installed by package name, cached in `build/servers`, listening on 127.0.0.1 only.

What is missing is installed (Debian packages only as root); what cannot be installed is an error, never a skip.
`LOGKEEP_TEST_SERVERS` names another folder for the cache, so that several checkouts share one.

    with S3Server() as server:
        server.client().create_bucket(Bucket="logs")            # boto3
        open_store(f"s3://logs?endpoint={server.endpoint}", server.credentials(), base=...)

    with OpenSearchNode(rotate_bytes=32_768) as node:
        node.make_noise(3)                                      # see node.logs
        node.kill(); node.start()                               # the same data, ports and logs
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import json
import os
import pwd
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote
from uuid import uuid4

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

CACHE = Path(os.environ.get("LOGKEEP_TEST_SERVERS") or Path(__file__).parents[2] / "build" / "servers").absolute()
NOBODY = 65534  # user and group of search nodes where the tests run as root

VERSITYGW = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
MINIO = "github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c"
TOXIPROXY = "github.com/Shopify/toxiproxy/v2/cmd/server@v2.5.0"
OPENSEARCH = "2.19.6"
_UNPACK = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:unpack"


# Installing


def need_command(command: str, package: str, folder: str = "") -> str:
    """The path of a command, after installing the Debian package that has it; `folder` is where it may lie besides."""
    path = f"{os.environ['PATH']}:{folder}"
    if not shutil.which(command, path=path):
        need_package(package)
    found = shutil.which(command, path=path)
    if not found:
        raise RuntimeError(f"the package {package} is installed, but there is no command {command}")
    return found


def need_package(package: str) -> None:
    """Install a Debian package."""
    if os.geteuid() != 0:
        raise RuntimeError(f"install the package {package}: the tests need it")
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / ".lock-apt").open("w") as lock:  # of several test runs at the same time one installs
        fcntl.flock(lock, fcntl.LOCK_EX)
        _run("apt-get", "update", "-q")
        _run("apt-get", "install", "-q", "-y", "--no-install-recommends", package)


def versitygw() -> Path:
    """The S3 gateway; its first build takes some minutes."""
    return _go_command("versitygw", VERSITYGW)


def minio() -> Path:
    """Another S3 server, which shares no code with the first; it takes five minutes of one core to build."""
    return _go_command("minio", MINIO)


def toxiproxy() -> Path:
    """The proxy that makes a connection slow, silent or broken."""
    return _go_command("toxiproxy", TOXIPROXY)


def chromium() -> str:
    """The browser, with fonts that have Chinese, as pictures of pages are looked at."""
    path = need_command("chromium", "chromium")
    if not any(Path("/usr/share/fonts").glob("**/*CJK*")):
        need_package("fonts-noto-cjk")
    return path


def other_clock() -> Path:
    """A library for LD_PRELOAD: the time of day is that of the machine and the seconds in $CLOCK_OFFSET_FILE.

    They may change while the process runs. Not libfaketime: with it, `time.sleep` fails unless the clock that measures
    how long things take jumps as well.
    """
    source = Path(__file__).with_name("other_clock.c")
    target = CACHE / "bin" / f"other_clock-{hashlib.sha256(source.read_bytes()).hexdigest()[:12]}.so"
    with _installing(target) as missing:
        if missing:
            need_command("cc", "gcc")
            if not Path("/usr/include/stdio.h").exists():
                need_package("libc6-dev")
            target.parent.mkdir(exist_ok=True)
            _run("cc", "-O2", "-shared", "-fPIC", "-o", f"{target}.new", str(source))
            Path(f"{target}.new").rename(target)
    return target


def _go_command(name: str, module: str) -> Path:
    target = CACHE / "bin" / name
    with _installing(target) as missing:
        if missing:
            with tempfile.TemporaryDirectory(dir=CACHE) as fresh:
                _run(need_command("go", "golang-go"), "install", module, GOBIN=fresh, CGO_ENABLED="0")
                target.parent.mkdir(exist_ok=True)
                next(Path(fresh).iterdir()).rename(target)
    return target


def opensearch() -> Path:
    """The unpacked server, to be used by any number of nodes."""
    target = CACHE / f"opensearch-{OPENSEARCH}"
    with _installing(target) as missing:
        if missing:
            with tempfile.TemporaryDirectory(dir=CACHE) as fresh:
                artifact = f"org.opensearch.distribution.integ-test-zip:opensearch:{OPENSEARCH}:zip"
                maven = need_command("mvn", "maven")
                _run(maven, "-q", "-B", _UNPACK, f"-Dartifact={artifact}", f"-DoutputDirectory={fresh}", cwd=fresh)
                Path(fresh, target.name).rename(target)
    return target


def install_all() -> None:
    """What takes long, so that it can be done while other tests run. Not MinIO, which takes longest."""
    for install in (versitygw, toxiproxy, opensearch, chromium):
        install()


def java_home() -> Path:
    return Path(need_command("java", "openjdk-17-jre-headless")).resolve().parents[1]


@contextlib.contextmanager
def _installing(target: Path) -> Iterator[bool]:
    """Whether `target` is missing, while no other test run installs it."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f".lock-{target.name}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield not target.exists()


def _run(*command: str, cwd: str | None = None, **environment: str) -> None:
    done = subprocess.run(command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")


# Starting and stopping


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(ready: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.05)


class Server:
    """A process with a folder of its own and its output in `console`. Use it in `with`, or call `start` and `close`."""

    def __init__(self, kind: str) -> None:
        # Not in pytest's folders: those are closed to the user that a search node runs as.
        self.folder = Path(tempfile.mkdtemp(prefix=f"logkeep-{kind}-"))
        self.console = self.folder / "console.txt"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start it, again after `stop` or `kill` with the same data and port, and return when it answers."""
        raise NotImplementedError

    def stop(self) -> None:
        """SIGTERM, and wait for the end."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """Kill it and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _spawn(self, command: Sequence[str], answers: Callable[[], bool], seconds: float, **options: Any) -> None:
        with self.console.open("ab") as console:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True, **options
            )
        wait_until(lambda: self._answers(answers), seconds, f"{command[0]} answers; its output is {self.console}")

    def _answers(self, answers: Callable[[], bool]) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(f"a server ended at once:\n{self.console.read_text(errors='replace')[-4000:]}")
        return answers()

    def _end(self, how: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(60)
        self.process = None


class Toxiproxy(Server):
    """A proxy before one server, with faults ("toxics") that come and go while connections are open."""

    def __init__(self, upstream_port: int) -> None:
        super().__init__("toxiproxy")
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._upstream_port = upstream_port
        self._api_port = free_port()

    def start(self) -> None:
        self._spawn([str(toxiproxy()), "-host", "127.0.0.1", "-port", str(self._api_port)], self._listens, 30)
        address = {"listen": f"127.0.0.1:{self.port}", "upstream": f"127.0.0.1:{self._upstream_port}"}
        self._ask("POST", "/proxies", {"name": "proxy", "enabled": True, **address})

    def add(self, kind: str, stream: str = "upstream", **attributes: int) -> None:
        """Begin a fault: `bandwidth` (rate, in KB/s), `reset_peer` or `timeout` (timeout, in ms; 0 is for ever)."""
        toxic = {"name": f"{kind}-{stream}", "type": kind, "stream": stream, "attributes": attributes}
        self._ask("POST", "/proxies/proxy/toxics", toxic)

    def heal(self) -> None:
        """End all faults, and the connections that they hold."""
        for toxic in self._ask("GET", "/proxies/proxy/toxics"):
            self._ask("DELETE", f"/proxies/proxy/toxics/{toxic['name']}")

    def _listens(self) -> bool:
        return _listens(self._api_port)

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self._api_port}{path}", data, method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            return json.loads(answer.read() or b"null")


class SshServer(Server):
    """An sshd of an ordinary user that offers SFTP and nothing else; `logs` is a directory that it may read.

    `user` logs in with the private key `key`, which is made anew each time. `jumps` lets it forward to
    other servers of this machine.
    """

    def __init__(self, *, jumps: bool = False, subsystem: str = "internal-sftp") -> None:
        super().__init__("sshd")
        self.port = free_port()
        self.user = pwd.getpwuid(NOBODY if os.geteuid() == 0 else os.geteuid()).pw_name
        self.logs = self.folder / "logs"
        self.logs.mkdir()
        self.folder.chmod(0o755)
        self.key = self._make_key("login")
        self.host_key = self._make_key("host")
        shutil.copy(f"{self.key}.pub", self.folder / "authorized_keys")
        (self.folder / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {self.host_key}\nPidFile none\nUsePAM yes\n"
            f"AuthorizedKeysFile {self.folder}/authorized_keys\nStrictModes no\nPasswordAuthentication no\n"
            f"KbdInteractiveAuthentication no\nMaxStartups 100\nAllowTcpForwarding {'local' if jumps else 'no'}\n"
            + (f"Subsystem sftp {subsystem}\n" if subsystem else "")
            + ("" if jumps or not subsystem else "ForceCommand internal-sftp -R\n")
        )
        if os.geteuid() == 0:
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, NOBODY, NOBODY)

    def start(self) -> None:
        self._spawn([_sshd(), "-D", "-e", "-f", str(self.folder / "sshd_config")], self._listens, 30, **_as_nobody())

    def explain(self, config: Path, user: str) -> str:
        """The options that sshd takes from a configuration for a user."""
        command = [_sshd(), "-T", "-f", str(config), "-C", f"user={user},host=n1,addr=10.0.0.1"]
        return subprocess.run(command, capture_output=True, text=True, check=True, **_as_nobody()).stdout

    def known_hosts(self) -> str:
        """The line of a file of known hosts."""
        kind, key, *_ = Path(f"{self.host_key}.pub").read_text().split()
        return f"[127.0.0.1]:{self.port} {kind} {key}\n"

    def fingerprint(self) -> str:
        told = subprocess.run(["ssh-keygen", "-lf", f"{self.host_key}.pub"], capture_output=True, text=True, check=True)
        return told.stdout.split()[1]

    def url(self, directory: Path | None = None) -> str:
        return f"sftp://{self.user}@127.0.0.1:{self.port}{quote(os.fsencode(directory or self.logs))}"

    def sessions(self) -> list[int]:
        """The processes that serve connections, below the one that listens."""
        assert self.process is not None
        told = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(number) for number in told.split()]

    def stop_sessions(self, how: signal.Signals) -> None:
        """Send a signal to what serves connections: SIGKILL ends them, SIGSTOP makes them silent."""
        for number in self.sessions():
            for process in (*_children(number), number):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, how)

    def close(self) -> None:
        if self.process is not None:
            self.stop_sessions(signal.SIGKILL)
        super().close()

    def _make_key(self, name: str) -> Path:
        path = self.folder / name
        keygen = need_command("ssh-keygen", "openssh-client")
        _run(keygen, "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path))
        return path

    def _listens(self) -> bool:
        return _listens(self.port)


def _sshd() -> str:
    return need_command("sshd", "openssh-server", "/usr/sbin")


def _as_nobody() -> dict[str, Any]:
    """As root, sshd would want a directory of the system for itself."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


def _children(process: int) -> list[int]:
    with contextlib.suppress(FileNotFoundError):
        told = Path(f"/proc/{process}/task/{process}/children").read_text()
        return [child for number in told.split() for child in (*_children(int(number)), int(number))]
    return []


class S3Server(Server):
    """A versitygw over a folder, with TLS where it is given a certificate, its key, and its CA.

    It knows a bucket by its path, and as a name before DOMAIN.
    """

    access_key = "logkeep-root"
    secret_key = "logkeep-root-secret"
    DOMAIN = "s3.test"

    def __init__(self, tls: tuple[Path, Path, Path] | None = None, *, versions: bool = False) -> None:
        """With `versions` its buckets can keep versions of objects, and locks on them."""
        super().__init__("s3")
        self.port = free_port()
        self.endpoint = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._certificate, self._key, self._ca = tls or (None, None, None)
        (self.folder / "iam").mkdir()
        (self.folder / "data").mkdir()
        (self.folder / "versions").mkdir()
        self._versions = ["--versioning-dir", f"{self.folder}/versions"] if versions else []

    def start(self) -> None:
        tls = ["--cert", str(self._certificate), "--key", str(self._key)] if self._ca else []
        # Without --iam-dir it would not tell wrong keys from right ones.
        options = ["--port", f"127.0.0.1:{self.port}", "--iam-dir", f"{self.folder}/iam"]
        options += [
            "--virtual-domain",
            f"{self.DOMAIN}:{self.port}",
            *tls,
            "posix",
            *self._versions,
            f"{self.folder}/data",
        ]
        keys = {"ROOT_ACCESS_KEY": self.access_key, "ROOT_SECRET_KEY": self.secret_key}
        self._spawn([str(versitygw()), *options], self._listens, 30, env=os.environ | keys)

    def add_user(self, bucket: str, *rights: str) -> dict[str, str]:
        """The credentials of a new user, who has these rights in one bucket, and is the only one besides root."""
        user = {"access_key_id": f"user-{uuid4().hex[:8]}", "secret_access_key": f"secret-{uuid4().hex}"}
        root = ["--access", self.access_key, "--secret", self.secret_key, "--endpoint-url", self.endpoint]
        named = ["--access", user["access_key_id"], "--secret", user["secret_access_key"], "--role", "user"]
        _run(str(versitygw()), "admin", *root, "create-user", *named)
        places = dict.fromkeys(("ListBucket", "ListBucketVersions"), f"arn:aws:s3:::{bucket}")
        statements = [
            {
                "Effect": "Allow",
                "Principal": {"AWS": [user["access_key_id"]]},
                "Action": [f"s3:{right}"],
                "Resource": [places.get(right, f"arn:aws:s3:::{bucket}/*")],
            }
            for right in rights
        ]
        policy = {"Version": "2012-10-17", "Statement": statements}
        self.client().put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
        return user

    def _listens(self) -> bool:
        return _listens(self.port)

    def credentials(self) -> dict[str, str]:
        """As `open_store` takes them."""
        return {"access_key_id": self.access_key, "secret_access_key": self.secret_key}

    def client(self) -> Any:
        """A boto3 client, the witness that knows nothing of Logkeep."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            verify=str(self._ca) if self._ca else None,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        )


class MinioServer(S3Server):
    """A MinIO over a folder, which encrypts what it is asked to encrypt."""

    def __init__(self, tls: tuple[Path, Path, Path] | None = None) -> None:
        super().__init__(tls)
        certificates = self.folder / "certs"
        certificates.mkdir()
        if tls:
            shutil.copy(tls[0], certificates / "public.crt")
            shutil.copy(tls[1], certificates / "private.key")

    def start(self) -> None:
        keys = {
            "MINIO_ROOT_USER": self.access_key,
            "MINIO_ROOT_PASSWORD": self.secret_key,
            "MINIO_KMS_SECRET_KEY": f"key:{base64.b64encode(bytes(32)).decode()}",
            "MINIO_DOMAIN": self.DOMAIN,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
            "MINIO_CI_CD": "1",  # it would refuse a folder on the root's disk
        }
        command = [str(minio()), "server", "--quiet", "--certs-dir", f"{self.folder}/certs"]
        command += ["--address", f"127.0.0.1:{self.port}", f"{self.folder}/data"]
        self._spawn(command, self._healthy, 60, env=os.environ | keys)

    def _healthy(self) -> bool:
        try:
            self.client().list_buckets()
        except (BotoCoreError, ClientError):  # it listens before it can answer
            return False
        return True


class OpenSearchNode(Server):
    """One OpenSearch, not as root, with the log4j2.properties that it ships with.

    `rotate_bytes` lowers the size at which each of its logs is rotated, and nothing else; `change_log4j` edits the text
    of that file besides. `seeds` are the nodes of the same cluster that it joins; without them it founds one. Its logs
    are in `logs`, named after `cluster`. With `clock` its time of day is ahead by so many seconds, which may change while it
    runs.
    """

    INDEX = "noise"

    def __init__(
        self,
        name: str = "node-1",
        *,
        cluster: str = "oslogs",
        rotate_bytes: int | None = None,
        change_log4j: Callable[[str], str] = str,
        clock: int | None = None,
        seeds: Sequence[OpenSearchNode] = (),
        heap: str = "256m",
    ) -> None:
        super().__init__("opensearch")
        self.name = name
        self.cluster = cluster
        self.port = free_port()
        self.transport_port = free_port()
        self.http = f"http://127.0.0.1:{self.port}"
        self.logs = self.folder / "logs"
        self._rotate_bytes = rotate_bytes
        self._change_log4j = change_log4j
        self._clock = self.folder / "clock" if clock is not None else None
        self._seeds = seeds
        self._heap = heap
        self._noise = 0
        if clock is not None:
            self.put_clock_ahead(clock)
        self._configure(opensearch())

    def start(self) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "OPENSEARCH_JAVA_HOME": str(java_home()),
            "OPENSEARCH_PATH_CONF": str(self.folder / "config"),
            "OPENSEARCH_TMPDIR": str(self.folder / "tmp"),
            **self._other_clock(),
        }
        self._spawn(
            [str(self.folder / "home" / "bin" / "opensearch")],
            self._healthy,
            120,
            cwd=self.folder,
            env=environment,
            **({"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}),
        )

    def request(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> Any:
        """The decoded answer; `body` is sent as JSON, or as it is if it is text. A status of 400 or more is an error."""
        data = None if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
        kind = "application/x-ndjson" if isinstance(body, str) else "application/json"
        request = urllib.request.Request(
            f"{self.http}{path}", data, {"Content-Type": kind, **(headers or {})}, method=method
        )
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise RuntimeError(f"{method} {path}: {error.code} {error.read()[:1000]!r}") from None
        return json.loads(text) if text.startswith((b"{", b"[")) else text.decode()

    def make_noise(self, rounds: int) -> None:
        """Make the node write all its logs; a round takes a second or two.

        In a round it writes about 220 KB of search slow logs, 80 KB of indexing slow logs, 85 KB of server logs and
        45 KB of deprecations in JSON, and somewhat less in text. Rotated slow logs and deprecations beyond four are
        deleted by the node, so choose `rotate_bytes` by whether losing some is wanted.
        """
        if not self._noise:
            self._open_logs()
        for _ in range(rounds):
            self._noise += 1
            self._index_and_search()
            self._use_what_is_deprecated()

    def put_clock_ahead(self, seconds: int) -> None:
        assert self._clock
        with self._clock.open("r+b" if self._clock.exists() else "wb") as file:
            file.write(struct.pack("@l", seconds))

    def _other_clock(self) -> dict[str, str]:
        if not self._clock:
            return {}
        library = shutil.copy(other_clock(), self.folder)  # the cache may lie where only root can go
        for path in (self._clock, library):
            Path(path).chmod(0o755)
        return {"LD_PRELOAD": str(library), "CLOCK_OFFSET_FILE": str(self._clock)}

    def _healthy(self) -> bool:
        try:
            # Red is also the time between the start and the recovery of what was stored before it.
            return self.request("GET", "/_cluster/health")["status"] != "red"
        except (OSError, RuntimeError):
            return False

    def _configure(self, distribution: Path) -> None:
        shutil.copytree(distribution / "config", self.folder / "config")
        for name in ("logs", "data", "tmp"):
            (self.folder / name).mkdir()
        self._write_settings()
        self._lower_rotation()
        self._move_gc_log()
        (self.folder / "config" / "jvm.options.d" / "heap.options").write_text(f"-Xms{self._heap}\n-Xmx{self._heap}\n")
        self._give_to_node()
        # The cache may lie where only root can go, so that the node could not run from there.
        shutil.copytree(distribution, self.folder / "home", copy_function=_link)

    def _write_settings(self) -> None:
        settings = {
            "cluster.name": self.cluster,
            "node.name": self.name,
            "path.data": str(self.folder / "data"),
            "path.repo": [str(self.folder / "repositories")],
            "path.logs": str(self.logs),
            "network.host": "127.0.0.1",
            "http.port": self.port,
            "transport.port": self.transport_port,
            "discovery.seed_hosts": [f"127.0.0.1:{node.transport_port}" for node in self._seeds],
            # A disk nearly full, as on many a test machine, must not stop the index.
            "cluster.routing.allocation.disk.threshold_enabled": False,
        }
        if not self._seeds:
            settings["cluster.initial_cluster_manager_nodes"] = [self.name]
        text = "".join(f"{key}: {json.dumps(value)}\n" for key, value in settings.items())
        (self.folder / "config" / "opensearch.yml").write_text(text)

    def _lower_rotation(self) -> None:
        path = self.folder / "config" / "log4j2.properties"
        path.write_text(self._change_log4j(path.read_text()))
        if self._rotate_bytes is None:
            return
        text, count = re.subn(r"(?m)(\.policies\.size\.size = ).*$", rf"\g<1>{self._rotate_bytes}B", path.read_text())
        assert count >= 8, "log4j2.properties has another form than expected"
        path.write_text(text)

    def _move_gc_log(self) -> None:
        """Beside the other logs, where the packages have it."""
        path = self.folder / "config" / "jvm.options"
        path.write_text(path.read_text().replace("logs/", f"{self.logs}/"))

    def _give_to_node(self) -> None:
        if os.geteuid() != 0:
            return
        for path in (self.folder, *self.folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)

    def _open_logs(self) -> None:
        slow = {
            f"index.{kind}": "0ms"
            for kind in (
                "indexing.slowlog.threshold.index.trace",
                "search.slowlog.threshold.query.trace",
                "search.slowlog.threshold.fetch.trace",
            )
        }
        shape = {"index.number_of_replicas": 0, "index.indexing.slowlog.source": "5000"}
        self.request("PUT", f"/{self.INDEX}", {"settings": slow | shape})
        self.request("PUT", "/_cluster/settings", {"persistent": {"logger.org.opensearch.index.shard": "TRACE"}})

    def _index_and_search(self) -> None:
        lines = []
        for number in range(100):
            lines.append(json.dumps({"index": {"_id": f"{self._noise}-{number}"}}))
            lines.append(json.dumps({"round": self._noise, "number": number, "text": f"日志 {number} " * 40}))
        self.request("POST", f"/{self.INDEX}/_bulk?refresh=true", "\n".join(lines) + "\n")
        for number in range(60):
            words = " ".join(f"word{self._noise}-{number}-{word}" for word in range(100))
            self.request("POST", f"/{self.INDEX}/_search", {"query": {"match": {"text": words}}})

    def _use_what_is_deprecated(self) -> None:
        # A deprecation is logged once for each X-Opaque-Id.
        for number in range(120):
            self.request("GET", "/_cat/master", headers={"X-Opaque-Id": f"noise-{self._noise}-{number}"})


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


if __name__ == "__main__":
    install_all()
