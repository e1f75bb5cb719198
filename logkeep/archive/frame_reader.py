"""Reading of single frames of kept logs, some ahead in threads: zstd and stores leave the interpreter free."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO

from logkeep.domain.manifest import Frame, Segment
from logkeep.stores.base import ObjectStore, find_store
from logkeep.stores.frames import read_frames

_THREADS = min(4, (os.cpu_count() or 1) + 1)  # one waits for the store while the others decompress


class FrameReader:
    """Each of its threads leaves the object of its last frame open. zstd checks each frame."""

    def __init__(self, stores: Mapping[str, ObjectStore]) -> None:
        self._stores = stores
        self._opened = threading.local()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="search")

    def begin(self, segment: Segment, frame: Frame) -> Future[bytes]:
        """Begin to read the plain bytes of a frame; see `read`."""
        return self._pool.submit(self.read, segment, frame)

    def read(self, segment: Segment, frame: Frame) -> bytes:
        """Return the plain bytes of a frame. Raises `StoreCorrupt`, `StoreMissing` or what the store fails with."""
        name, stream = getattr(self._opened, "last", ("", None))
        if stream is None or name != segment.object:
            stream = self._open(segment)
        try:
            return b"".join(read_frames(stream, (frame,), frame.start, frame.start + frame.raw))
        except BaseException:
            self._opened.last = ("", None)  # a stream that failed is not used again
            raise

    def close(self) -> None:
        """Stop; what is being read in threads is waited for by nobody."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _open(self, segment: Segment) -> BinaryIO:
        self._opened.last = ("", None)
        stream = find_store(self._stores, segment.bucket).open(segment.object)
        self._opened.last = (segment.object, stream)
        return stream
