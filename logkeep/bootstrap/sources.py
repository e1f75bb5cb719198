"""The kinds of sources of the settings: local directories, SFTP and agents."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from sqlalchemy import make_url

from logkeep.bootstrap.stores import bucket_folders
from logkeep.errors import SettingError
from logkeep.logformat.names import compile_exclusions
from logkeep.settings import Settings
from logkeep.sources.base import LogSource, Tenant
from logkeep.sources.confinement import Roots
from logkeep.sources.hosts import AllowedHost, parse_jump
from logkeep.sources.local import LocalSources, settle_url, source_directory
from logkeep.sources.watched import watch_sources
from logkeep.watchdog import watch

_SETTLING = watch_sources(20.0, "")  # short, as somebody waits at a terminal


def source_opener(settings: Settings) -> Callable[[str, Tenant], LogSource]:
    excluded = compile_exclusions(settings.sources.exclude)
    projects = settings.sources.projects
    roots = Roots(settings.sources.roots, {name: project.roots for name, project in projects.items()})
    local = LocalSources(roots, _own_paths(settings), watch_sources(settings.sources.stalled_seconds))
    remote = {"sftp": _sftp_sources(settings), "agent": _agent_sources(settings)}

    def open_source(url: str, tenant: Tenant) -> LogSource:
        opener = remote.get(url.partition(":")[0])
        return opener(url, tenant, excluded) if opener else local.open(url, tenant, excluded)

    return open_source


def settle_source(url: str) -> str:
    """Return the URL with links resolved. Raises `SettingError`, `SourceUnreachable` if a link leads to what hangs."""
    if url.partition(":")[0] in {"sftp", "agent"}:
        return url
    return _SETTLING.call(watch(source_directory(url)), partial(settle_url, url))


_Opener = Callable[[str, Tenant, Callable[[str], bool]], LogSource]  # the last one tells if a name is excluded


def _sftp_sources(settings: Settings) -> _Opener:
    chosen, directory = settings.sftp, settings.directory
    jump = parse_jump(chosen.jump)
    more = {name: project.hosts for name, project in settings.sources.projects.items() if project.hosts}
    for name, hosts in more.items():
        for host in hosts:
            AllowedHost.parse(host, f"sources.projects.{name}.hosts")
    if not chosen.hosts and not more:
        return _refuse("no host is allowed yet; name it in sftp.hosts")
    from logkeep.sources import sftp, ssh  # noqa: PLC0415  their library takes a fifth of a second to import

    access = ssh.Access(
        directory / chosen.known_hosts,
        tuple(directory / key for key in chosen.keys),
        jump,
        chosen.connections,
        chosen.timeout_seconds,
    )
    connections = ssh.Connections(access)
    shared = sftp.SftpSources(chosen.hosts, connections)
    by_project = {name: sftp.SftpSources(chosen.hosts + hosts, connections) for name, hosts in more.items()}
    return lambda url, tenant, excluded: by_project.get(tenant.project, shared).open(url, excluded)


def _agent_sources(settings: Settings) -> _Opener:
    if not settings.agents:
        return _refuse("no agent is known yet; logkeep.toml needs a table [agents.NAME]")
    from logkeep.sources.agent import AgentAccess, AgentSources  # noqa: PLC0415  its library is slow to import

    agents = {
        name: AgentAccess(
            agent.url, agent.token, agent.fingerprint, settings.directory / agent.ca if agent.ca else None
        )
        for name, agent in settings.agents.items()
    }
    sources = AgentSources(agents)
    projects = settings.sources.projects
    owned = {agent for project in projects.values() for agent in project.agents}

    def open_source(url: str, tenant: Tenant, excluded: Callable[[str], bool]) -> LogSource:
        source = sources.open(url, excluded)
        mine = projects[tenant.project].agents if tenant.project in projects else ()
        if source.agent in owned and source.agent not in mine:
            raise SettingError(
                f"source agent:{source.agent}: is for other projects; where project {tenant.project} may read it, "
                f"add it to agents of sources.projects in logkeep.toml"
            )
        return source

    return open_source


def _refuse(problem: str) -> _Opener:
    def refuse(url: str, _tenant: object, _excluded: object) -> LogSource:
        shown = url.partition("://")[0]  # the rest may contain a password
        raise SettingError(f"source {shown}: {problem}")

    return refuse


def _own_paths(settings: Settings) -> Mapping[Path, str]:
    """Return Logkeep's own paths on this machine, and what each is: no source may lie in, below or above one."""
    base = settings.directory
    own = {base: "the directory of this installation", Path(__file__).parents[1]: "the program itself"}
    if sys.prefix != sys.base_prefix:
        own[Path(sys.prefix)] = "the environment of the program"
    own |= {folder: f"the bucket {name}" for name, folder in bucket_folders(settings).items()}
    if settings.embedded:
        own[Path(make_url(settings.database_url).database or "").absolute()] = "the database"
    for file in (settings.sftp.known_hosts, *settings.sftp.keys, *(agent.ca for agent in settings.agents.values())):
        if file:
            own[base / file] = "a file of the settings"
    return own | dict.fromkeys(_log_files(), "the log of the service")


def _log_files() -> Iterator[Path]:
    """Yield the files to which standard output and error are redirected."""
    for descriptor in (1, 2):
        with suppress(OSError):
            seen = os.fstat(descriptor)
            if stat.S_ISREG(seen.st_mode) and seen.st_nlink:
                yield Path(f"/proc/self/fd/{descriptor}").readlink()
