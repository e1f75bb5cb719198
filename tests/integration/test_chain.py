"""Whoever changes, removes, adds or reorders what lies in a bucket is found out, by Logkeep and without it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from logkeep.database.connection import writing
from logkeep.domain.cluster import Cluster
from logkeep.keyfiles import SEAL_FILE, SIGN_FILE, TRUST_FILE, create_keys, open_signing
from logkeep.stores.layout import manifest_hash
from tests.installation import Installation

SCRIPT = Path(__file__).parents[2] / "docs" / "verify_chain.py"


@pytest.fixture
def cluster(installation: Installation, tmp_path: Path) -> Cluster:
    """Four jobs, each with two segments."""
    logs = tmp_path / "n1"
    logs.mkdir()
    cluster = installation.add_cluster(n1=logs)
    for number in range(4):
        for name in ("es.log", "gc.log"):
            with (logs / name).open("ab") as file:
                file.write(b"[2026-11-24T00:00:00,%03d] line of %s\n" % (number, name.encode()) * 9)
        installation.back_up(cluster)
    return cluster


def manifests(installation: Installation) -> list[Path]:
    return sorted((installation.bucket / "css/log/prod/_manifests").glob("*.json"))


def script(installation: Installation, *options: str) -> tuple[int, str]:
    """Run the script of the documentation, which knows nothing of Logkeep."""
    done = subprocess.run(
        [sys.executable, "-I", SCRIPT, installation.folder / TRUST_FILE, installation.bucket, *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr
    return done.returncode, done.stdout


def remove(path: Path) -> None:
    path.unlink()


def remove_with_signature(path: Path) -> None:
    path.unlink()
    Path(f"{path}.sig").unlink()


def change(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"line", b"LINE").replace(b"SUCCESS", b"success"))


def unsign(path: Path) -> None:
    Path(f"{path}.sig").unlink()


def pretend_unsigned(path: Path) -> None:
    document = json.loads(path.read_bytes())
    path.write_text(json.dumps(document | {"key": ""}))


def sign_with_another_key(path: Path) -> None:
    strange = path.parents[5] / "strange"
    strange.mkdir()
    (strange / SEAL_FILE).touch()
    signing = open_signing(strange)
    document = json.loads(path.read_bytes())
    data = json.dumps(document | {"key": signing.key}).encode()
    path.write_bytes(data)
    Path(f"{path}.sig").write_bytes(signing.sign(data))


def swap_with_the_next(path: Path) -> None:
    other = sorted(path.parent.glob("*.json"))[2]
    for first, second in ((path, other), (Path(f"{path}.sig"), Path(f"{other}.sig"))):
        data = first.read_bytes()
        first.write_bytes(second.read_bytes())
        second.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [remove, remove_with_signature, change, unsign, pretend_unsigned, sign_with_another_key, swap_with_the_next],
)
def test_what_was_done_to_a_manifest_is_found(
    installation: Installation, cluster: Cluster, damage: Callable[[Path], None]
) -> None:
    assert not installation.findings(cluster, chain=True)
    assert script(installation)[0] == 0
    target = manifests(installation)[1]
    damage(target)
    # Even where the database was made to agree with what lies there now.
    for path in manifests(installation):
        name = path.relative_to(installation.bucket).as_posix()
        with writing(installation.context.database) as connection:
            row = {"sha256": manifest_hash(path.read_bytes()), "object": name}
            connection.execute(text("UPDATE manifests SET sha256 = :sha256 WHERE object = :object"), row)
    assert installation.findings(cluster, chain=True)
    if damage is not swap_with_the_next:  # the contents count there, and not the names
        code, told = script(installation)
        assert code == 1, told


def test_manifests_cut_off_at_the_end_show_against_a_hash_that_was_noted(
    installation: Installation, cluster: Cluster
) -> None:
    last = manifests(installation)[-1]
    digest = manifest_hash(last.read_bytes())
    assert f"4 manifests, the last is {digest}" in script(installation, "--last", digest)[1]
    remove_with_signature(last)
    assert script(installation)[0] == 0
    assert script(installation, "--last", digest)[0] == 1
    assert [finding.problem for finding in installation.findings(cluster)][:1] == ["manifest missing"]


@pytest.mark.parametrize("damage", ["removed", "replaced", "flipped"])
def test_what_was_done_to_an_object_is_found_by_the_chain(
    installation: Installation, cluster: Cluster, damage: str
) -> None:
    target, other = installation.objects()[:2]
    if damage == "removed":
        target.unlink()
    elif damage == "replaced":
        shutil.copy(other, target)
    else:
        data = bytearray(target.read_bytes())
        data[-1] ^= 1
        target.write_bytes(data)
    name = target.relative_to(installation.bucket).as_posix()
    assert [finding.object for finding in installation.findings(cluster, chain=True)] == [name]
    code, told = script(installation)
    assert (code, f"{target}: missing or changed" in told) == (1, True)


def test_catalogue_that_was_changed_is_found(installation: Installation, cluster: Cluster) -> None:
    with writing(installation.context.database) as connection:
        connection.execute(text("DELETE FROM segments WHERE start = 0"))
    told = {finding.problem for finding in installation.findings(cluster, chain=True)}
    assert told >= {"the catalogue does not have it as its manifest names it"}


def test_signing_key_is_private_and_its_public_half_is_for_everybody(tmp_path: Path) -> None:
    create_keys(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    create_keys(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert (tmp_path / SIGN_FILE).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / TRUST_FILE).stat().st_mode & 0o444 == 0o444
