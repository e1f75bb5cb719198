"""Which handler answers a path; a tree of segments, looked up on the raw path."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from logkeep.api.call import Call, WithHeaders
from logkeep.contract.operation import Operation
from logkeep.errors import NoSuchApi, RequestError
from logkeep.http.streams import Stream

Handler = Callable[[Call], bytes | WithHeaders | Stream]


@dataclass(frozen=True, slots=True)
class Route:
    """An operation, its handler, and the names of the variable segments of its path."""

    operation: Operation
    handler: Handler
    names: tuple[str, ...]


@dataclass(slots=True)
class _Level:
    literals: dict[bytes, _Level] = field(default_factory=dict["bytes", "_Level"])
    variable: _Level | None = None
    routes: dict[str, Route] = field(default_factory=dict[str, Route])  # by method


class Routes:
    """All routes of the service."""

    def __init__(self, handlers: Iterable[tuple[Operation, Handler]]) -> None:
        self._root = _Level()
        for operation, handler in handlers:
            self._add(operation, handler)

    def find(self, method: str, raw_path: bytes) -> tuple[Route, dict[str, str]]:
        """Return the route and its path parameters; raises `NoSuchApi`.

        Leading slashes count as one: Java and Node sign `//v1.0/…` for an endpoint that ends in a slash.
        """
        level, values = self._root, list[bytes]()
        segments = raw_path.lstrip(b"/").split(b"/")
        if b"%" in raw_path:
            segments = [unquote_to_bytes(segment) for segment in segments]
        for segment in segments:
            below = level.literals.get(segment)
            if below is None:
                below = level.variable
                if below is None or not segment:
                    raise NoSuchApi()
                values.append(segment)
            level = below
        route = level.routes.get(method)
        if route is None:
            raise NoSuchApi()
        return route, _parameters(route, values)

    def _add(self, operation: Operation, handler: Handler) -> None:
        level, names = self._root, list[str]()
        for segment in operation.path.lstrip("/").split("/"):
            if segment.startswith("{"):
                names.append(segment.strip("{}"))
                level.variable = level.variable or _Level()
                level = level.variable
            else:
                level = level.literals.setdefault(segment.encode(), _Level())
        level.routes[operation.method] = Route(operation, handler, tuple(names))


def _parameters(route: Route, values: list[bytes]) -> dict[str, str]:
    try:
        return {name: value.decode() for name, value in zip(route.names, values, strict=True)}
    except UnicodeDecodeError:
        raise RequestError("The path is not valid UTF-8.") from None
