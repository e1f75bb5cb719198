"""Numbers of the requests that this process sends to object stores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial
from threading import Lock
from typing import NamedTuple

from logkeep.domain.usage import RequestKind
from logkeep.stores.base import CountRequests
from logkeep.stores.layout import folder_of

_MOST_FOLDERS = 20_000  # held between two flushes; what is more counts for no cluster


class Counted(NamedTuple):
    """What is counted together."""

    bucket: str
    folder: str  # of the objects, '' where there are too many
    kind: RequestKind


class RequestCounts:
    """Counts for any thread: all since this process began, by bucket, and what is not saved yet, also by folder."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._all = Counter[tuple[str, RequestKind]]()
        self._unsaved = Counter[Counted]()

    def of_bucket(self, bucket: str) -> CountRequests:
        """Return what counts the requests to a bucket."""
        return partial(self._count, bucket)

    def all(self) -> dict[tuple[str, RequestKind], int]:
        """Return the numbers since this process began, by bucket and kind."""
        with self._lock:
            return dict(self._all)

    def take(self) -> Mapping[Counted, int]:
        """Return what is not saved yet, and forget it; `put_back` remembers it where it could not be saved."""
        with self._lock:
            taken, self._unsaved = self._unsaved, Counter[Counted]()
        return taken

    def put_back(self, taken: Mapping[Counted, int]) -> None:
        with self._lock:
            for key, number in taken.items():
                self._add(key, number)

    def _count(self, bucket: str, kind: RequestKind, name: str, number: int) -> None:
        key = Counted(bucket, folder_of(name), kind)
        with self._lock:
            self._all[bucket, kind] += number
            self._add(key, number)

    def _add(self, key: Counted, number: int) -> None:
        is_new = key not in self._unsaved
        self._unsaved[key._replace(folder="") if is_new and len(self._unsaved) >= _MOST_FOLDERS else key] += number
