"""Who is connected: bounded in number and in what is held for strangers, so that they never keep a caller out.

A connection is a stranger's until a request of it has shown a right key or token. Where there is no room for a new one,
the stranger goes that has been silent longest; a newcomer is refused only where every other connection is at work for
somebody who is known.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Protocol

_MIB = 1024 * 1024
_SMALL_READ, _LARGE_READ = 4 * 1024, 64 * 1024  # bytes; of strangers, and of those who are known


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one listening port."""

    connections: int = 1024  # at a time; a quarter of them is kept for those who are known
    known_seconds: float = 120.0  # without a request, once known
    stranger_seconds: float = 10.0  # the same of a stranger; and for a head to come, whole
    strangers_bytes: int = 8 * _MIB  # of heads and small bodies of all strangers together

    @property
    def strangers(self) -> int:
        return self.connections - self.connections // 4

    @property
    def each_owner(self) -> int:
        """Return how many connections one caller may have while others need room."""
        return self.connections // 2


class Connection(Protocol):
    """What is counted."""

    owner: str  # whose it is, '' while it is a stranger's
    held: int  # bytes of its present request, while nobody knows whose that is

    @property
    def working(self) -> bool:
        """Return whether one of its requests is being carried out."""
        ...

    def hang_up(self) -> None:
        """Close it immediately, whatever is in progress."""
        ...


class Connections:
    """All of one port; for its event loop only."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        # What is read at once; for all, as each read is taken in before the next one.
        self.small, self.large = memoryview(bytearray(_SMALL_READ)), memoryview(bytearray(_LARGE_READ))
        self.held = 0  # bytes, of all
        self._strangers: dict[Connection, None] = {}  # the one that has been silent longest first
        self._known: dict[Connection, None] = {}
        self._owners: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._strangers) + len(self._known)

    def add(self, connection: Connection) -> None:
        """Count a stranger's new connection; if there is no room, close another one."""
        self._strangers[connection] = None
        if len(self._strangers) > self.limits.strangers or len(self) > self.limits.connections:
            self._make_room(connection)

    def seen(self, connection: Connection) -> None:
        """Note that it has sent something."""
        group = self._known if connection.owner else self._strangers
        if connection in group:  # else it has been hung up
            del group[connection]
            group[connection] = None

    def hold(self, connection: Connection, size: int) -> None:
        """Count bytes held for a stranger; if there are too many, close the connections that were silent longest."""
        connection.held += size
        self.held += size
        if self.held > self.limits.strangers_bytes:
            self._let_go_of_bytes(connection)

    def release(self, connection: Connection) -> None:
        """Count its bytes no more: they are freed, or their owner is known."""
        self.held -= connection.held
        connection.held = 0

    def know(self, connection: Connection, owner: str) -> None:
        """Note the owner of a connection, which one of its requests has proven."""
        if connection.owner == owner or connection not in (self._known if connection.owner else self._strangers):
            return
        self.remove(connection)
        connection.owner = owner
        self._known[connection] = None
        self._owners[owner] += 1
        if self._owners[owner] > self.limits.each_owner and (victim := self._idle_one_of(owner)):
            self._hang_up(victim)

    def remove(self, connection: Connection) -> None:
        self.release(connection)
        self._strangers.pop(connection, None)
        if connection in self._known:
            del self._known[connection]
            self._owners[connection.owner] -= 1
            if not self._owners[connection.owner]:
                del self._owners[connection.owner]

    def _make_room(self, newcomer: Connection) -> None:
        others = [one for one in self._strangers if one is not newcomer]
        victim = next((one for one in others if not one.working), others[0] if others else None)
        if victim is None and self._owners:
            victim = self._idle_one_of(self._owners.most_common(1)[0][0])
        self._hang_up(victim or newcomer)

    def _let_go_of_bytes(self, present: Connection) -> None:
        for one in [one for one in self._strangers if one.held and one is not present]:
            if self.held <= self.limits.strangers_bytes:
                return
            self._hang_up(one)

    def _idle_one_of(self, owner: str) -> Connection | None:
        return next((one for one in self._known if one.owner == owner and not one.working), None)

    def _hang_up(self, connection: Connection) -> None:
        self.remove(connection)
        connection.hang_up()
