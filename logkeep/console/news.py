"""Whether a list may have changed: asked of the database at most once a second, for all who look for news at a time."""

from __future__ import annotations

import threading

from logkeep.console.visit import Visit
from logkeep.service import tasks

_EACH_MS = 1000
_MOST = 256  # projects and clusters that are remembered

_lock = threading.Lock()
# By project and cluster: when it was asked (Unix ms), and what came.
_known: dict[tuple[str, str], tuple[int, str]] = {}


def find_version(visit: Visit, cluster_id: str = "") -> str:
    """Return a token that changes, within a second, when the tasks of the project, or of one cluster, have."""
    now, asked = visit.runtime.clock.now_ms(), (visit.project_id, cluster_id)
    with _lock:
        at, version = _known.get(asked, (0, ""))
        if at and 0 <= now - at < _EACH_MS:
            return version
        version = tasks.find_version(visit.runtime, visit.project_id, cluster_id)
        if len(_known) >= _MOST:
            _known.clear()
        _known[asked] = now, version
        return version
