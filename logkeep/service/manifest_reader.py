"""Reading of the manifests in buckets, of which any may be damaged, forged or huge."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from logkeep.archive.chain import SIGNATURE_BYTES, find_flaw
from logkeep.archive.proof import (
    Chain,
    Document,
    Entry,
    make_entry,
)
from logkeep.domain.manifest import Manifest
from logkeep.errors import BucketMissing, LogkeepError, StoreCorrupt, StoreUnreachable
from logkeep.service.removal import read_removal
from logkeep.service.removal_entries import RemovalListing
from logkeep.service.runtime import Runtime
from logkeep.stores.base import find_store, hash_object
from logkeep.stores.layout import (
    ObjectKind,
    Removal,
    decode_claim,
    decode_manifest,
    is_removal,
    manifest_hash,
    parse_object,
    signature_object,
)

_Read = TypeVar("_Read")

_UNREADABLE = 3  # failed reads in a row after which the bucket counts as failed
_LARGE_CLAIM = 16 * 1024 * 1024  # bytes of an unproven manifest up to which it is read just to report it


@dataclass(frozen=True, slots=True)
class Claim:
    """Contents of an unproven manifest."""

    entry: Entry
    name: str  # of its cluster
    key: str
    signed: bool  # that key really signed it


class ManifestReader:
    """Reads manifests one by one; an unreadable one is reported, and reading goes on."""

    def __init__(self, runtime: Runtime, *, thorough: bool = False) -> None:
        """Read unproven manifests of any size if `thorough`, else up to `_LARGE_CLAIM` bytes."""
        self._runtime = runtime
        self._thorough = thorough
        self._large: dict[Document, int] = {}  # size of manifests that lack a trusted signature and exceed the limit
        self._signed: dict[str, Entry] = {}  # by hash
        self._failures = 0  # reads in a row that did not reach the bucket
        self.problems: list[str] = []
        self.unreadable: list[Document] = []  # signed manifests that cannot be decoded
        self.removals: dict[str, Removal] = {}  # proven ones, by the hash of the cluster's last manifest
        self.listing = RemovalListing()

    def find_documents(self, bucket: str, cluster_id: str = "") -> Iterator[Document]:
        """Yield every manifest of a bucket. Signed ones are decoded now, so that they are not fetched twice.

        With `cluster_id`, folders whose first signed manifest belongs to another cluster are skipped: no two clusters
        share a folder.
        """
        sizes: dict[str, int] = {}
        folders: dict[str, list[str]] = {}
        for thing in find_store(self._runtime.stores, bucket).list(""):
            self.listing.add(bucket, thing)
            if is_removal(thing.name):
                self._try(thing.name, partial(self._read_removal, bucket, thing.name))
            found = parse_object(thing.name)
            if found and found.kind is not ObjectKind.SEGMENT:
                sizes[thing.name] = thing.size
                if found.kind is ObjectKind.MANIFEST:
                    folders.setdefault(found.folder, []).append(thing.name)
        for names in folders.values():
            yield from self._find_in_folder(bucket, names, sizes, cluster_id)

    def _find_in_folder(
        self, bucket: str, names: Sequence[str], sizes: Mapping[str, int], cluster_id: str
    ) -> Iterator[Document]:
        found: list[Document] = []
        for name in names:
            if document := self._try(name, partial(self._find_document, bucket, name, sizes)):
                found.append(document)
                owner = self._signed.get(document.sha256)
                if cluster_id and owner and owner.cluster_id != cluster_id:
                    return
        yield from found

    def read_entry(self, document: Document) -> Entry | None:
        """Read a proven manifest; None if it cannot be read."""

        def read() -> Entry:
            return make_entry(document, decode_manifest(fetch_manifest(self._runtime, document)))

        return self._signed.get(document.sha256) or self._try(document.object, read)

    def read_claim(self, document: Document) -> Claim | None:
        """Read an unproven manifest, to report it; None if it cannot be read."""

        def read() -> Claim:
            if document in self._large and not self._thorough:
                raise StoreCorrupt(f"{document.flaw}; left out: it has {self._large[document]} bytes")
            data = fetch_manifest(self._runtime, document)
            try:
                claim = decode_claim(data)
            except StoreCorrupt as error:
                raise StoreCorrupt(f"{document.flaw}; left out: {error.message}") from error
            store = self._runtime.stores[document.bucket]
            flaw = find_flaw(store, document.object, data, partial(self._find_claimed, claim.key))
            return Claim(make_entry(document, claim), claim.cluster_name, claim.key, not flaw)

        return self._try(document.object, read)

    def _find_claimed(self, key: str, data: bytes, signature: bytes) -> str:
        return key if self._runtime.signing.is_signed_by(key, data, signature) else ""

    def _read_removal(self, bucket: str, name: str) -> None:
        removal = read_removal(self._runtime.stores[bucket], name, self._runtime.signing.find_signer)
        self.removals[removal.manifest] = removal

    def _find_document(self, bucket: str, name: str, sizes: Mapping[str, int]) -> Document:
        store, signature, size = self._runtime.stores[bucket], sizes.get(signature_object(name), 0), sizes[name]
        if signature == SIGNATURE_BYTES:
            data = store.get(name, size=size)
            flaw = find_flaw(store, name, data, self._runtime.signing.find_signer, signature)
            document = Document(bucket, name, manifest_hash(data), flaw)
            if not flaw and document.sha256 not in self._signed:
                self._decode_signed(document, data)
        else:  # only a later manifest's hash can prove it, so it is hashed without being kept in memory
            flaw = find_flaw(store, name, b"", self._runtime.signing.find_signer, signature)
            document = Document(bucket, name, hash_object(store, name, size), flaw)
        if document.flaw and size > _LARGE_CLAIM:
            self._large[document] = size
        return document

    def _decode_signed(self, document: Document, data: bytes) -> None:
        try:
            self._signed[document.sha256] = make_entry(document, decode_manifest(data))
        except Exception:
            self.unreadable.append(document)
            raise

    def _try(self, name: str, read: Callable[[], _Read]) -> _Read | None:
        try:
            found = read()
        except BucketMissing:
            raise
        except Exception as error:  # any error concerns this object only
            self._failures += isinstance(error, StoreUnreachable)
            if self._failures >= _UNREADABLE:
                raise
            self.problems.append(f"{name}: {one_line(error)}")
            return None
        self._failures = 0
        return found


def fetch_manifest(runtime: Runtime, document: Document) -> bytes:
    """Return the bytes of a manifest. Raises `StoreCorrupt` if they changed since it was found."""
    data = find_store(runtime.stores, document.bucket).get(document.object)
    if manifest_hash(data) != document.sha256:
        raise StoreCorrupt("it changed while it was read; is a service writing to this bucket?")
    return data


def read_manifest(runtime: Runtime, entry: Entry) -> Manifest:
    """Read a manifest. Raises `StoreCorrupt` with the name of the object for any error."""
    try:
        return decode_manifest(fetch_manifest(runtime, entry.document))
    except Exception as error:
        raise StoreCorrupt(f"{entry.document.object}: {one_line(error)}") from error


def find_unreadable_end(chain: Chain, proven: Iterable[Entry], unreadable: Sequence[Document]) -> Document | None:
    """Return a signed but unreadable manifest in a place of the chain that nothing follows; None if there is none.

    It is probably the end of the chain; a cluster restored without it would fork the chain.
    """
    if not unreadable:
        return None
    followed = {entry.previous for entry in proven}
    places = {_place(entry.document) for entry in chain.links}
    return next((one for one in unreadable if one.sha256 not in followed and _place(one) in places), None)


def _place(document: Document) -> tuple[str, str]:
    name = parse_object(document.object)
    return document.bucket, name.folder if name else ""


def one_line(error: Exception) -> str:
    """Return an error in one line; for errors of libraries with the name of the class."""
    if isinstance(error, LogkeepError):
        return error.message
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
