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
    """Leaves the objects of the last frames open. zstd checks each frame. Any thread may read."""

    def __init__(self, stores: Mapping[str, ObjectStore], most: int = _THREADS) -> None:
        """Read with `most` threads, which are started by `begin`, and leave as many objects open."""
        self._stores = stores
        self._most = most
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="search")
        self._lock = threading.Lock()
        self._idle: list[tuple[str, BinaryIO]] = []  # objects that are open, the last used at the end
        self._closed = False

    def begin(self, segment: Segment, frame: Frame) -> Future[bytes]:
        """Begin to read the plain bytes of a frame; see `read`."""
        return self._pool.submit(self.read, segment, frame)

    def read(self, segment: Segment, frame: Frame) -> bytes:
        """Return the plain bytes of a frame. Raises `StoreCorrupt`, `StoreMissing` or what the store fails with."""
        stream = self._take(segment)
        try:
            data = b"".join(read_frames(stream, (frame,), frame.start, frame.start + frame.raw))
        except BaseException:
            stream.close()
            raise
        self._give_back(segment, stream)
        return data

    def close(self) -> None:
        """Stop. Nobody waits for what is being read; who reads it closes it."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            self._closed, left, self._idle = True, self._idle, []
        for _, stream in left:
            stream.close()

    def _take(self, segment: Segment) -> BinaryIO:
        """Return a stream over the object that nobody else uses."""
        with self._lock:
            for at, (name, stream) in enumerate(self._idle):
                if name == segment.object:
                    del self._idle[at]
                    return stream
        return find_store(self._stores, segment.bucket).open(segment.object)

    def _give_back(self, segment: Segment, stream: BinaryIO) -> None:
        with self._lock:
            over = stream if self._closed else None
            if not self._closed:
                self._idle.append((segment.object, stream))
                over = self._idle.pop(0)[1] if len(self._idle) > self._most else None
        if over:
            over.close()
