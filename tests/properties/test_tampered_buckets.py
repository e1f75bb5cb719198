"""Somebody can write to a bucket and has no key that is trusted: whatever he does, he is told, or nothing has changed.

`rebuild`, `verify --chain` and docs/verify_chain.py look at the same bucket, and at the noted hash of the last manifest.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logkeep.database.connection import reading
from logkeep.database.manifests import fetch_manifests
from logkeep.domain.cluster import Cluster
from logkeep.domain.retention import RetentionRule
from logkeep.keyfiles.files import TRUST_FILE
from logkeep.keyfiles.signing import Signing
from logkeep.service import clusters, retention
from logkeep.service.rebuild import rebuild
from logkeep.service.rebuild_report import Outcome
from logkeep.stores.layout import manifest_hash
from tests.integration.test_rebuild import forget
from tests.support.installation import Installation, open_installation, reopen_installation
from tests.support.tampering import Document, follow, forge, invent, make_stranger, manifests, move_cluster, signature

STRANGE = "0" * 36


def load_script() -> ModuleType:
    path = Path(__file__).parents[2] / "docs" / "verify_chain.py"
    spec = importlib.util.spec_from_file_location("verify_chain", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCRIPT = load_script()


@dataclass
class Stranger:
    bucket: Path
    signing: Signing

    def at(self, number: int) -> Path | None:
        found = manifests(self.bucket)
        return found[number % len(found)] if found else None


def remove(stranger: Stranger, path: Path) -> None:
    path.unlink()


def cut_off(stranger: Stranger, path: Path) -> None:
    for one in manifests(stranger.bucket)[-1:]:
        one.unlink()
        signature(one).unlink(missing_ok=True)


def unsign(stranger: Stranger, path: Path) -> None:
    signature(path).unlink(missing_ok=True)


def spoil_signature(stranger: Stranger, path: Path) -> None:
    signature(path).write_bytes(b"0" * 64)


def borrow_signature(stranger: Stranger, path: Path) -> None:
    other = signature(manifests(stranger.bucket)[0])
    if other.exists() and other != signature(path):
        shutil.copy(other, signature(path))


def empty_the_key(stranger: Stranger, path: Path) -> None:
    forge(path, None, lambda document: None)


def sign_anew(stranger: Stranger, path: Path) -> None:
    forge(path, stranger.signing, lambda document: None)


def change(stranger: Stranger, path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"n1", b"n2"))


def date_ahead(stranger: Stranger, path: Path) -> None:
    forge(path, stranger.signing, lambda document: document["job"].update(created_at=9_000_000_000_000))


def rewrite_all(signed: bool) -> Callable[[Stranger, Path], None]:
    def act(stranger: Stranger, path: Path) -> None:
        hashes: dict[str, str] = {}
        for one in manifests(stranger.bucket):
            old = manifest_hash(one.read_bytes())

            def relink(document: Document) -> None:
                document["previous"] = hashes.get(document["previous"], document["previous"])
                document["notes"] = ["nothing happened"]

            try:
                forge(one, stranger.signing if signed else None, relink)
            except (ValueError, KeyError, TypeError, RecursionError):
                continue
            hashes[old] = manifest_hash(one.read_bytes())

    return act


def copy_folder(stranger: Stranger, path: Path) -> None:
    shutil.copytree(path.parent, stranger.bucket / "css/log/other/_manifests", dirs_exist_ok=True)


def rename_attempt(stranger: Stranger, path: Path) -> None:
    target = path.with_name(path.name.rsplit(".", 2)[0] + ".9.json")
    if signature(path).exists():
        signature(path).rename(signature(target))
    path.rename(target)


def swap(stranger: Stranger, path: Path) -> None:
    other = manifests(stranger.bucket)[0]
    for one, two in ((path, other), (signature(path), signature(other))):
        if one.exists() and two.exists() and one != two:
            data = one.read_bytes()
            one.write_bytes(two.read_bytes())
            two.write_bytes(data)


def append(signed: bool) -> Callable[[Stranger, Path], None]:
    def act(stranger: Stranger, path: Path) -> None:
        def go_on(document: Document) -> None:
            follow(path)(document)
            document["cluster"]["nodes"][0]["source"] = "file:///etc"

        invent(stranger.bucket, path, stranger.signing if signed else None, go_on)

    return act


def found_a_cluster(stranger: Stranger, path: Path) -> None:
    invent(stranger.bucket, path, stranger.signing, lambda document: move_cluster(document, STRANGE))


def put_rubbish(stranger: Stranger, path: Path) -> None:
    path.with_name(path.name.rsplit("-", 1)[0] + "-" + "e" * 32 + ".1.json").write_bytes(b"[" * 9999)


def replace_object(stranger: Stranger, path: Path) -> None:
    found = sorted(stranger.bucket.rglob("*.zst"))
    if len(found) > 1:
        shutil.copy(found[0], found[-1])


def remove_object(stranger: Stranger, path: Path) -> None:
    for one in sorted(stranger.bucket.rglob("*.zst"))[:1]:
        one.unlink()


def entries(bucket: Path) -> list[Path]:
    return sorted(bucket.rglob("_retention/*.json"))


def on_an_entry(deed: Callable[[Stranger, Path], object]) -> Callable[[Stranger, Path], None]:
    """Do it to a removal entry in place of a manifest."""

    def act(stranger: Stranger, path: Path) -> None:
        found = entries(stranger.bucket)
        if found:
            deed(stranger, found[path.stat().st_size % len(found)])

    return act


def remove_more(stranger: Stranger, entry: Path) -> None:
    """Forge the next entry, which says that all the rest was removed."""
    name = entry.name.replace("-0000000", "-0000001")

    def change(document: Document) -> None:
        left = [
            one
            for path in manifests(stranger.bucket)
            for one in json.loads(path.read_bytes())["segments"]
            if (stranger.bucket / one["object"]).exists()
        ]
        names = document["segments"][0].keys() - {"rule"}
        document["segments"] = [{name: one[name] for name in names} | {"rule": "keep_days=1"} for one in left]
        document |= {"number": document["number"] + 10, "previous": manifest_hash(entry.read_bytes())}
        document["object"] = document["object"].replace("-0000000", "-0000001")

    forge(entry.with_name(name), stranger.signing, change, entry)


MOVES = {
    "remove entry": on_an_entry(remove),
    "unsign entry": on_an_entry(unsign),
    "spoil signature of entry": on_an_entry(spoil_signature),
    "sign entry anew": on_an_entry(sign_anew),
    "change entry": on_an_entry(change),
    "remove more": on_an_entry(remove_more),
    "copy entry": on_an_entry(lambda _, path: shutil.copy(path, path.with_name(f"3{path.name[1:]}"))),
    "remove": remove,
    "cut off": cut_off,
    "unsign": unsign,
    "spoil signature": spoil_signature,
    "borrow signature": borrow_signature,
    "empty the key": empty_the_key,
    "sign anew": sign_anew,
    "change": change,
    "date ahead": date_ahead,
    "rewrite all signed": rewrite_all(True),
    "rewrite all unsigned": rewrite_all(False),
    "copy folder": copy_folder,
    "rename attempt": rename_attempt,
    "swap": swap,
    "append signed": append(True),
    "append unsigned": append(False),
    "found a cluster": found_a_cluster,
    "put rubbish": put_rubbish,
    "replace object": replace_object,
    "remove object": remove_object,
}


# He cannot read what he spoiled before, nor copy a folder onto itself.
UNABLE = (ValueError, KeyError, TypeError, RecursionError, OSError)


@dataclass
class Truth:
    """A bucket as an installation left it, which each example copies."""

    folder: Path
    cluster: Cluster
    chain: list[str]  # hashes
    restored: dict[tuple[str, str], bytes]

    @property
    def head(self) -> str:
        return self.chain[-1]


@pytest.fixture(scope="module")
def truth() -> Iterator[Truth]:
    place = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    logs = Path(tempfile.mkdtemp())  # on a disk, as logs are
    with open_installation(place / "installation") as installation:
        cluster = installation.add_cluster(n1=logs)
        for number in range(4):
            (logs / f"es-2026-11-24-{number}.log").unlink(missing_ok=True)
            (logs / f"es-2026-11-24-{number + 1}.log").write_bytes(b"[2026-11-24T00:00:00,%03d] line\n" % number * 9)
            installation.back_up(cluster)
            if number >= 2:  # two entries, of which a manifest names the first
                retention.set_rules(installation.runtime, cluster, [RetentionRule(keep_jobs=2)], "alice")
                list(retention.run(installation.runtime, cluster, confirm=True, who="alice"))
        assert len(entries(installation.bucket)) == 2
        chain = [manifest_hash(path.read_bytes()) for path in manifests(installation.bucket)]
        restored = installation.restored(cluster)
    yield Truth(place / "installation", cluster, chain, restored)
    shutil.rmtree(place)
    shutil.rmtree(logs)


def run_script(installation: Installation, *heads: str) -> list[str]:
    """What the script finds."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        code = SCRIPT.main(str(installation.folder / TRUST_FILE), str(installation.bucket), *heads)
    *lines, last = out.getvalue().splitlines()
    count = int(last.removesuffix(" findings"))
    assert code == bool(count)
    return lines[len(lines) - count :]


def concerns_the_cluster(installation: Installation, finding: str) -> bool:
    """`verify` looks where objects of the cluster may lie."""
    return not finding.startswith(tuple(f"{installation.bucket}/css/log/{name}/" for name in ("other", "forged")))


def kept_chain(installation: Installation, cluster: Cluster) -> list[str]:
    with reading(installation.runtime.database) as connection:
        return [row.sha256 for row in fetch_manifests(connection, cluster.id)]


def told(outcome: Outcome) -> bool:
    return bool(outcome.problems) or any(one.problems for one in outcome.clusters)


moves = st.lists(st.tuples(st.sampled_from(sorted(MOVES)), st.integers(0, 7)), min_size=1, max_size=4)


@settings(
    max_examples=int(os.environ.get("LOGKEEP_TEST_TAMPERINGS", "24")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(moves)
def test_whatever_a_stranger_does_is_told_and_nothing_of_his_comes_in(
    truth: Truth, history: list[tuple[str, int]]
) -> None:
    place = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    try:
        shutil.copytree(truth.folder, place / "installation")
        stranger = Stranger(place / "installation/buckets/logs", make_stranger(place / "stranger"))
        for move, number in history:
            path = stranger.at(number)
            if path:
                with contextlib.suppress(*UNABLE):
                    MOVES[move](stranger, path)
        with reopen_installation(place / "installation") as installation:
            check(truth, installation)
    finally:
        shutil.rmtree(place)


def check(truth: Truth, installation: Installation) -> None:
    found = installation.findings(truth.cluster, chain=True, noted=truth.head)
    scripted = [one for one in run_script(installation, truth.head) if concerns_the_cluster(installation, one)]
    assert bool(found) == bool(scripted), "verify and the script agree"

    anew = forget(installation)
    outcome = rebuild(anew.runtime, ["logs"], noted=[truth.head])
    assert told(outcome) or kept_chain(anew, truth.cluster) == truth.chain, "all, or a word"
    anew.runtime.database.dispose()

    anew = forget(anew)
    outcome = rebuild(anew.runtime, ["logs"])
    chain = kept_chain(anew, truth.cluster)
    there, _ = clusters.list_clusters(anew.runtime, truth.cluster.project_id)
    assert [(one.id, one.nodes) for one in there] == [(truth.cluster.id, truth.cluster.nodes)][: len(chain)]
    assert set(chain) <= set(truth.chain), "nothing of the stranger's comes in"
    assert told(outcome) or chain == truth.chain[: len(chain)], "a part from the beginning, or a word"
    if not found:
        assert anew.restored(truth.cluster) == truth.restored
    clean = bool(there) and not told(outcome) and not anew.findings(truth.cluster, chain=True)
    assert clean == (not run_script(anew)), "a rebuilt catalogue and the script agree"
    anew.runtime.database.dispose()
