"""What is told while the database is away: nothing can be decided there, so each process tells it by itself."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from logkeep.database.connection import writing
from logkeep.domain.cluster_status import age_text
from logkeep.domain.notice import Event, Notice
from logkeep.domain.notice_target import ConfiguredTarget, TargetKind, quiet_until
from logkeep.service.notices import record
from logkeep.service.runtime import Runtime

TOLD_AFTER_SECONDS = 60.0
_FIRST_PAUSE_MS, _LONGEST_PAUSE_MS = 10_000, 3_600_000
_MINUTE_MS = 60_000


class OutageTeller:
    """Tells the targets of logkeep.toml of an outage, and of its end by way of the database."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._notice: Notice | None = None  # on the outage that lasts
        self._left: dict[str, tuple[ConfiguredTarget, int, int]] = {}  # target, failures, next try (Unix ms)

    def look(self) -> None:
        """Tell what there is to be told now. Raises `CatalogueError` if the end cannot be recorded yet."""
        seconds, error = self._runtime.outage.lasts()
        now = self._runtime.clock.now_ms()
        if self._notice is None and seconds >= TOLD_AFTER_SECONDS:
            self._begin(now - round(seconds * 1000), error, now)
        elif self._notice and not seconds:
            self._end(self._notice, now)
        if self._notice:
            self._send(self._notice, now)

    def _begin(self, since: int, error: str, now: int) -> None:
        self._notice = Notice(
            id=self._id(Event.DATABASE_AWAY, since),
            event=Event.DATABASE_AWAY,
            at=now,
            since=since,
            code="LK-CATALOGUE",
            cause=f"the database has failed for {age_text(now - since)}: {error}",
            remedy="work goes on when it is back; each process tells this by itself, so it may come more than once",
            may_repeat=True,
        )
        self._left = {
            target.subscription.key: (target, 0, now)
            for target in self._runtime.notices.targets
            if target.destination.kind is not TargetKind.PING and target.subscription.wants(self._notice)
        }

    def _send(self, notice: Notice, now: int) -> None:
        for key, (target, failures, due) in list(self._left.items()):
            wants = target.subscription
            if due > now or quiet_until(wants.quiet, wants.zone, now) > now:
                continue
            if self._runtime.notices.send(target.destination, notice).error:
                pause = min(_FIRST_PAUSE_MS << min(failures, 16), _LONGEST_PAUSE_MS)
                self._left[key] = target, failures + 1, now + pause
            else:
                del self._left[key]

    def _end(self, away: Notice, now: int) -> None:
        back = replace(
            away,
            id=self._id(Event.DATABASE_BACK, away.since),
            event=Event.DATABASE_BACK,
            at=now,
            code="",
            cause=f"the database is back, after {age_text(now - away.since)}",
            remedy="",
            may_repeat=False,
        )
        with writing(self._runtime.database) as connection:
            record(self._runtime, connection, [back])
        self._notice, self._left = None, {}

    def _id(self, event: Event, since: int) -> str:
        """Return an id that all processes make alike which saw it begin in the same minute."""
        text = f"{self._runtime.notices.installation}\0{event}\0{since // _MINUTE_MS}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]
