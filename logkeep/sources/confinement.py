"""Which directories of this machine may be read as logs, and for which project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from logkeep.errors import RootsMissing, SourceRefused
from logkeep.sources.base import Tenant
from logkeep.sources.places import Mounts, Place, find_place, locate

# No logs of a node lie here, but secrets do: refused unless a root names a directory in one of them. Devices are known
# by their file system, so that /dev/shm stays a place as any other.
_SYSTEM = tuple(Path(f"/{name}") for name in ("etc", "boot", "proc", "run", "sys"))
# File systems that the kernel makes up: to read some of their files blocks, or does something.
_MADE_UP = frozenset(
    {"autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs"}
    | {"fusectl", "hugetlbfs", "mqueue", "nsfs", "proc", "pstore", "rpc_pipefs", "securityfs", "selinuxfs", "sysfs"}
    | {"tracefs"}
)


_OF_NODE = "name the directory of the node's logs"
_IN_SYSTEM = f"{_OF_NODE}, and where it really lies there, add it to sources.roots"


class Forbidden(NamedTuple):
    """A place that no source may be, lie in or hold."""

    what: str
    place: Place
    remedy: str = _OF_NODE


class OwnPlaces:
    """What is Logkeep's own, and what the system keeps, as it lies now."""

    def __init__(self, own: Mapping[Path, str]) -> None:
        """Find the places of Logkeep's own paths; `own` describes each of them."""
        self.mounts = Mounts()
        self.own = [Forbidden(what, find_place(path, self.mounts)) for path, what in own.items()]
        self.system = [
            Forbidden("a directory of the system", find_place(path, self.mounts), _IN_SYSTEM) for path in _SYSTEM
        ]


class Confinement:
    """What one project may read of this machine, as its directories lie now."""

    def __init__(self, roots: Sequence[Path] = (), places: OwnPlaces | None = None) -> None:
        """Confine sources to `roots`; without roots only Logkeep's own places and the system's are refused."""
        places = places or OwnPlaces({})
        self._mounts = places.mounts
        self._roots = [find_place(root, self._mounts) for root in roots]
        self._forbidden = places.own + [
            one for one in places.system if not any(root.is_within(one.place) for root in self._roots)
        ]

    def check_directory(self, directory: Path, descriptor: int | None = None) -> None:
        """Raise `SourceRefused` unless the directory of a source may be read, as it was opened.

        A directory that cannot be opened is judged by its path. What may never be read is reported first, as no root
        would help.
        """
        place = Place(directory) if descriptor is None else locate(descriptor, directory, self._mounts)
        self._check(place)
        if self._roots and not any(place.path.is_relative_to(root.path) for root in self._roots):
            raise SourceRefused(
                f"the directory {place.path} lies outside sources.roots; where the project may read it, add it there"
            )

    def check_folder(self, folder: Path, descriptor: int) -> None:
        """Raise `SourceRefused` unless a folder below that directory may be read: anything may be mounted there."""
        self._check(locate(descriptor, folder, self._mounts))

    def _check(self, place: Place) -> None:
        if place.kind in _MADE_UP:
            raise SourceRefused(f"the directory {place.path} is no place for logs: it is of the kind {place.kind}")
        for what, forbidden, remedy in self._forbidden:
            if place.path == forbidden.path:
                how = f"is {what}"
            elif place.is_within(forbidden):
                how = f"lies in {forbidden.path}, {what}"
            elif forbidden.is_within(place):
                how = f"holds {forbidden.path}, {what}"
            else:
                continue
            raise SourceRefused(f"the directory {place.path} {how}; {remedy}")


class Roots:
    """The directories below which the logs of each project may lie."""

    def __init__(self, shared: Sequence[str], projects: Mapping[str, Sequence[str]]) -> None:
        """Set the roots of all projects (`shared`), and by name those that one project has besides."""
        self._shared = tuple(map(Path, shared))
        self._projects = {name: tuple(map(Path, roots)) for name, roots in projects.items()}

    def of(self, tenant: Tenant, directory: Path, places: OwnPlaces) -> tuple[Path, ...]:
        """Return the roots of a project; none means no confinement.

        Raises `SourceRefused` if the project needs roots and has none.
        """
        roots = self._shared + self._projects.get(tenant.project, ())
        if not roots and not (tenant.alone and not self._projects):
            Confinement((), places).check_directory(directory)  # no root would help; opened it need not be for that
            raise RootsMissing(
                tenant.project,
                str(directory),
                f"the directory {directory} lies outside sources.roots, which are needed where there is more than one "
                f"project, or one has some of its own; where project {tenant.project} may read it, write in "
                f"logkeep.toml [sources.projects.{_key(tenant.project)}] and below it roots = [{_text(directory)}]",
            )
        return roots


def _key(name: str) -> str:
    return f'"{name}"' if "." in name else name


def _text(directory: Path) -> str:
    escaped = str(directory).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
