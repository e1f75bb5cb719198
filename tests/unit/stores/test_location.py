"""The URL of a bucket."""

from __future__ import annotations

import re
from pathlib import Path

import opendal
import pytest

from logkeep.bootstrap.stores import open_agencies, open_buckets
from logkeep.errors import SettingError
from logkeep.settings import load_settings
from logkeep.stores.location import Location, parse_location
from logkeep.stores.opendal import REMOTE, open_store

KEYS = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "very-secret-key"}
BASE = Path("/data")
DOCUMENT = Path(__file__).parents[3] / "docs" / "stores.md"


def parse(url: str, credentials: dict[str, str] | None = None) -> Location:
    return parse_location(url, KEYS if credentials is None else credentials, BASE)


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("file:buckets/logs", "/data/buckets/logs"),
        ("file:///srv/logs", "/srv/logs"),
        ("file://localhost/srv/logs", "/srv/logs"),
        ("file:/srv/logs/", "/srv/logs"),
        ("file:a%20b/%E6%97%A5%23%3F", "/data/a b/日#?"),
    ],
)
def test_a_folder_is_relative_to_the_base(url: str, folder: str) -> None:
    assert parse_location(url, None, BASE).folder == Path(folder)


def test_a_folder_without_its_kind_is_told_as_it_is_to_be_written() -> None:
    with pytest.raises(SettingError, match=r"write this folder as file:///mnt/x%20y$"):
        parse_location("/mnt/x y", None, BASE)


def test_an_s3_bucket_with_a_prefix_and_an_endpoint() -> None:
    location = parse("s3://logs/css/my%20log/?endpoint=http://127.0.0.1:9000&region=cn-north-4")
    assert dict(location.options) == {
        **KEYS,
        "bucket": "logs",
        "root": "/css/my log",
        "endpoint": "http://127.0.0.1:9000",
        "region": "cn-north-4",
        "checksum_algorithm": "crc32c",
        "disable_config_load": "true",
        "disable_ec2_metadata": "true",
    }
    assert location.where == "s3://logs/css/my log at http://127.0.0.1:9000"


def test_without_an_endpoint_it_is_amazon_by_the_bucket_s_own_host_name() -> None:
    assert parse("s3://logs?region=eu-west-1").options["enable_virtual_host_style"] == "true"
    assert parse("s3://my.logs?region=eu-west-1").options["enable_virtual_host_style"] == "false"
    assert "enable_virtual_host_style" not in parse("s3://logs?endpoint=http://h").options


def test_an_endpoint_alone_has_a_region() -> None:
    assert parse("s3://logs?endpoint=http://h").options["region"] == "us-east-1"


def test_checksums_can_be_left_out() -> None:
    assert "checksum_algorithm" not in parse("s3://logs?region=x&checksum_algorithm=none").options


def test_the_environment_is_asked_only_where_the_url_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "from-environment")
    with pytest.raises(SettingError, match="the credentials lack access_key_id"):
        open_store("s3://logs?region=x", base=tmp_path)
    location = parse("s3://logs?region=x&credentials=environment", {})
    assert "disable_config_load" not in location.options
    open_store("s3://logs?region=x&credentials=environment", base=tmp_path)


def test_the_url_can_say_how_long_to_wait() -> None:
    assert parse("s3://logs?region=x&timeout=60").timeout == 60.0
    assert parse("s3://logs?region=x").timeout is None


@pytest.mark.parametrize(
    ("url", "credentials", "option"),
    [
        ("obs://logs/css?endpoint=https://obs.example.com", KEYS, ("bucket", "logs")),
        ("oss://logs?endpoint=https://oss.example.com", {"access_key_id": "a", "access_key_secret": "b"}, ("root", "/")),
        ("cos://logs?endpoint=https://cos.example.com", {"secret_id": "a", "secret_key": "b"}, ("bucket", "logs")),
        ("gcs://logs/css", {"credential": "e30="}, ("root", "/css")),
        ("azblob://logs?endpoint=https://a.example.com&account_name=a", {"account_key": "eA=="}, ("container", "logs")),
        ("webdav:///css?endpoint=https://dav.example.com", {"username": "a", "password": "b"}, ("root", "/css")),
    ],
)  # fmt: skip
def test_other_kinds_are_opened_with_their_own_options(
    url: str, credentials: dict[str, str], option: tuple[str, str], tmp_path: Path
) -> None:
    assert option in parse(url, credentials).options.items()
    open_store(url, credentials, base=tmp_path)


WRONG = [
    ("logs", "begins with ''"),
    ("/srv/logs", "write this folder as file:///srv/logs"),
    ("fs:///srv/logs", "begins with 'fs'"),
    ("quark://logs", "begins with 'quark'"),
    ("http:///?endpoint=http://host", "http cannot be a bucket"),
    ("file:", "file:folder or file:///folder"),
    ("file:///srv%00x", "file:folder or file:///folder"),
    ("file://otherhost/srv", "file:folder or file:///folder"),
    ("file:///srv?region=x", "file:folder or file:///folder"),
    ("file:///srv#1", "'#'"),
    ("s3://logs#1?region=x", "'#'"),
    ("s3:///css?region=x", "s3: the URL names no bucket"),
    ("s3://logs", "s3: the URL needs region=… or endpoint=…"),
    ("s3://logs?regoin=x", "s3: there is no option 'regoin'; is it 'region'?"),
    ("s3://logs?region=x&region=y", "twice"),
    ("s3://logs?region", "cannot be read"),
    ("s3://logs/a/../b?region=x", "s3: the prefix of the bucket is not an object name"),
    ("s3://logs?endpoint=host:9000", "s3: endpoint is a URL such as"),
    ("s3://logs?endpoint=nonsense", "s3: endpoint is a URL such as"),
    ("s3://logs?endpoint=http://[half", "s3: endpoint is a URL such as"),
    ("s3://logs?region=x&timeout=soon", "s3: timeout is a number of seconds, not 'soon'"),
    ("s3://logs?region=x&credentials=mine", "s3: credentials is 'given' or 'environment'"),
    ("s3://logs?region=x&checksum_algorithm=zz", "checksum_algorithm"),
    ("s3://logs?region=x&disable_ec2_metadata=maybe", "disable_ec2_metadata"),
    ("webdav://host/css", "webdav: it has no buckets"),
    ("sftp://host/css", "begins with 'sftp'"),
]


@pytest.mark.parametrize(("url", "said"), WRONG)
def test_a_wrong_url_is_refused_and_says_why(url: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=said.replace("?", r"\?")):
        open_store(url, KEYS if url.startswith("s3") else {}, base=tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "s3://logs?region=x&secret_access_key=very-secret-key",
        "s3://logs?region=x&session_token=very-secret-key",
        "azblob://logs?endpoint=https://h&sas_token=very-secret-key",
        "s3://user:very-secret-key@logs?region=x",
        "s3://logs?endpoint=https://user:very-secret-key@host",
        "redis:///?endpoint=redis://user:very-secret-key@host",
        "s3://logs?region=x&very-secret-key",
        "s3://logs?region=%very-secret-key&region=very-secret-key",
    ],
)
def test_a_secret_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse(url, {})
    assert "very-secret-key" not in repr(caught.value)


@pytest.mark.parametrize(
    ("credentials", "said"),
    [
        ({"access_key_id": "a"}, "s3: the credentials lack secret_access_key"),
        ({"access_key_id": "a", "secret_access_key": ""}, "s3: the credentials lack secret_access_key"),
        ({**KEYS, "sekret": "very-secret-key"}, "s3: there is no option 'sekret'"),
    ],
)
def test_wrong_credentials_are_refused_by_name(credentials: dict[str, str], said: str) -> None:
    with pytest.raises(SettingError, match=said) as caught:
        parse("s3://logs?region=x", credentials)
    assert "very-secret-key" not in str(caught.value)


def test_public_buckets_need_no_keys() -> None:
    parse("s3://logs?region=x&skip_signature=true", {})


def test_no_printed_form_holds_a_secret(tmp_path: Path) -> None:
    url = "s3://logs?endpoint=http://127.0.0.1:1"
    location = parse(url)
    store = open_store(url, KEYS, base=tmp_path)
    for text in (repr(location), repr(store), str(store)):
        assert "very-secret-key" not in text
        assert "logs" in text


def test_a_call_to_a_server_that_hangs_ends_within_a_minute() -> None:
    pauses = (REMOTE.tries - 1) * REMOTE.longest_pause
    assert REMOTE.tries * REMOTE.timeout + pauses <= 60


def test_every_store_that_is_documented_can_be_opened(tmp_path: Path) -> None:
    """All blocks of the document are one file, with letters for the dots of secrets."""
    blocks = re.findall(r"^```toml\n(.*?)^```", DOCUMENT.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (tmp_path / "logkeep.toml").write_text("".join(blocks).replace("…", "x"), "utf-8")
    settings = load_settings(tmp_path, {})
    stores = open_buckets(settings)
    assert {settings.buckets[name].url.partition(":")[0] for name in stores} == {
        *("s3", "obs", "gcs", "azblob", "oss", "cos")
    }
    agencies = open_agencies(settings, stores)
    assert agencies["payments"]["shared"] is not stores["shared"]
    assert agencies["search"]["shared"] is stores["shared"]


def test_every_option_that_is_documented_exists() -> None:
    named = set(re.findall(r"`([a-z_0-9]+)`", re.split("^## ", DOCUMENT.read_text("utf-8"), flags=re.M)[2]))
    known = set(opendal.config.S3Config.__annotations__)
    assert {name for name in named if "_" in name} <= known
