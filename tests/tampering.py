"""What somebody can do to the manifests of a bucket who can write to it and has no key that is trusted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from logkeep.keyfiles import SEAL_FILE, Signing, open_signing
from logkeep.stores.layout import manifest_hash

Document = dict[str, Any]


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


def move_cluster(document: Document, cluster_id: str) -> None:
    """Let a manifest tell of another cluster."""
    document["cluster_id"] = document["cluster"]["id"] = document["job"]["cluster_id"] = cluster_id
    if document["setting"]:
        document["setting"]["cluster_id"] = cluster_id
