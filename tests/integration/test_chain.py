"""Whoever changes, removes, adds or reorders what lies in a bucket is found out, by Logkeep and without it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import text

from logkeep.database.connection import writing
from logkeep.domain.cluster import Cluster
from logkeep.keyfiles.creation import create_keys
from logkeep.keyfiles.files import SIGN_FILE, TRUST_FILE
from logkeep.service import log_settings
from logkeep.service.rebuild import rebuild
from logkeep.service.rebuild_report import State
from logkeep.stores.frames import compress_frame
from logkeep.stores.layout import manifest_hash
from tests.integration.test_rebuild import forget, name_of
from tests.support.installation import SETTING, Installation
from tests.support.tampering import Document, forge, make_stranger, manifests, rewrite_chain, signature

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


def test_the_script_tells_its_use_where_it_is_given_too_little(tmp_path: Path) -> None:
    for given in ([], [tmp_path / "sign.pub"], [tmp_path / "sign.pub", tmp_path]):
        done = subprocess.run([sys.executable, "-I", SCRIPT, *given], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "python verify_chain.py sign.pub BUCKET_FOLDER" in done.stderr
        assert "Traceback" not in done.stderr


def remove(path: Path) -> None:
    path.unlink()


def remove_with_signature(path: Path) -> None:
    path.unlink()
    signature(path).unlink()


def change(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"line", b"LINE").replace(b"SUCCESS", b"success"))


def unsign(path: Path) -> None:
    signature(path).unlink()


def cut_signature(path: Path) -> None:
    signature(path).write_bytes(signature(path).read_bytes()[:-1])


def lengthen_signature(path: Path) -> None:
    signature(path).write_bytes(signature(path).read_bytes() + b"0")


def pretend_unsigned(path: Path) -> None:
    forge(path, None, lambda _: None)


def sign_with_another_key(path: Path) -> None:
    forge(path, make_stranger(path.parents[5] / "strange"), lambda _: None)


def swap_with_the_next(path: Path) -> None:
    other = manifests(path.parent.parent)[2]
    for first, second in ((path, other), (signature(path), signature(other))):
        data = first.read_bytes()
        first.write_bytes(second.read_bytes())
        second.write_bytes(data)


def move_elsewhere(path: Path) -> None:
    folder = path.parents[2] / "other/_manifests"
    folder.mkdir(parents=True)
    for one in (path, signature(path)):
        one.rename(folder / one.name)


def rename_to_a_later_attempt(path: Path) -> None:
    for one in (path, signature(path)):
        one.rename(one.with_name(one.name.replace(".1.json", ".2.json")))


DAMAGES = [
    remove,
    remove_with_signature,
    change,
    unsign,
    cut_signature,
    lengthen_signature,
    pretend_unsigned,
    sign_with_another_key,
    swap_with_the_next,
    move_elsewhere,
    rename_to_a_later_attempt,
]


def make_catalogue_agree(installation: Installation) -> None:
    """As one could who can write to the database as well."""
    with writing(installation.runtime.database) as connection:
        for path in manifests(installation.bucket):
            row = {"sha256": manifest_hash(path.read_bytes()), "object": name_of(installation, path)}
            connection.execute(text("UPDATE manifests SET sha256 = :sha256 WHERE object = :object"), row)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("at", [1, 3])
def test_what_was_done_to_a_manifest_is_found(
    installation: Installation, cluster: Cluster, damage: Callable[[Path], None], at: int
) -> None:
    """In the middle and at the end; there, what is cut off whole shows only against what was noted."""
    assert not installation.findings(cluster, chain=True)
    assert script(installation)[0] == 0
    head = manifest_hash(manifests(installation.bucket)[-1].read_bytes())
    if damage is swap_with_the_next and at == 3:
        return
    damage(manifests(installation.bucket)[at])
    make_catalogue_agree(installation)
    assert installation.findings(cluster, chain=True)
    assert script(installation, "--head", head)[0] == 1
    if at == 1 or damage is not remove_with_signature:
        assert script(installation)[0] == (damage not in {remove} or at == 1)
    outcome = rebuild(forget(installation).runtime, ["logs"], noted=[head])
    assert outcome.problems or any(one.problems for one in outcome.clusters)


@pytest.mark.parametrize("signed", [False, True])
def test_chain_that_was_written_anew_is_found_by_all(
    installation: Installation, cluster: Cluster, tmp_path: Path, signed: bool
) -> None:
    """Log text and hashes are changed, and the keys emptied or replaced; the database agrees with it."""
    segment = installation.segment_of(cluster, installation.objects()[0])
    changed = compress_frame(b"[2026-11-24T00:00:00,000] nothing happened\n")
    (installation.bucket / segment.object).write_bytes(changed)

    def follow(document: Document) -> None:
        for one in document["segments"]:
            if one["object"] == segment.object:
                one |= {"sha256": sha256(changed).hexdigest(), "stored": len(changed)}

    rewrite_chain(installation.bucket, make_stranger(tmp_path / "stranger") if signed else None, follow)
    make_catalogue_agree(installation)
    manifest_findings = [one for one in installation.findings(cluster, chain=True) if "_manifests" in one.object]
    assert [one.object for one in manifest_findings] == [
        name_of(installation, path) for path in manifests(installation.bucket)
    ]
    assert script(installation)[0] == 1
    assert [one.state for one in rebuild(forget(installation).runtime, ["logs"]).clusters] == [State.REFUSED]


def test_foreign_manifest_in_the_middle_or_at_the_end_is_found_by_all(
    installation: Installation, cluster: Cluster, tmp_path: Path
) -> None:
    stranger = make_stranger(tmp_path / "stranger")
    for at in (1, 3):
        before = manifests(installation.bucket)[at]
        foreign = before.with_name(before.name.replace(".1.json", ".7.json"))
        previous = manifest_hash(before.read_bytes())
        for signing in (None, stranger):
            forge(foreign, signing, lambda document, previous=previous: document.update(previous=previous), before)
            [finding, *_] = installation.findings(cluster, chain=True)
            assert finding.object == name_of(installation, foreign)
            assert script(installation)[0] == 1
            outcome = rebuild(forget(installation).runtime, ["logs"])
            assert [one.records for one in outcome.clusters] == [4]
            assert [problem.partition(":")[0] for problem in outcome.problems] == [name_of(installation, foreign)]
        foreign.unlink()
        signature(foreign).unlink()


def test_signature_that_is_missing_is_found_by_a_plain_verification(
    installation: Installation, cluster: Cluster
) -> None:
    path = manifests(installation.bucket)[1]
    unsign(path)
    assert [(one.object, one.problem) for one in installation.findings(cluster)] == [
        (name_of(installation, path), "its signature is missing")
    ]


def test_manifests_cut_off_at_the_end_show_against_a_hash_that_was_noted(
    installation: Installation, cluster: Cluster
) -> None:
    last = manifests(installation.bucket)[-1]
    digest = manifest_hash(last.read_bytes())
    assert f"4 manifests, the last is {digest}" in script(installation, "--head", digest)[1]
    assert not installation.findings(cluster, chain=True, noted=digest)
    remove_with_signature(last)
    assert script(installation)[0] == 0
    assert script(installation, "--head", digest)[0] == 1
    assert [finding.problem for finding in installation.findings(cluster)][:1] == ["manifest missing"]
    installation = forget(installation)
    assert [one.problems for one in rebuild(installation.runtime, ["logs"]).clusters] == [[]]
    told = {finding.problem for finding in installation.findings(cluster, chain=True, noted=digest)}
    assert "no proven manifest has the hash that was noted" in told


def test_bucket_without_manifests_is_a_finding_of_the_script(installation: Installation) -> None:
    assert script(installation)[0] == 1


def test_unproven_beginning_is_told_by_the_script_for_ever(installation: Installation, cluster: Cluster) -> None:
    installation = forget(installation, keys=True)
    rebuild(installation.runtime, ["logs"], unproven=[cluster.id])
    log_settings.open_backup(installation.runtime, cluster, SETTING)
    installation.back_up(cluster)
    installation.back_up(cluster)
    code, told = script(installation)
    assert code == 1
    assert (
        f"unproven is what came before it, down from the manifest {manifest_hash(manifests(installation.bucket)[3].read_bytes())}"
        in told
    )


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
    with writing(installation.runtime.database) as connection:
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
