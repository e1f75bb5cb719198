"""The store over a real S3 gateway, with boto3 as the witness."""

from __future__ import annotations

import http.server
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from logkeep.errors import BucketMissing, StoreDenied, StoreError, StoreUnreachable
from logkeep.stores.base import ObjectStore
from logkeep.stores.opendal import RetryPolicy, open_store
from tests.real.servers import MinioServer, S3Server, wait_until
from tests.suites.store_suite import MIB, NAMES, Stopped, StoreSuite, names, stopping

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]  # the first one may have to build the gateway

BRIEF = RetryPolicy(timeout=1.0, tries=2, pause=0.05, longest_pause=0.1)


def _raise_any(errors: Sequence[StoreError | None]) -> None:
    for error in filter(None, errors):
        raise error


CALLS: list[Callable[[ObjectStore], object]] = [
    lambda store: store.check(),
    lambda store: store.put("x", [b"x"]),
    lambda store: store.put("x", [bytes(MIB)] * 20),
    lambda store: store.get("x"),
    lambda store: store.open("x"),
    lambda store: store.size("x"),
    lambda store: list(store.list("")),
    lambda store: _raise_any(store.remove(["x"])),
    lambda store: store.delete("x"),
]
SERVERS = [pytest.param(S3Server, id="versitygw"), pytest.param(MinioServer, id="minio", marks=pytest.mark.minio)]
CALL_NAMES = ["check", "put", "put parts", "get", "open", "size", "list", "remove", "delete"]
each_call = pytest.mark.parametrize("call", CALLS, ids=CALL_NAMES)


@pytest.fixture(scope="module", params=SERVERS)
def s3_server(request: pytest.FixtureRequest) -> Iterator[S3Server]:
    """Two servers that share no code."""
    with request.param() as server:
        yield server


def open_bucket(server: S3Server, bucket: str, *, prefix: str = "", **credentials: str) -> ObjectStore:
    url = f"s3://{bucket}/{prefix}?endpoint={server.endpoint}"
    return open_store(url, server.credentials() | credentials, base=Path("/"), retries=BRIEF)


def open_endpoint(endpoint: str, retries: RetryPolicy = BRIEF) -> ObjectStore:
    keys = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "very-secret-key"}
    return open_store(f"s3://logs?endpoint={endpoint}", keys, base=Path("/"), retries=retries)


def keys(server: S3Server, bucket: str) -> list[str]:
    found = server.client().list_objects_v2(Bucket=bucket)
    return [entry["Key"] for entry in found.get("Contents", [])]


class TestS3Store(StoreSuite):
    @pytest.fixture
    def store(self, s3_server: S3Server, s3_bucket: str) -> ObjectStore:
        return open_bucket(s3_server, s3_bucket)


class TestS3StoreWithPrefix(StoreSuite):
    @pytest.fixture
    def store(self, s3_server: S3Server, s3_bucket: str) -> ObjectStore:
        return open_bucket(s3_server, s3_bucket, prefix="css/my%20%E6%97%A5/")


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_another_client_sees_the_same_name_and_bytes(s3_server: S3Server, s3_bucket: str, name: str) -> None:
    data = random.Random(name).randbytes(20 * MIB)
    open_bucket(s3_server, s3_bucket, prefix="a%20b").put(name, [data[:MIB], data[MIB:]])
    witness = s3_server.client()
    assert keys(s3_server, s3_bucket) == [f"a b/{name}"]
    assert witness.get_object(Bucket=s3_bucket, Key=f"a b/{name}")["Body"].read() == data


@pytest.mark.parametrize("count", [1, 20], ids=["whole", "in parts"])
def test_the_server_is_given_a_checksum(s3_server: S3Server, s3_bucket: str, count: int) -> None:
    open_bucket(s3_server, s3_bucket).put("x", [bytes(MIB)] * count)
    seen = s3_server.client().head_object(Bucket=s3_bucket, Key="x", ChecksumMode="ENABLED")
    assert seen["ChecksumCRC32C"]


def test_what_another_client_put_is_read(s3_server: S3Server, s3_bucket: str) -> None:
    witness = s3_server.client()
    for key in ("a/日志 +%.zst", "a/folder/", "a//x", "b/line\tend"):
        with suppress(ClientError):  # not every server takes all of these
            witness.put_object(Bucket=s3_bucket, Key=key, Body=b"" if key.endswith("/") else b"theirs")
    store = open_bucket(s3_server, s3_bucket)
    assert store.get("a/日志 +%.zst") == b"theirs"
    assert [name for name in names(store.list("")) if name != "a/x"] == ["a/日志 +%.zst"]


def test_a_listing_longer_than_a_page_is_whole(s3_server: S3Server, s3_bucket: str) -> None:
    witness = s3_server.client()
    wanted = sorted(f"folder/{number}" for number in range(1203))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: witness.put_object(Bucket=s3_bucket, Key=key, Body=b"x"), wanted))
    assert names(open_bucket(s3_server, s3_bucket).list("")) == wanted


def test_what_was_given_up_is_never_an_object(s3_server: S3Server, s3_bucket: str) -> None:
    with pytest.raises(Stopped):
        open_bucket(s3_server, s3_bucket).put("x", stopping(30 * MIB))
    assert keys(s3_server, s3_bucket) == []


@each_call
@pytest.mark.parametrize("wrong", [{"secret_access_key": "very-secret-key"}, {"access_key_id": "nobody"}])
def test_a_wrong_key_is_denied(
    s3_server: S3Server, s3_bucket: str, call: Callable[[ObjectStore], object], wrong: dict[str, str]
) -> None:
    with pytest.raises(StoreDenied, match=f"s3://{s3_bucket}/.*(The key is wrong|Check the keys)") as caught:
        call(open_bucket(s3_server, s3_bucket, **wrong))
    assert "very-secret-key" not in str(caught.value)
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize("call", CALLS[:-1], ids=CALL_NAMES[:-1])
def test_a_missing_bucket_is_said_and_not_made(s3_server: S3Server, call: Callable[[ObjectStore], object]) -> None:
    with pytest.raises(BucketMissing, match="there is no bucket s3://not-there"):
        call(open_bucket(s3_server, "not-there"))
    assert "not-there" not in [bucket["Name"] for bucket in s3_server.client().list_buckets()["Buckets"]]


@each_call
def test_nobody_listening_is_unreachable(call: Callable[[ObjectStore], object]) -> None:
    with pytest.raises(StoreUnreachable, match=r"s3://logs/ at http://127.0.0.1:1: .*goes on from here"):
        call(open_endpoint("http://127.0.0.1:1"))


@pytest.fixture
def silent_endpoint() -> Iterator[str]:
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as silent:
        yield f"http://127.0.0.1:{silent.getsockname()[1]}"


@each_call
def test_a_server_that_hangs_is_unreachable_in_bounded_time(
    silent_endpoint: str, call: Callable[[ObjectStore], object]
) -> None:
    began = time.monotonic()
    with pytest.raises(StoreUnreachable, match="timeout reached"):
        call(open_endpoint(silent_endpoint))
    assert time.monotonic() - began < BRIEF.tries * BRIEF.timeout + 1.5


@each_call
def test_a_server_that_hangs_stops_no_other_thread(silent_endpoint: str, call: Callable[[ObjectStore], object]) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(call, open_endpoint(silent_endpoint, RetryPolicy(timeout=1.0, tries=1)))
        turns = 0
        while not waiting.done():
            time.sleep(0.01)
            turns += 1
    assert isinstance(waiting.exception(), StoreUnreachable)
    assert turns > 50


@pytest.mark.parametrize("call", [CALLS[2], CALLS[3]], ids=["put parts", "get"])
def test_by_default_a_server_that_hangs_is_given_up_within_a_minute(
    silent_endpoint: str, call: Callable[[ObjectStore], object]
) -> None:
    store = open_store(
        f"s3://logs?endpoint={silent_endpoint}",
        {"access_key_id": "a", "secret_access_key": "b"},
        base=Path("/"),
    )
    began = time.monotonic()
    with pytest.raises(StoreUnreachable):
        call(store)
    assert 50 < time.monotonic() - began < 62


class Refusing(http.server.BaseHTTPRequestHandler):
    """Answers each request with `status`, and counts them."""

    status = 500
    seen = 0

    def do_GET(self) -> None:
        type(self).seen += 1
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b"<html>a page of a proxy</html>"
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_PUT = do_POST = do_HEAD = do_DELETE = do_GET

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def refusing() -> Iterator[tuple[str, type[Refusing]]]:
    handler = type("Handler", (Refusing,), {})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", handler
    server.shutdown()
    thread.join()
    server.server_close()


@each_call
@pytest.mark.parametrize(("status", "kind"), [(500, StoreUnreachable), (503, StoreUnreachable), (403, StoreDenied)])
def test_an_answer_that_is_no_success_is_an_error_of_ours(
    refusing: tuple[str, type[Refusing]], call: Callable[[ObjectStore], object], status: int, kind: type[StoreError]
) -> None:
    endpoint, handler = refusing
    handler.status = status
    with pytest.raises(kind):
        call(open_endpoint(endpoint))
    assert handler.seen <= BRIEF.tries


def test_a_lookup_tells_why_it_was_refused(s3_server: S3Server, s3_bucket: str) -> None:
    open_bucket(s3_server, s3_bucket).put("there", [b"x"])
    for name in ("there", "missing"):
        with pytest.raises(StoreDenied, match=r"SignatureDoesNotMatch.* The key is wrong: check the credentials"):
            open_bucket(s3_server, s3_bucket, secret_access_key="another-secret").size(name)


def test_a_passing_fault_is_tried_again(refusing: tuple[str, type[Refusing]]) -> None:
    endpoint, handler = refusing
    with pytest.raises(StoreUnreachable):
        open_endpoint(endpoint, RetryPolicy(timeout=1, tries=3, pause=0.01, longest_pause=0.02)).size("x")
    assert handler.seen == 3


def test_a_server_killed_in_mid_upload_leaves_no_object() -> None:
    with S3Server() as server:
        server.client().create_bucket(Bucket="logs")
        store = open_bucket(server, "logs")

        def chunks() -> Iterator[bytes]:
            for _ in range(30):
                yield bytes(MIB)
            server.kill()
            for _ in range(30):
                yield bytes(MIB)

        with pytest.raises(StoreUnreachable, match="cannot write 'cluster/x' in s3://logs"):
            store.put("cluster/x", chunks())
        server.start()
        assert keys(server, "logs") == []
        assert store.put("cluster/x", [b"again"]) == 5


def test_a_server_that_comes_back_is_used_again_by_the_same_store() -> None:
    with S3Server() as server:
        server.client().create_bucket(Bucket="logs")
        store = open_bucket(server, "logs")
        store.put("x", [b"x"])
        server.stop()
        with pytest.raises(StoreUnreachable):
            store.get("x")
        server.start()
        assert store.get("x") == b"x"


# Buckets that keep versions -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def versioned_server() -> Iterator[S3Server]:
    with S3Server(versions=True) as server:
        yield server


@pytest.fixture
def versioned_bucket(versioned_server: S3Server) -> str:
    name = f"logs-{uuid4().hex[:12]}"
    versioned_server.client().create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return name


def versions(server: S3Server, bucket: str) -> list[str]:
    """The names of all versions and markers that a bucket has."""
    found = server.client().list_object_versions(Bucket=bucket)
    return sorted(one["Key"] for one in [*found.get("Versions", []), *found.get("DeleteMarkers", [])])


class TestVersionedS3Store(StoreSuite):
    @pytest.fixture
    def store(self, versioned_server: S3Server, versioned_bucket: str) -> ObjectStore:
        return open_bucket(versioned_server, versioned_bucket)


def test_remove_leaves_neither_a_version_nor_a_marker(versioned_server: S3Server, versioned_bucket: str) -> None:
    store = open_bucket(versioned_server, versioned_bucket, prefix="css")
    for number in range(3):
        store.put("a/x.zst", [bytes(number)])
        store.put("a/y.zst", [bytes(number)])
    store.delete("a/x.zst")
    assert versions(versioned_server, versioned_bucket) == ["css/a/x.zst"] * 4 + ["css/a/y.zst"] * 3
    assert store.remove(["a/x.zst"]) == [None]
    assert versions(versioned_server, versioned_bucket) == ["css/a/y.zst"] * 3


def test_what_a_lock_keeps_stays_until_it_has_run_out(versioned_server: S3Server, versioned_bucket: str) -> None:
    store = open_bucket(versioned_server, versioned_bucket)
    store.put("a/WORM.zst", [b"x"])
    until = datetime.now(UTC) + timedelta(seconds=3)
    witness = versioned_server.client()
    witness.put_object_retention(
        Bucket=versioned_bucket, Key="a/WORM.zst", Retention={"Mode": "COMPLIANCE", "RetainUntilDate": until}
    )
    store.put("a/other.zst", [b"x"])
    refused, gone = store.remove(["a/WORM.zst", "a/other.zst"])
    assert str(refused).startswith("LK-STORE-LOCKED: cannot delete 'a/WORM.zst'"), refused
    assert "goes once that has run out" in str(refused)
    assert gone is None
    assert store.get("a/WORM.zst") == b"x"
    wait_until(lambda: store.remove(["a/WORM.zst"]) == [None], 20, "the end of the lock")
    assert versions(versioned_server, versioned_bucket) == []


def test_a_key_that_may_not_delete_is_no_lock(versioned_server: S3Server, versioned_bucket: str) -> None:
    rights = ("ListBucket", "ListBucketVersions", "PutObject", "GetObject")
    user = versioned_server.add_user(versioned_bucket, *rights)
    store = open_bucket(versioned_server, versioned_bucket, **user)
    store.put("a/WORM.zst", [b"x"])
    [refused] = store.remove(["a/WORM.zst"])
    assert isinstance(refused, StoreDenied), refused
    assert "may not delete there" in refused.message


def test_a_key_that_may_not_list_versions_is_told(versioned_server: S3Server, versioned_bucket: str) -> None:
    user = versioned_server.add_user(versioned_bucket, "ListBucket", "PutObject", "GetObject", "DeleteObject")
    store = open_bucket(versioned_server, versioned_bucket, **user)
    store.put("a/x.zst", [b"x"])
    [refused] = store.remove(["a/x.zst"])
    assert isinstance(refused, StoreDenied), refused
    assert "ListBucketVersions" in refused.message
    assert store.get("a/x.zst") == b"x"
