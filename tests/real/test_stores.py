"""`logkeep store check` against real servers and real faults, and what an agency's credentials may."""

from __future__ import annotations

import base64
import hashlib
import http.server
import os
import random
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.exceptions import ClientError

from logkeep.keyfiles.creation import create_keys
from logkeep.stores.base import ObjectStore
from logkeep.stores.opendal import REMOTE, open_store
from tests.integration.cli.installed import COMMAND, Done, environment, logkeep
from tests.real.certificates import Authority, found_authority
from tests.real.deployment import Site
from tests.real.servers import MinioServer, S3Server, Toxiproxy
from tests.real.test_faults import Front, OtherClock

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

RIGHTS = ("PutObject", "GetObject", "ListBucket", "DeleteObject")
STEPS = ["write", "read", "read a range", "list", "delete", "write in parts", "read it", "delete it"]
SECRET = "very-secret-key"
MIB = 1024 * 1024


def check(folder: Path, url: str, *words: str, keys: dict[str, str] | None = None, **environment: str) -> Done:
    """`store check` of a bucket at this URL; the keys are those of nobody where none are given."""
    keys = keys or {"access_key_id": "nobody", "secret_access_key": SECRET}
    credentials = ", ".join(f'{name} = "{value}"' for name, value in keys.items())
    directory = folder / "installation"
    configure(directory, f'[buckets.far]\nurl = "{url}"\ncredentials = {{ {credentials} }}\n')
    return logkeep("--dir", directory, "store", "check", "far", *words, **environment)


def configure(directory: Path, toml: str) -> None:
    """An installation without a database, as none is needed."""
    directory.mkdir(parents=True)
    (directory / "logkeep.toml").write_text(toml)
    create_keys(directory)


def expect_one_line(done: Done, said: str) -> None:
    [line] = done.ended(1).err.splitlines()
    assert re.fullmatch(f"logkeep: far: {said}", line), line
    assert SECRET not in line
    assert done.out == ""
    print(f"\n{line}")  # for whoever wants to read what a user reads: pytest -s


def url(server: S3Server, bucket: str, more: str = "") -> str:
    return f"s3://{bucket}?endpoint={server.endpoint}{more}"


def left(server: S3Server, bucket: str) -> int:
    return server.client().list_objects_v2(Bucket=bucket)["KeyCount"]


def test_a_bucket_that_can_be_used_is_ok(tmp_path: Path, s3_server: S3Server, s3_bucket: str) -> None:
    keys = s3_server.add_user(s3_bucket, *RIGHTS)
    done = check(tmp_path, url(s3_server, s3_bucket), keys=keys).ended(0)
    assert re.fullmatch("ok: far: " + ", ".join(rf"{step} \d+ ms" for step in STEPS) + "\n", done.out)
    told = check(tmp_path / "2", url(s3_server, s3_bucket), "--json", keys=keys).ended(0).json
    assert (told["bucket"], told["ok"], told["problem"]) == ("far", True, None)
    assert [step["step"] for step in told["steps"]] == STEPS
    assert left(s3_server, s3_bucket) == 0


def test_a_name_that_dns_does_not_know(tmp_path: Path) -> None:
    done = check(tmp_path, "s3://logs?endpoint=https://no-such-host.invalid")
    expect_one_line(done, "LK-STORE-UNREACHABLE: .*dns error.* The server's name is not known here: check endpoint= .*")


def test_a_closed_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    done = check(tmp_path, f"s3://logs?endpoint=http://127.0.0.1:{port}", "--json")
    assert done.json["code"] == "LK-STORE-UNREACHABLE"
    assert re.search(r"tcp connect error: Connection refused .* Check that it runs", done.json["problem"])
    assert done.code == 1


def test_a_missing_bucket(tmp_path: Path, s3_server: S3Server) -> None:
    done = check(tmp_path, url(s3_server, "not-there"), keys=s3_server.credentials())
    expect_one_line(done, "LK-STORE-MISSING: there is no bucket far. Create it, .*")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"secret_access_key": SECRET}, "SignatureDoesNotMatch"), ({"access_key_id": "nobody"}, "InvalidAccessKeyId")],
)
def test_a_wrong_key(tmp_path: Path, s3_server: S3Server, s3_bucket: str, wrong: dict[str, str], said: str) -> None:
    done = check(tmp_path, url(s3_server, s3_bucket), keys=s3_server.credentials() | wrong)
    expect_one_line(done, f"LK-STORE-DENIED: .*{said}.* The key is wrong: check the credentials of the bucket, or .*")


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("PutObject", "cannot write '.*'.* The key may not write there: give it that right."),
        ("GetObject", "cannot read '.*'.* The key may not read there: give it that right."),
        ("ListBucket", "cannot list objects .* The key may not list there: give it that right."),
        ("DeleteObject", "cannot delete '.*'.* The key may not delete there: give it that right."),
    ],
)
def test_a_missing_right_is_named(tmp_path: Path, s3_server: S3Server, s3_bucket: str, missing: str, said: str) -> None:
    keys = s3_server.add_user(s3_bucket, *(right for right in RIGHTS if right != missing))
    expect_one_line(check(tmp_path, url(s3_server, s3_bucket), keys=keys), f"LK-STORE-DENIED: {said}")
    assert left(s3_server, s3_bucket) == (missing == "DeleteObject")


def test_a_clock_that_is_off(tmp_path: Path, s3_server: S3Server, s3_bucket: str) -> None:
    clock = OtherClock(tmp_path)
    clock.set(-3600)
    done = check(tmp_path, url(s3_server, s3_bucket), keys=s3_server.credentials(), **clock.environment)
    expect_one_line(done, "LK-STORE-DENIED: .*RequestTimeTooSkewed.* Set the clock of this machine; .*")


# TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return found_authority(tmp_path_factory.mktemp("ca"))


def test_a_ca_of_ones_own_is_trusted_where_ssl_cert_file_names_it(tmp_path: Path, authority: Authority) -> None:
    with S3Server(authority.issue()) as server:
        untrusted = check(tmp_path, url(server, "logs"), keys=server.credentials())
        expect_one_line(untrusted, ".*UnknownIssuer.* is not trusted here: add its CA to .*, or name .*SSL_CERT_FILE.")
        trusting = {"SSL_CERT_FILE": str(authority.ca)}
        missing = check(tmp_path / "2", url(server, "logs"), keys=server.credentials(), **trusting)
        expect_one_line(missing, "LK-STORE-MISSING: there is no bucket .*")
        (server.folder / "data" / "logs").mkdir()
        check(tmp_path / "3", url(server, "logs"), keys=server.credentials(), **trusting).ended(0)


@pytest.mark.parametrize(
    ("name", "days", "said"),
    [
        (
            "store.example",
            1,
            'not valid for name "127.0.0.1".* for another name: write one that it is for in endpoint=.',
        ),
        ("127.0.0.1", -1, "certificate expired.* Renew its certificate, or set the clock of this machine."),
    ],
)
def test_a_certificate_that_is_for_another_name_or_time(
    tmp_path: Path, authority: Authority, name: str, days: int, said: str
) -> None:
    with S3Server(authority.issue(name, days=days)) as server:
        done = check(tmp_path, url(server, "logs"), SSL_CERT_FILE=str(authority.ca))
        expect_one_line(done, f"LK-STORE-UNREACHABLE: .*{said}")


def test_a_server_without_tls_where_https_is_written(tmp_path: Path, s3_server: S3Server) -> None:
    done = check(tmp_path, url(s3_server, "logs").replace("http:", "https:"))
    expect_one_line(done, "LK-STORE-UNREACHABLE: .*InvalidContentType. It answers without TLS: write http:// .*")


# Agencies


def test_a_job_writes_with_the_key_of_its_agency(tmp_path: Path, s3_server: S3Server, s3_bucket: str) -> None:
    writer = s3_server.add_user(s3_bucket, *RIGHTS)
    nobody = {"access_key_id": "nobody", "secret_access_key": SECRET}
    agencies = "".join(f'[agencies.{name}]\ndescription = "{name}"\n' for name in ("css_obs_agency", "other"))
    agencies += "".join(f"[agencies.css_obs_agency.credentials.logs]\n{_toml(writer)}")
    site = Site(tmp_path, url(s3_server, s3_bucket, "&timeout=5"), more=agencies, **nobody)
    with site.serving():
        assert site.back_up().status == "SUCCESS"
        site.expect_whole()
        refused = site.ask("logs", "settings", "prod", "--agency", "other").ended(1)
        assert re.search(
            "cannot (?:write|read) .*The key is wrong: check the credentials of the bucket, or of", refused.err
        )
        unknown = site.ask("logs", "settings", "prod", "--agency", "third").ended(2)
        assert "there is no agency third; configured are css_obs_agency, other" in unknown.err
    toml = site.directory / "logkeep.toml"
    toml.write_text(toml.read_text().replace("agencies.css_obs_agency", "agencies.renamed"))
    with site.serving():
        ended = site.back_up()
        assert ended.status == "FAIL"
        assert ended.message.startswith("LK-STORE-DENIED: agency css_obs_agency is no longer configured; add ")
        site.ask("logs", "settings", "prod", "--agency", "renamed").ended(0)
        assert site.back_up().status == "SUCCESS"
        site.expect_whole()


def test_store_check_takes_the_credentials_of_an_agency(tmp_path: Path, s3_server: S3Server, s3_bucket: str) -> None:
    reader = s3_server.add_user(s3_bucket, "GetObject", "ListBucket")
    configuration = f'[buckets.far]\nurl = "{url(s3_server, s3_bucket)}"\n[buckets.far.credentials]\n'
    configuration += _toml(s3_server.credentials()) + f"[agencies.reader.credentials.far]\n{_toml(reader)}"
    configure(tmp_path / "installation", configuration)
    asked = ("--dir", tmp_path / "installation", "store")
    logkeep(*asked, "check", "far").ended(0)
    expect_one_line(logkeep(*asked, "check", "far", "--agency", "reader"), ".* The key may not write there: .*")
    assert "there is no agency x; logkeep.toml has reader" in logkeep(*asked, "check", "far", "--agency", "x").err
    assert "there is no bucket x; logkeep.toml has far" in logkeep(*asked, "check", "x").ended(2).err
    listed = logkeep(*asked, "list", "--json").ended(0)
    far = {"name": "far", "url": url(s3_server, s3_bucket), "clusters": None, "agencies": ["reader"]}  # no database yet
    assert listed.json == {"stores": [far]}
    assert "secret" not in listed.out


def _toml(values: dict[str, str]) -> str:
    return "".join(f'{name} = "{value}"\n' for name, value in values.items())


# What the options of S3 ask of a server


@pytest.fixture(scope="module")
def minio() -> Iterator[MinioServer]:
    with MinioServer() as server:
        server.client().create_bucket(Bucket="logs")
        yield server


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ("server_side_encryption=AES256", {"ServerSideEncryption": "AES256"}),
        (
            "server_side_encryption=aws:kms&server_side_encryption_aws_kms_key_id=key",
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "arn:aws:kms:key"},
        ),
        ("default_storage_class=REDUCED_REDUNDANCY", {"StorageClass": "REDUCED_REDUNDANCY"}),
    ],
)
@pytest.mark.parametrize("size", [1, 20], ids=["whole", "in parts"])
@pytest.mark.minio
def test_objects_are_encrypted_and_of_the_class_that_the_url_asks_for(
    minio: MinioServer, options: str, wanted: dict[str, str], size: int
) -> None:
    store = open_store(url(minio, "logs", f"&{options}"), minio.credentials(), base=Path("/"))
    data = random.Random(size).randbytes(size * MIB)
    store.put("x", [data])
    head = minio.client().head_object(Bucket="logs", Key="x")
    assert {name: head.get(name) for name in wanted} == wanted
    assert store.get("x") == data
    plain = [
        path
        for path in (minio.folder / "data" / "logs").rglob("*")
        if path.is_file() and data[:64] in path.read_bytes()
    ]
    assert bool(plain) == ("encryption" not in options)


@pytest.mark.minio
def test_an_object_encrypted_with_a_key_of_ones_own_is_read_by_that_key_only(
    tmp_path: Path, authority: Authority
) -> None:
    key = bytes(range(32))
    own = {
        "server_side_encryption_customer_key": base64.b64encode(key).decode(),
        "server_side_encryption_customer_key_md5": base64.b64encode(hashlib.md5(key).digest()).decode(),
    }
    asked = "&server_side_encryption_customer_algorithm=AES256"
    with MinioServer(authority.issue()) as server:
        server.client().create_bucket(Bucket="logs")
        keys, trusting = server.credentials() | own, {"SSL_CERT_FILE": str(authority.ca)}
        check(tmp_path, url(server, "logs", asked), keys=keys, **trusting).ended(0)
        site = Site(tmp_path / "site", url(server, "logs", asked), **keys)
        with site.serving(**trusting):
            assert site.back_up().status == "SUCCESS"
            site.expect_whole()
        [name, *_] = [one["Key"] for one in server.client().list_objects_v2(Bucket="logs")["Contents"]]
        with pytest.raises(ClientError):
            server.client().get_object(Bucket="logs", Key=name)


@pytest.mark.parametrize(
    "kind", [pytest.param(S3Server, id="versitygw"), pytest.param(MinioServer, id="minio", marks=pytest.mark.minio)]
)
def test_the_bucket_may_stand_in_the_name_of_the_host(tmp_path: Path, kind: type[S3Server]) -> None:
    if os.geteuid() != 0:
        raise RuntimeError("run this test as root: it gives a process an /etc/hosts of its own")
    with kind() as server:
        server.client().create_bucket(Bucket="logs")
        hosts = tmp_path / "hosts"
        hosts.write_text(f"127.0.0.1 logs.{server.DOMAIN}\n")
        place = f"s3://logs?endpoint=http://{server.DOMAIN}:{server.port}&enable_virtual_host_style=true"
        by_path = check(tmp_path, place.replace("=true", "=false"), keys=server.credentials())
        expect_one_line(by_path, ".*dns error.*")
        private = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(hosts)]
        command = [*private, *COMMAND, "--dir", str(tmp_path / "installation"), "store", "check", "far"]
        (tmp_path / "installation" / "logkeep.toml").write_text(
            (tmp_path / "installation" / "logkeep.toml").read_text().replace("=false", "=true")
        )
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


# Requests that fail for a moment


class Flaky(Front):
    """Refuses some requests, and keeps when each came: by the number of the part, '' for an object that is sent whole."""

    refusals: dict[str, int]  # how often each is refused
    came: dict[str, list[float]]  # monotonic seconds

    def do_PUT(self) -> None:
        part = parse_qs(urlsplit(self.path).query).get("partNumber", [""])[0]
        times = self.came.setdefault(part, [])
        times.append(time.monotonic())
        if len(times) > self.refusals.get(part, 0):
            self.do_GET()
            return
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(503, [], b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>")


@contextmanager
def flaky(server: S3Server, bucket: str, **refusals: int) -> Iterator[tuple[ObjectStore, dict[str, list[float]]]]:
    """A store, and when the requests came that write."""
    came: dict[str, list[float]] = {}
    wanted = {part.removeprefix("part_"): count for part, count in refusals.items()}
    handler = type("Handler", (Flaky,), {"upstream": server.port, "refusals": wanted, "came": came})
    front = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=front.serve_forever)
    thread.start()
    try:
        endpoint = f"http://127.0.0.1:{front.server_port}"
        yield open_store(f"s3://{bucket}?endpoint={endpoint}", server.credentials(), base=Path("/")), came
    finally:
        front.shutdown()
        thread.join()
        front.server_close()


def test_only_the_parts_that_failed_are_sent_again(s3_server: S3Server, s3_bucket: str) -> None:
    data = random.Random(1).randbytes(40 * MIB)
    with flaky(s3_server, s3_bucket, part_1=1, part_3=1, part_5=1) as (store, came):
        assert store.put("x", [data]) == len(data)
    assert {part: len(times) for part, times in came.items()} == {"1": 2, "2": 1, "3": 2, "4": 1, "5": 2}
    assert s3_server.client().get_object(Bucket=s3_bucket, Key="x")["Body"].read() == data


def test_the_pauses_before_a_new_try_grow_and_vary(s3_server: S3Server, s3_bucket: str) -> None:
    first: list[float] = []
    second: list[float] = []
    with flaky(s3_server, s3_bucket, part_=2) as (store, came):
        for number in range(3):
            came[""] = times = []
            store.put(f"x{number}", [b"x"])
            first.append(times[1] - times[0])
            second.append(times[2] - times[1])
    assert min(first) >= REMOTE.pause
    assert min(second) >= 2 * REMOTE.pause
    assert max(first) - min(first) > 0.005


def test_an_upload_goes_on_after_its_connections_were_cut(s3_server: S3Server, s3_bucket: str) -> None:
    data = random.Random(2).randbytes(40 * MIB)
    with Toxiproxy(s3_server.port) as proxy:

        def chunks() -> Iterator[bytes]:
            for at in range(0, len(data), MIB):
                if at == 20 * MIB:
                    proxy.add("reset_peer", timeout=0)
                    threading.Timer(0.1, proxy.heal).start()
                yield data[at : at + MIB]

        store = open_store(f"s3://{s3_bucket}?endpoint={proxy.endpoint}", s3_server.credentials(), base=Path("/"))
        assert store.put("x", chunks()) == len(data)
        assert store.get("x") == data
