"""A source may say anything: what no directory holds is refused before anybody works with it."""

from __future__ import annotations

import pytest

from logkeep.errors import SourceUnreachable
from logkeep.sources import base
from logkeep.sources.base import Listing, LogFile, PassedKind, printable

FILE = LogFile("es.log", 1, 2, 3, "1:2")


@pytest.mark.parametrize(
    "odd",
    [
        FILE._replace(size=-1),
        FILE._replace(size=2**63),
        FILE._replace(mtime_ns=2**63),
        FILE._replace(ctime_ns=-(2**64)),
        FILE._replace(inode="x" * 65),
        FILE._replace(inode="a\0b"),
    ],
)
def test_file_that_cannot_be_is_refused(odd: LogFile) -> None:
    listing = Listing()
    listing.append(FILE)
    with pytest.raises(SourceUnreachable, match="that no file has"):
        listing.append(odd)


def test_directory_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "MOST_FILES", 10)
    listing = Listing()
    for _ in range(5):
        listing.append(FILE)
        listing.pass_over("x", PassedKind.LINK)
    with pytest.raises(SourceUnreachable, match="more than 10 files"):
        listing.append(FILE)
    with pytest.raises(SourceUnreachable, match="more than 10 files"):
        listing.pass_over("x/", PassedKind.CLOSED)


def test_what_another_side_said_is_printed_in_bounds() -> None:
    assert printable("a\0b\x1b[31m" + "x" * 1000) == "ab[31m" + "x" * 292
