"""When inodes are believed: a node that rotates is no liar."""

from __future__ import annotations

from logkeep.backup.inodes import Inodes
from logkeep.sources.base import LogFile


def file(name: str, inode: str) -> LogFile:
    return LogFile(name, 10, 1, 1, inode)


def test_a_log_that_is_rotated_between_each_listing_and_look_keeps_its_inodes() -> None:
    inodes = Inodes()
    listing = [file("es.log", "1:0")]
    for number in range(10):
        assert inodes.believe(listing) == listing
        assert not inodes.is_same(listing[0], file("es.log", f"1:{number + 1}"), number)
        listing = [file("es.log", f"1:{number + 1}"), file(f"es.log.{number}", f"1:{number}")]
    assert inodes.believe(listing) == listing


def test_inodes_that_no_listing_has_are_believed_no_more() -> None:
    inodes = Inodes()
    listing = [file("es.log", "1:0"), file("other.log", "1:1")]
    for number in range(2):
        assert inodes.believe(listing) == listing
        assert not inodes.is_same(listing[0], file("es.log", f"9:{number}"), number)
    assert [one.inode for one in inodes.believe(listing)] == ["", ""]
