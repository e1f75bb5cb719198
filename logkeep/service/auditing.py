"""Writes into the audit what was asked to change, and bounds what strangers can make it write."""

from __future__ import annotations

import threading

import structlog

from logkeep.domain.access import AuditEntry, AuditTrail
from logkeep.errors import CatalogueError
from logkeep.service import audit
from logkeep.service.runtime import Runtime

_MINUTE_MS = 60_000
_MAX_REFUSED = 200  # entries a minute on callers that have not proven who they are
_MAX_REFUSED_ADDRESS = 20  # of them from one address
_logger = structlog.get_logger("logkeep.audit")


class Auditor:
    """One entry for each mutating call."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._minute = 0
        self._refused: dict[str, int] = {}  # in this minute, by address
        self._lock = threading.Lock()

    def record(self, trail: AuditTrail, operation: str, status: int, code: str, request_id: str) -> None:
        """Write the entry, or log it where that fails: the call has been carried out, and its answer stays."""
        now = self._runtime.clock.now_ms()
        if not trail.proven and not self._may_write(trail.address, now):
            return
        entry = AuditEntry(
            at=now,
            who=trail.who,
            project_id=trail.project_id,
            operation=operation,
            cluster_id=trail.cluster_id,
            address=trail.address,
            status=status,
            code=code,
            request_id=request_id,
        )
        try:
            audit.record(self._runtime, entry)
        except CatalogueError as error:
            _logger.error("the audit cannot be written", entry=entry, error=error.message)
        except Exception:
            _logger.exception("the audit cannot be written", entry=entry)

    def is_full_for(self, trail: AuditTrail) -> bool:
        """Return whether this minute takes no more entries of a sender who is not proven, so that no call need try."""
        if trail.proven or self._runtime.clock.now_ms() // _MINUTE_MS != self._minute:
            return False
        with self._lock:
            return self._is_full(trail.address)

    def _is_full(self, address: str) -> bool:
        refused = self._refused
        return refused.get(address, 0) >= _MAX_REFUSED_ADDRESS or sum(refused.values()) >= _MAX_REFUSED

    def _may_write(self, address: str, now_ms: int) -> bool:
        with self._lock:
            if now_ms // _MINUTE_MS != self._minute:
                self._minute = now_ms // _MINUTE_MS
                self._refused = {}
            if self._is_full(address):
                return False
            self._refused[address] = self._refused.get(address, 0) + 1
            return True
