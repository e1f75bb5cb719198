"""Verify the chain of a cluster's manifests in the catalogue against the objects in the buckets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from logkeep.archive.proof import Document, check_entry, make_entry
from logkeep.domain.manifest import Manifest
from logkeep.errors import BucketMissing, StoreCorrupt, StoreError, StoreMissing
from logkeep.stores.base import ObjectStore, expect_bucket, find_store
from logkeep.stores.layout import decode_manifest, manifest_hash, signature_object

FindSigner = Callable[[bytes, bytes], str]  # data, signature: the trusted public key that it is of, '' for none
SIGNATURE_BYTES = 64


@dataclass(frozen=True, slots=True)
class Kept:
    """One manifest of the chain, as the catalogue knows it."""

    bucket: str
    object: str
    sha256: str
    number: int
    proven: bool


@dataclass(frozen=True, slots=True)
class Checked:
    """A manifest that was looked at."""

    kept: Kept
    problems: tuple[str, ...]
    manifest: Manifest | None = None  # None where it was not to be decoded, or cannot be


def check_chain(
    stores: Mapping[str, ObjectStore], chain: Iterable[Kept], find_signer: FindSigner, *, contents: bool
) -> Iterator[Checked]:
    """Each manifest of a chain from its beginning, and what is wrong with it.

    Proven are its bytes and its signature; with `contents` also its name, its number, and that it follows the one
    before. Of one that is unproven only the bytes are held against the catalogue.
    """
    before = unproven = ""
    for kept in chain:
        try:
            data = _read(stores, kept)
            flaw = find_flaw(stores[kept.bucket], kept.object, data, find_signer) if kept.proven else ""
            manifest = decode_manifest(data) if contents else None
        except BucketMissing:
            raise
        except StoreError as error:
            expect_bucket(stores[kept.bucket])
            yield Checked(kept, (error.message,))
        else:
            problems = [flaw] if flaw else []
            if manifest and kept.proven:
                problems = _check_contents(kept, flaw, manifest, before, unproven)
            yield Checked(kept, tuple(problems), manifest)
        if kept.proven:
            before, unproven = kept.sha256, ""
        else:
            unproven = kept.sha256


def _check_contents(kept: Kept, flaw: str, manifest: Manifest, before: str, unproven: str) -> list[str]:
    problems = check_entry(make_entry(Document(kept.bucket, kept.object, kept.sha256, flaw), manifest))
    if manifest.previous != before:
        problems.append("it does not follow the manifest before it")
    if manifest.number != kept.number:
        problems.append(f"it says that it is number {manifest.number} of the chain, and is number {kept.number}")
    if unproven and manifest.unproven != unproven:
        problems.append("it does not name the unproven manifest before it")
    return problems


def find_flaw(store: ObjectStore, name: str, data: bytes, find_signer: FindSigner, size: int | None = None) -> str:
    """Why the signature of a manifest or an index proves nothing, '' where it is of a trusted key.

    It is held against each trusted key over the bytes as they are: what they say is not looked at. `size` is what a
    listing told of the signature, 0 where there is none.
    """
    if size == 0:
        return "its signature is missing"
    try:
        signature = store.get(signature_object(name), SIGNATURE_BYTES, size)
    except StoreMissing:
        return "its signature is missing"
    except BucketMissing:
        raise
    except StoreError as error:
        expect_bucket(store)
        return f"its signature cannot be read: {error.message}"
    return "" if find_signer(data, signature) else "it is not signed with a key of sign.pub"


def _read(stores: Mapping[str, ObjectStore], kept: Kept) -> bytes:
    """Return the bytes of a manifest. Raises `StoreMissing`, `StoreCorrupt` or what the store fails with."""
    store = find_store(stores, kept.bucket)
    try:
        data = store.get(kept.object)
    except StoreMissing as error:
        raise StoreMissing("manifest missing") from error
    if manifest_hash(data) != kept.sha256:
        raise StoreCorrupt("manifest changed since it was written")
    return data
