"""Removal of objects from a bucket that may keep versions: there a plain delete leaves a marker, and all bytes."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property

import opendal

from logkeep.domain.usage import RequestKind
from logkeep.errors import StoreDenied, StoreError, StoreUnreachable
from logkeep.stores.base import CountRequests, remove_each

Failing = Callable[[str], AbstractContextManager[None]]  # raises a `StoreError` for what a deed fails with
_AT_ONCE = 32  # requests
_PAGE = 1000  # entries of a page of S3 at most


class VersionedObjects:
    """Objects of a bucket with all their versions, markers of deletion included."""

    def __init__(self, connect: Callable[[], opendal.Operator], failing: Failing, count: CountRequests) -> None:
        """`connect` is called once, for an operator that lists versions."""
        self._connect = connect
        self._failing = failing
        self._count = count

    @cached_property
    def _operator(self) -> opendal.Operator:
        return self._connect()

    def remove(self, names: Sequence[str]) -> list[StoreError | None]:
        """Remove every version of each; see `ObjectStore.remove`. Of each folder its names are listed together."""
        folders: defaultdict[str, list[str]] = defaultdict(list)
        for name in names:
            folders[name.rpartition("/")[0]].append(name)
        errors: dict[str, StoreError] = {}
        for folder, of_folder in folders.items():
            errors |= self._remove_in(f"{folder}/" if folder else "", sorted(set(of_folder)))
        return [errors.get(name) for name in names]

    def _remove_in(self, folder: str, names: Sequence[str]) -> Mapping[str, StoreError]:
        """Return why names of one folder are not gone."""
        try:
            found = self._list(folder, names)
            results = remove_each(self._delete, list(found.items()), _AT_ONCE)
            left = self._list(folder, names) if found else {}
        except StoreError as error:
            return dict.fromkeys(names, error)
        said = dict(zip(found, results, strict=True))
        return {name: said.get(name) or _still_there(name) for name in left}

    def _delete(self, one: tuple[str, list[str | None]]) -> None:
        """Delete the versions of a name, the newest first and one after the other: servers confuse them otherwise."""
        name, versions = one
        with self._failing(f"delete {name!r}"):
            for version in versions:
                self._count(RequestKind.DELETE, name, 1)
                self._operator.delete(name, version=version)

    def _list(self, folder: str, names: Sequence[str]) -> dict[str, list[str | None]]:
        """Return the versions that there are of each of these names, which are sorted and of one folder."""

        async def collect() -> dict[str, list[str | None]]:
            wanted, last, begin = set(names), names[-1], names[0][:-1]
            listed = behind = 0
            found: defaultdict[str, list[str | None]] = defaultdict(list)
            async for entry in await self._operator.to_async_operator().list(
                folder, versions=True, deleted=True, start_after=begin if len(begin) > len(folder) else None
            ):
                listed += 1
                if entry.path in wanted:
                    found[entry.path].append(entry.metadata.version)
                elif entry.path > last:  # of each page markers come last
                    behind += 1
                    if behind > _PAGE:
                        break
            self._count(RequestKind.LIST, folder, max(1, -(-listed // _PAGE)))
            return dict(found)

        try:
            with self._failing("list versions"):
                return asyncio.run(collect())
        except StoreDenied as error:
            told = f"{error.message} Removal needs the rights ListBucketVersions and DeleteObjectVersion."
            raise StoreDenied(told) from None


def _still_there(name: str) -> StoreUnreachable:
    return StoreUnreachable(f"{name!r} is still listed after all its versions were deleted; it is tried again")
