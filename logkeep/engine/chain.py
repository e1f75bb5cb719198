"""The chain of a cluster's manifests: each names the hash of the one before, and is signed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from logkeep.domain.manifest import Manifest
from logkeep.errors import StoreCorrupt, StoreError, StoreMissing
from logkeep.stores.base import ObjectStore, find_store
from logkeep.stores.layout import decode_manifest, manifest_hash, signature_object

CheckSignature = Callable[[str, bytes, bytes], str]  # public key, data, signature: what is wrong, '' for nothing


@dataclass(frozen=True, slots=True)
class Link:
    """One manifest of the chain, as the catalogue knows it."""

    bucket: str
    object: str
    sha256: str


def check_hashes(stores: Mapping[str, ObjectStore], chain: Iterable[Link]) -> Iterator[tuple[Link, str]]:
    """What is wrong with the manifests of a chain."""
    for link in chain:
        try:
            _read(stores, link)
        except StoreError as error:
            yield link, error.message


def check_chain(
    stores: Mapping[str, ObjectStore], chain: Iterable[Link], check: CheckSignature
) -> Iterator[tuple[Link, list[str], Manifest | None]]:
    """Each manifest of a chain from its beginning, and what is wrong with it.

    Proven are its bytes, its signature, its number, and that it follows the one before.
    """
    before = ""
    signed = False
    for number, link in enumerate(chain, 1):
        try:
            data = _read(stores, link)
            manifest = decode_manifest(data)
        except StoreError as error:
            yield link, [error.message], None
        else:
            problems = [check_signature(stores[link.bucket], link.object, data, manifest, check, signed_before=signed)]
            if manifest.previous != before:
                problems.append("it does not follow the manifest before it")
            if manifest.number not in {0, number}:
                problems.append(f"it says that it is number {manifest.number} of the chain, and is number {number}")
            signed = signed or bool(manifest.key)
            yield link, [problem for problem in problems if problem], manifest
        before = link.sha256


def check_signature(
    store: ObjectStore, name: str, data: bytes, manifest: Manifest, check: CheckSignature, *, signed_before: bool
) -> str:
    """What is wrong with the signature of a manifest, '' for nothing. Only the first of a chain may have none."""
    if not manifest.key:
        return "it is not signed, but one before it is" if signed_before else ""
    try:
        return check(manifest.key, data, store.get(signature_object(name)))
    except StoreMissing:
        return "its signature is missing"
    except StoreError as error:
        return str(error)


def _read(stores: Mapping[str, ObjectStore], link: Link) -> bytes:
    """The bytes of a manifest. Raises `StoreMissing`, `StoreCorrupt` or what the store fails with."""
    store = find_store(stores, link.bucket)
    try:
        data = store.get(link.object)
    except StoreMissing as error:
        raise StoreMissing("manifest missing") from error
    if manifest_hash(data) != link.sha256:
        raise StoreCorrupt("manifest changed since it was written")
    return data
