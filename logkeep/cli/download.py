"""Reads kept logs from the service, going on where an answer breaks off."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from logkeep.cli.client import Broken, NotAnswering, ServiceClient
from logkeep.cli.errors import CommandFailed
from logkeep.contract.native.responses import ClusterView, KeptLine
from logkeep.errors import StoreCorrupt

_PATIENCE = 60.0  # seconds without a byte, for a service that is being started again
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 2.0  # seconds


class Incomplete(CommandFailed):
    """The service sent less than it keeps."""


@dataclass(frozen=True, slots=True)
class Download:
    """From where kept logs come, and which records of them; '' for no bound."""

    client: ServiceClient
    cluster: ClusterView
    since: str = ""
    until: str = ""

    @property
    def exact(self) -> bool:
        """Return whether the size of the answer is known before."""
        return not self.since and not self.until

    def read(self, kept: KeptLine, done: int = 0) -> Iterator[bytes]:
        """Yield the bytes after the first `done`.

        Raises `Broken` or `NotAnswering` after a minute without a byte, `ServiceFault` where the archive is damaged.
        """
        heard, pause = time.monotonic(), _FIRST_PAUSE
        encoded = self.exact
        while True:
            try:
                for piece in self._read_once(kept, done, encoded=encoded):
                    yield piece
                    done += len(piece)
                    heard, pause = time.monotonic(), _FIRST_PAUSE
                break
            except StoreCorrupt:  # plain, as the service then says what is damaged, and where
                if not encoded:
                    raise
                encoded = False
                continue
            except (Broken, NotAnswering):
                if time.monotonic() - heard > _PATIENCE:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        if self.exact and done < kept.size:
            raise Incomplete(f"{done} bytes of {kept.name} came instead of {kept.size}")

    def _read_once(self, kept: KeptLine, done: int, *, encoded: bool) -> Iterator[bytes]:
        """Of a span the first bytes come again, since the service alone knows where they lie, and are left out."""
        start, skipped = (kept.start + done, 0) if self.exact else (kept.start, done)
        if start == kept.end:
            return
        with self.client.read_kept(self.cluster, kept, start, self.since, self.until, encoded=encoded) as pieces:
            yield from drop_first(pieces, skipped)


def drop_first(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Yield the pieces without their first `size` bytes."""
    for piece in pieces:
        if size < len(piece):
            yield piece[size:]
        size = max(0, size - len(piece))
