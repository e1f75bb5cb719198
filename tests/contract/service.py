"""A real service on SQLite in a folder of its own, behind a real uvicorn, and a client that sends any bytes."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from msgspec import structs

from logkeep.api.app import create_app
from logkeep.api.protocol import make_server
from logkeep.bootstrap.runtime import make_runtime
from logkeep.database.connection import reading, writing
from logkeep.database.jobs import fetch_job, finish_job, insert_job
from logkeep.domain.backup_job import BackupJob, JobStatus, JobType
from logkeep.domain.cluster import Cluster, Project
from logkeep.errors import StoreUnreachable
from logkeep.http.connections import Limits
from logkeep.keyfiles.creation import create_keys
from logkeep.service import backups, clusters, identity
from logkeep.service.backup_run import run_job
from logkeep.service.identity import NewKey
from logkeep.service.runtime import Runtime
from logkeep.settings import load_settings
from logkeep.signing.sdk_hmac import sign

LIMITS = Limits()
SETTING = {"agency": "css_obs_agency", "log_base_path": "css/log", "log_bucket": "logs"}


class UnreachableStore:
    """A bucket that does not answer."""

    def check(self) -> None:
        raise StoreUnreachable("the bucket does not answer; start its server")

    def list(self, *_: str) -> None:
        self.check()


@dataclass
class Reply:
    """A response, and what every response must have checked."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return self.json["error_code"]

    @property
    def message(self) -> str:
        return self.json["error_msg"]


@dataclass
class Service:
    """One running service with one project, and a second project of somebody else."""

    runtime: Runtime
    folder: Path
    project: Project
    admin: NewKey
    tenant: NewKey
    stranger: NewKey
    problems: list[str] = field(default_factory=list)  # what /readyz reports
    port: int = 0

    def logs(self) -> Path:
        """A new log directory, beside the installation."""
        logs = self.folder.with_name(f"{self.folder.name}-nodes") / uuid4().hex
        logs.mkdir(parents=True)
        return logs

    def add_cluster(self, key: NewKey | None = None, nodes: int = 1, name: str = "", **given: Any) -> Cluster:
        logs = self.logs()
        new = [clusters.NewNode(f"node-{n}", f"file://{logs}") for n in range(nodes)]
        project_id = (key or self.admin).key.project_id
        return clusters.add_cluster(self.runtime, project_id, name or f"cluster-{uuid4().hex[:8]}", new, **given)

    def add_records(self, cluster: Cluster, *statuses: JobStatus) -> list[BackupJob]:
        """Records in this order, the last one the newest."""
        return [self._add_record(cluster, number, status) for number, status in enumerate(statuses)]

    def back_up(self, cluster: Cluster) -> BackupJob:
        """Carry a whole backup out at once, without the queue."""
        job = backups.start_backup(self.runtime, cluster)
        run_job(self.runtime, job.job_id)
        with reading(self.runtime.database) as connection:
            ended = fetch_job(connection, job.job_id)
        assert ended and ended.status is JobStatus.SUCCESS
        return ended

    def path(self, cluster: Cluster | str, rest: str = "", key: NewKey | None = None) -> str:
        cluster_id = cluster if isinstance(cluster, str) else cluster.id
        return f"/v1.0/{(key or self.tenant).key.project_id}/clusters/{cluster_id}{rest}"

    def call(
        self,
        method: str,
        target: str,
        body: Any = None,
        *,
        key: NewKey | None = None,
        headers: dict[str, str] | None = None,
        chunked: bool = False,
        skew_ms: int = 0,
    ) -> Reply:
        """Send a signed request; `body` is JSON unless it is bytes."""
        payload = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        signed = self.signed(method, target, payload, key=key, headers=headers, skew_ms=skew_ms)
        return self.send(method, target, payload, signed, chunked=chunked)

    def signed(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        *,
        key: NewKey | None = None,
        headers: dict[str, str] | None = None,
        skew_ms: int = 0,
    ) -> dict[str, str]:
        """The headers of a signed request."""
        signer = key or self.tenant
        return sign(
            signer.key.ak,
            signer.sk,
            method,
            f"http://127.0.0.1:{self.port}{target}",
            now_ms=time.time_ns() // 1_000_000 + skew_ms,
            headers={"Content-Type": "application/json", **(headers or {})},
            body=body,
        )

    def send(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        *,
        chunked: bool = False,
    ) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            sent = iter([body[:5], body[5:]]) if chunked else body or None
            connection.request(method, target, sent, headers or {}, encode_chunked=chunked)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, found, response.read())
        finally:
            connection.close()

    def raw(self, data: bytes, *, silence: float = 2.0) -> bytes:
        """Send these very bytes and read until the server closes the connection or has been silent so long."""
        received = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=silence) as connection:
            with suppress(ConnectionError, TimeoutError):
                connection.sendall(data)
            with suppress(ConnectionError, TimeoutError):
                while part := connection.recv(65536):
                    received += part
        return received

    def _add_record(self, cluster: Cluster, number: int, status: JobStatus) -> BackupJob:
        created_at = 1_700_000_000_000 + number * 1000
        job = BackupJob(
            str(uuid4()), uuid4().hex, cluster.id, JobType.MANUAL, JobStatus.RUNNING, "logs", "css/log", created_at
        )
        with writing(self.runtime.database) as connection:
            insert_job(connection, job)
            if status is not JobStatus.RUNNING:
                failed_msg = "LK-SOURCE-UNREACHABLE: node-0" if status is JobStatus.FAIL else None
                finish_job(
                    connection, structs.replace(job, status=status, finished_at=created_at + 500, failed_msg=failed_msg)
                )
        return job


@contextmanager
def running_service(folder: Path, limits: Limits = LIMITS, **replaced: Any) -> Iterator[Service]:
    """A service that listens on a free port until the block is left; `replaced` are parts of its runtime."""
    (folder / "logkeep.toml").write_text(f'[buckets.logs]\n[sources]\nroots = ["{folder.parent}"]\n', encoding="utf-8")
    (folder / "buckets" / "logs").mkdir(parents=True)
    create_keys(folder)
    runtime = make_runtime(load_settings(folder, {}))
    stores = {**runtime.stores, "unreachable": UnreachableStore()}
    runtime = replace(runtime, enqueue=lambda *_: None, stores=stores, **replaced)
    project, other = identity.add_project(runtime, "cn-north-4"), identity.add_project(runtime, "cn-south-1")
    service = Service(
        runtime,
        folder,
        project,
        admin=identity.add_key(runtime, project, admin=True),
        tenant=identity.add_key(runtime, project),
        stranger=identity.add_key(runtime, other, admin=True),
    )
    try:
        with _listening(service, limits):
            yield service
    finally:
        runtime.database.dispose()


@contextmanager
def _listening(service: Service, limits: Limits) -> Iterator[None]:
    app = create_app(service.runtime, ready=lambda: service.problems)
    server = make_server(app, 30, limits)
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    thread = threading.Thread(target=server.run, args=([listener],), name="server")
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        service.port = listener.getsockname()[1]
        yield
    finally:
        server.should_exit = True
        thread.join(timeout=30)
        assert not thread.is_alive()
