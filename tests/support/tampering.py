"""What somebody can do to the manifests of a bucket who can write to it and has no key that is trusted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from logkeep.domain.keys import Signing
from logkeep.keyfiles.files import SEAL_FILE
from logkeep.keyfiles.signing import open_signing
from logkeep.stores.layout import cluster_folder, manifest_hash, manifest_object

Document = dict[str, Any]
YEAR = 365 * 24 * 3_600_000  # ms


def manifests(bucket: Path) -> list[Path]:
    """In the order of their jobs, wherever they lie."""
    return sorted(bucket.rglob("_manifests/*.json"), key=lambda path: path.name)


def signature(manifest: Path) -> Path:
    return Path(f"{manifest}.sig")


def make_stranger(folder: Path) -> Signing:
    """Somebody with a key of his own."""
    folder.mkdir(exist_ok=True)
    (folder / SEAL_FILE).touch()
    return open_signing(folder)


def forge(
    path: Path, signing: Signing | None, change: Callable[[Document], object], source: Path | None = None
) -> Path:
    """Write a changed manifest, signed by a stranger or not at all."""
    document = json.loads((source or path).read_bytes())
    document["key"] = signing.key if signing else ""
    change(document)
    data = json.dumps(document).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    if signing:
        signature(path).write_bytes(signing.sign(data))
    else:
        signature(path).unlink(missing_ok=True)
    return path


def rewrite_chain(bucket: Path, signing: Signing | None, change: Callable[[Document], object] = lambda _: None) -> None:
    """Every manifest anew, each with the hash of the one before as it is now."""
    hashes: dict[str, str] = {"": ""}
    for path in manifests(bucket):
        old = manifest_hash(path.read_bytes())

        def rewrite(document: Document) -> None:
            change(document)
            document["previous"] = hashes[document["previous"]]

        forge(path, signing, rewrite)
        hashes[old] = manifest_hash(path.read_bytes())


def invent(
    bucket: Path, source: Path, signing: Signing | None, change: Callable[[Document], object], attempt: int = 1
) -> Path:
    """Write a new manifest beside the others, under the name that it should have."""
    document = json.loads(source.read_bytes())
    change(document)
    job = document["job"]
    folder = cluster_folder(job["base_path"], document["cluster_name"])
    name = manifest_object(folder, job["created_at"], job["job_id"], attempt)

    def place(document: Document) -> None:
        change(document)
        document["object"] = name

    return forge(bucket / name, signing, place, source)


def follow(source: Path) -> Callable[[Document], None]:
    """Let a manifest be that of a new job, a year later, behind another one."""

    def change(document: Document) -> None:
        document |= {"previous": manifest_hash(source.read_bytes()), "number": document["number"] + 1, "earlier": []}
        document["segments"] = document["gaps"] = document["notes"] = []
        new_job(document)

    return change


def new_job(document: Document, job_id: str = "f" * 32) -> None:
    document["job"] |= {"job_id": job_id, "id": f"{job_id}0000", "created_at": document["job"]["created_at"] + YEAR}
    document["job"]["finished_at"] = document["job"]["created_at"]
    document["earlier"] = []


def move_cluster(document: Document, cluster_id: str) -> None:
    """Let a manifest tell of another cluster, as its first one."""
    document |= {"cluster_id": cluster_id, "cluster_name": "forged", "number": 1, "previous": "", "earlier": []}
    document["cluster"] |= {"id": cluster_id, "name": "forged"}
    document["job"]["cluster_id"] = document["setting"]["cluster_id"] = cluster_id
    document["segments"] = [
        one | {"object": one["object"].replace("/prod/", "/forged/")} for one in document["segments"]
    ]
    new_job(document)
