"""Uploading to S3-like servers: against a plain multipart upload of the same bytes by boto3."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from benchmarks.installation import Installation, configure_bucket
from benchmarks.logs import enlarge
from benchmarks.result import Result, judge, middle, not_measured, seconds
from benchmarks.surroundings import has_room, scratch
from logkeep.stores.opendal import open_store
from tests.real.servers import CACHE, MinioServer, S3Server

_BYTES = int(os.environ.get("BENCH_UPLOAD_BYTES", str(512 * 2**20)))
_ROUNDS = 3
_CHUNK = 1024 * 1024  # about what a frame is when it is compressed


def upload() -> list[Result]:
    """Logs backed up to a store, and the store's part of that by itself; MinIO only where it is built already."""
    servers = {"versitygw": S3Server}
    if (CACHE / "bin" / "minio").exists():
        servers["MinIO"] = MinioServer
    rows: list[Result] = []
    with scratch() as folder:
        if not has_room(folder, 4 * _BYTES):
            return [not_measured("upload to S3", f"the disk has no room for {4 * _BYTES} bytes", ">= 0.8")]
        files = enlarge(folder / "logs", _BYTES)
        for name, kind in servers.items():
            try:
                server = kind()
                with server:
                    rows += _compare(name, server, folder, files)
            except RuntimeError as error:
                rows.append(not_measured(f"upload to {name}", f"{error}".partition("\n")[0], ">= 0.8"))
    return rows


def _compare(name: str, server: S3Server, folder: Path, files: list[Path]) -> list[Result]:
    rounds = [_round(server, folder / f"{name}{number}", files) for number in range(_ROUNDS)]
    plain, put, backup = (_BYTES / 2**20 / middle(took) for took in zip(*rounds, strict=True))
    against = f"boto3, multipart: {plain:.0f} MiB/s"
    return [
        judge(f"upload of objects to {name}", put, "MiB/s", ">= 0.8", against=against, ratio=put / plain),
        judge(f"backup to {name}", backup, "MiB/s", ">= 0.8", against=against, ratio=backup / plain),
    ]


def _round(server: S3Server, folder: Path, files: list[Path]) -> tuple[float, float, float]:
    """Seconds for the same bytes: by boto3, by our store, and as a backup, which compresses them first."""
    client = server.client()
    client.create_bucket(Bucket="bench")
    plain = seconds(lambda: [client.upload_file(str(file), "bench", f"plain/{file.name}") for file in files], 1)
    url = f"s3://bench?endpoint={server.endpoint}&region=us-east-1"
    store = open_store(url, server.credentials(), base=folder)
    put = seconds(lambda: [store.put(f"put/{file.name}", _chunks(file)) for file in files], 1)
    configuration = configure_bucket(url, server.credentials())
    backup = seconds(Installation(folder, {"node": files[0].parent}, configuration=configuration).back_up, 1)
    for page in client.get_paginator("list_objects_v2").paginate(Bucket="bench"):
        client.delete_objects(Bucket="bench", Delete={"Objects": [{"Key": one["Key"]} for one in page["Contents"]]})
    client.delete_bucket(Bucket="bench")
    shutil.rmtree(folder)
    return plain, put, backup


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            yield chunk
