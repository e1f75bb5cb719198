"""Whose a folder is, found without reading all that anybody may have put there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest

from logkeep.service.removal import find_owner
from logkeep.stores.base import ObjectStore, StoredObject
from logkeep.stores.layout import manifest_object

MIB = 1024 * 1024


class Junk:
    """A bucket of objects of one size that have names of manifests and hold zeros."""

    def __init__(self, size: int, number: int) -> None:
        self.things = [
            StoredObject(manifest_object("css/log/prod", 1_700_000_000_000 + n, f"{n:032x}", 1), size)
            for n in range(number)
        ]
        self.read = 0

    def list(self, _prefix: str, _after: str = "") -> Iterator[StoredObject]:
        return iter(self.things)

    def get(self, _name: str, _most: int = 0, size: int | None = None) -> bytes:
        self.read += size or 0
        return bytes(16)


@pytest.mark.parametrize(
    ("size", "number", "most", "unread"),
    [(250 * MIB, 20, 0, 20), (60 * MIB, 20, 60 * MIB, 19), (1, 5000, 1024, 3976)],
)
def test_no_more_is_read_than_a_bound_whatever_lies_there(size: int, number: int, most: int, unread: int) -> None:
    junk = Junk(size, number)
    assert find_owner(cast(ObjectStore, junk), "css/log/prod") == ("", unread)
    assert junk.read <= most
