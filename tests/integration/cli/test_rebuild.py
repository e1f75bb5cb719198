"""`logkeep rebuild` as an operator has it: the database is gone, the directory and the bucket are there."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from logkeep.cli.lock import only_process
from logkeep.keyfiles.signing import open_signing
from logkeep.stores.layout import manifest_hash
from tests.integration.cli.installed import Done, environment, init, serving
from tests.support.tampering import manifests

Command = Callable[..., Done]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    init(tmp_path / "installation")
    return tmp_path / "installation"


@pytest.fixture
def tenant(command: Command, directory: Path) -> Command:
    return lambda *arguments: command("--dir", directory, *arguments)


@dataclass(frozen=True)
class Lost:
    """An installation of which only the bucket is left, with another one around it."""

    cluster: str  # id
    pub: Path  # the public keys of before
    key: str  # of the installation that was lost, in hex


@pytest.fixture
def lost(tenant: Command, directory: Path, node: Path) -> Lost:
    with serving(directory):
        cluster = tenant("cluster", "add", "prod", "--node", f"n1={node}", "--json").ended(0).json["id"]
        tenant("logs", "open", "prod", "--at", "03:00 GMT+08:00").ended(0)
        tenant("backup", "prod", "--wait").ended(0)
    old = directory.rename(directory.with_name("old"))
    init(directory)
    (directory / "buckets").rename(directory / "empty")
    (old / "buckets").rename(directory / "buckets")
    return Lost(cluster, old / "sign.pub", open_signing(old).key)


def test_everything_is_there_again_after_the_database_was_lost(
    tenant: Command, directory: Path, node: Path, tmp_path: Path
) -> None:
    with serving(directory):
        tenant("cluster", "add", "prod", "--node", f"n1={node}").ended(0)
        tenant("logs", "open", "prod", "--at", "03:00 GMT+08:00").ended(0)
        tenant("backup", "prod", "--wait").ended(0)
        before = [
            tenant(*words, "--json").ended(0).json for words in (("records", "prod"), ("cluster", "show", "prod"))
        ]
        assert "is served by another process" in tenant("rebuild", "--from", "logs").ended(2).err
    shutil.copytree(directory, tmp_path / "copy")
    for path in directory.glob("logkeep.db*"):
        path.unlink()
    told = tenant("rebuild", "--from", "logs").ended(0)
    assert "prod" in told.out
    assert "works again" in told.out
    assert "make them anew: other access keys, users, tags of\nclusters" in told.out
    assert tenant("rebuild", "--from", "logs", "--json").ended(0).json["clusters"][0]["state"] == "known"
    with serving(directory):
        after = [tenant(*words, "--json").ended(0).json for words in (("records", "prod"), ("cluster", "show", "prod"))]
        assert after == before
        tenant("verify", "prod", "--chain").ended(0)
        tenant("restore", "prod", "--to", tmp_path / "restored", "--join").ended(0)
        assert (tmp_path / "restored/n1/prod.log").read_bytes() == (node / "prod.log").read_bytes()
        tenant("backup", "prod", "--wait").ended(0)


def test_bucket_that_is_not_configured_is_named(tenant: Command) -> None:
    told = tenant("rebuild", "--from", "other").ended(2).err
    assert "there is no bucket other; logkeep.toml has logs. One that `store add` named went" in told


def test_empty_bucket_is_told(tenant: Command) -> None:
    assert "no manifests" in tenant("rebuild", "--from", "logs").ended(0).out


def test_new_installation_lists_the_keys_and_takes_the_one_that_it_is_told(
    tenant: Command, directory: Path, lost: Lost, tmp_path: Path
) -> None:
    pub, key = lost.pub, lost.key
    untouched = (directory / "sign.pub").read_bytes()
    told = tenant("rebuild", "--from", "logs").ended(1)
    assert key in told.out.splitlines()
    assert "refused" in told.out
    assert f"--trust-key {key}" in told.err
    assert (directory / "sign.pub").read_bytes() == untouched
    document = tenant("rebuild", "--from", "logs", "--json").ended(1).json
    assert [(one["key"], one["signed"]) for one in document["unknown_keys"]] == [(key, 1)]
    for wrong in (key[:16], key[:-1], "", f"{key}0", key[:-1] + "g"):
        assert "64 hex digits" in tenant("rebuild", "--from", "logs", "--trust-key", wrong).ended(2).err
    assert "cannot be read" in tenant("rebuild", "--from", "logs", "--trust", tmp_path / "nothing").ended(2).err
    empty = tmp_path / "empty.pub"
    empty.write_text("")
    assert "no public key" in tenant("rebuild", "--from", "logs", "--trust", empty).ended(2).err
    assert (directory / "sign.pub").read_bytes() == untouched
    stranger = Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()
    tenant("rebuild", "--from", "logs", "--trust-key", stranger).ended(1)
    assert (directory / "sign.pub").read_bytes() == untouched, "nothing is signed with it"
    head = manifest_hash(manifests(directory / "buckets/logs")[-1].read_bytes())
    cut = tenant("rebuild", "--from", "logs", "--trust-key", key, "--head", "0" * 64).ended(1)
    assert "was noted" in cut.err
    assert (directory / "sign.pub").read_bytes() == untouched
    assert (
        tenant("rebuild", "--from", "logs", "--trust-key", key, "--head", head, "--json").ended(0).json["unknown_keys"]
        == []
    )
    assert (
        tenant("rebuild", "--from", "logs", "--trust", pub, "--json").ended(0).json["clusters"][0]["state"] == "known"
    )
    with serving(directory):
        tenant("verify", "prod", "--chain", "--head", head).ended(0)
        assert "0" * 64 in tenant("verify", "prod", "--head", "0" * 64).ended(1).out
        assert "64 hex digits" in tenant("verify", "prod", "--head", "00").ended(2).err


def files(directory: Path) -> dict[str, bytes]:
    kept = (path for path in directory.iterdir() if path.is_file() and path.name != "serve.lock")
    return {path.name: path.read_bytes() for path in kept}


def test_no_key_is_trusted_before_all_that_was_asked_for_is_checked(
    tenant: Command, directory: Path, lost: Lost, tmp_path: Path
) -> None:
    before = files(directory)
    rebuild = ("rebuild", "--trust", lost.pub, "--trust-key", lost.key)
    assert "there is no bucket other" in tenant(*rebuild, "--from", "other").ended(2).err
    assert "64 hex digits" in tenant(*rebuild, "--from", "logs", "--head", "0").ended(2).err
    assert "64 hex digits" in tenant(*rebuild, "--from", "logs", "--trust-key", "0").ended(2).err
    (directory / "buckets" / "logs").rename(tmp_path / "away")
    assert tenant(*rebuild, "--from", "logs").ended(1).err
    (tmp_path / "away").rename(directory / "buckets" / "logs")
    assert (directory / "sign.pub").read_bytes() == before["sign.pub"]
    with only_process(directory):
        assert "is served by another process" in tenant(*rebuild, "--from", "logs").ended(2).err
    assert (directory / "sign.pub").read_bytes() == before["sign.pub"]
    other = tmp_path / "other"
    init(other)
    kept = shutil.copy(directory / "logkeep.db", tmp_path)
    shutil.copy(other / "logkeep.db", directory)
    assert "is that of another installation" in tenant(*rebuild, "--from", "logs").ended(2).err
    assert (directory / "sign.pub").read_bytes() == before["sign.pub"]
    shutil.copy(kept, directory)
    tenant(*rebuild, "--from", "logs").ended(0)
    assert (directory / "sign.pub").read_bytes() == before["sign.pub"] + lost.pub.read_bytes()


def test_rebuild_beside_another_one_does_not_touch_the_database(tenant: Command, directory: Path) -> None:
    with closing(sqlite3.connect(directory / "logkeep.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0009'")
        connection.commit()
    before = files(directory)
    with only_process(directory):
        assert "is served by another process" in tenant("rebuild", "--from", "logs").ended(2).err
    assert files(directory) == before


def test_cluster_that_is_taken_on_trust_comes_back_closed_and_says_so(
    tenant: Command, directory: Path, lost: Lost
) -> None:
    told = tenant("rebuild", "--from", "logs", "--unproven", lost.cluster).ended(1)
    assert "log backup is closed" in told.err
    with serving(directory):
        tenant("backup", "prod").ended(1)
        assert "unproven: 1 manifest" in tenant("verify", "prod").ended(0).out
        assert "unproven: no trusted signature" in tenant("verify", "prod", "--chain").ended(1).out
        tenant("logs", "open", "prod").ended(0)
        tenant("backup", "prod", "--wait").ended(0)
        assert tenant("verify", "prod", "--json").ended(0).json["unproven"]["manifests"] == 1


def test_name_of_a_cluster_is_answered_with_the_ids_that_have_it(tenant: Command, lost: Lost) -> None:
    told = tenant("rebuild", "--from", "logs", "--unproven", "prod").ended(1).err
    assert (
        f"--unproven prod: is a name, which anybody may use; give the id of the one that you mean: {lost.cluster}"
        in told
    )
    told = tenant("rebuild", "--from", "logs", "--unproven", "prdo", "--adopt", "prod").ended(1).err
    assert "--unproven prdo: give the id of a cluster; none of this name was found either" in told
    assert (
        f"--adopt prod: is a name, which anybody may use; give the id of the one that you mean: {lost.cluster}" in told
    )
    nobody = "00000000-0000-4000-8000-000000000000"
    told = tenant("rebuild", "--from", "logs", "--adopt", nobody).ended(1).err
    assert f"--adopt {nobody}: no manifest of this cluster was found" in told
    tenant("rebuild", "--from", "logs", "--unproven", lost.cluster.upper(), "--json").ended(1).json["clusters"][0]


def test_keys_are_listed_in_80_columns_and_can_be_copied(tenant: Command, lost: Lost) -> None:
    lines = tenant("rebuild", "--from", "logs").ended(1).out.splitlines()
    assert lost.key in lines
    assert "  signed 1 manifest, of 1 cluster" in lines
    assert max(map(len, lines)) <= 80


_MEASURED = """
import re, sys
from logkeep.cli.app import run
code = run(sys.argv[1:])
print(code, int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024)
"""


@pytest.mark.parametrize(("signature", "most"), [(0, 150), (64, 450)])
def test_what_is_no_manifest_takes_little_memory_whatever_its_size(
    tenant: Command, directory: Path, lost: Lost, signature: int, most: int
) -> None:
    junk = manifests(directory / "buckets/logs")[-1].with_name(f"20300101T000000000Z-{'a' * 32}.1.json")
    with junk.open("wb") as file:
        file.truncate(250 * 1024 * 1024)
    Path(f"{junk}.sig").write_bytes(b"x" * signature)
    command = [
        sys.executable,
        "-c",
        _MEASURED,
        "--dir",
        directory,
        "rebuild",
        "--from",
        "logs",
        "--trust-key",
        lost.key,
    ]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=120, check=True)
    assert f"{junk.name}: " in done.stderr
    assert "262144000 bytes" in done.stderr
    code, taken = done.stdout.splitlines()[-1].split()
    assert code == "1"
    assert int(taken) < most
