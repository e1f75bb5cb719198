"""What a search cluster's own API tells: kind, version, nodes and where their logs lie.

Whoever answers there is believed nothing: the answer is read to a bound of bytes and of time, and decoded by its types.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import msgspec

from logkeep.errors import InvalidField
from logkeep.sources.base import FoundCluster, FoundNode

if TYPE_CHECKING:
    import httpx

DEADLINE_SECONDS = 20.0  # for all of it, however slowly the answer comes
_MOST_BYTES = 2 * 1024 * 1024  # of one answer; a node takes 200 to 400 of them
_NODES = "/_nodes/settings?filter_path=nodes.*.name,nodes.*.ip,nodes.*.roles,nodes.*.settings.path.logs"
_ROLES = {"cluster_manager": "ess-master", "master": "ess-master", "data_cold": "ess-cold"}
_ADDRESS = re.compile(r"[0-9A-Za-z.:%_-]{0,255}")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f]")

_T = TypeVar("_T")


class _Version(msgspec.Struct, frozen=True):
    number: str
    distribution: str = "elasticsearch"


class _About(msgspec.Struct, frozen=True):
    version: _Version


class _Path(msgspec.Struct, frozen=True):
    logs: str = ""


class _Settings(msgspec.Struct, frozen=True):
    path: _Path = _Path()


class _Node(msgspec.Struct, frozen=True):
    name: str = ""
    ip: str = ""
    roles: list[str] = []
    settings: _Settings = _Settings()


class _Nodes(msgspec.Struct, frozen=True):
    nodes: dict[str, _Node] = {}


def describe_cluster(url: str, user: str = "", password: str = "") -> FoundCluster:
    """Ask the API at `url`; raises `InvalidField` that says what came instead."""

    async def describe(api: ClusterApi) -> tuple[_About, _Nodes]:
        return await api.get("/", _About), await api.get(_NODES, _Nodes)

    about, found = ask_cluster(url, user, password, describe)
    nodes = [_found_node(id_, node) for id_, node in found.nodes.items() if node.settings.path.logs]
    if not nodes:
        raise InvalidField("url", "the cluster names no node with a log directory (settings.path.logs)")
    kind, version = (plain(text, "its version") for text in (about.version.distribution, about.version.number))
    endpoint = urlsplit(url).netloc.rpartition("@")[2]
    return FoundCluster(kind, version, endpoint, tuple(sorted(nodes, key=lambda node: node.name)))


def ask_cluster(url: str, user: str, password: str, questions: Callable[[ClusterApi], Awaitable[_T]]) -> _T:
    """Return what comes of the questions to the API at `url`. Raises `InvalidField` that says what came instead."""
    host = _host(url)
    try:
        return asyncio.run(_ask(url, (user, password) if user else None, questions))
    except TimeoutError as error:
        raise InvalidField("url", f"{host} does not answer in full within {DEADLINE_SECONDS:.0f} s") from error
    except (OSError, ValueError) as error:  # of addresses and names that are none
        raise InvalidField("url", f"{host} cannot be asked: {_reason(error)}") from error


def _host(url: str) -> str:
    """Return the host of a URL. Raises `InvalidField`."""
    try:
        parts = urlsplit(url)
        if not parts.hostname or parts.port == 0 or parts.scheme not in {"http", "https"}:
            raise ValueError
    except ValueError:
        raise InvalidField("url", "write it as http://host:9200; a log directory is the source of a node") from None
    return parts.hostname


async def _ask(url: str, auth: tuple[str, str] | None, questions: Callable[[ClusterApi], Awaitable[_T]]) -> _T:
    import httpx  # noqa: PLC0415  only needed here, and slow to import

    # Not compressed, as what is would have to be inflated to know its size; and not followed to anywhere else.
    headers = {"accept-encoding": "identity"}
    try:
        async with (
            asyncio.timeout(DEADLINE_SECONDS),
            httpx.AsyncClient(
                base_url=url,
                auth=auth,
                headers=headers,
                timeout=DEADLINE_SECONDS,
                trust_env=False,
                follow_redirects=False,
            ) as client,
        ):
            return await questions(ClusterApi(client))
    except httpx.TimeoutException as error:
        raise TimeoutError from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        told = f"{_reason(error)}; check that the cluster listens there, and that the service's machine may connect"
        raise InvalidField("url", f"cannot be asked: {told}") from error


class ClusterApi:
    """A cluster's own API, to be asked one question after the other."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def get(self, path: str, kind: type[_T], most: int = _MOST_BYTES) -> _T:
        """Return the answer, of at most so many bytes. Raises `InvalidField`."""
        shown = path.partition("?")[0]
        async with self._client.stream("GET", path) as answer:
            if answer.status_code in {401, 403}:
                raise InvalidField(
                    "user", f"the cluster refuses them for {shown}; give --user and --password of one that may"
                )
            if answer.status_code != 200:
                raise InvalidField("url", f"{shown} answers with status {answer.status_code}")
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise InvalidField("url", f"{shown} answers compressed, though it was asked not to")
            body = bytearray()
            async for piece in answer.aiter_raw():
                body += piece
                if len(body) > most:
                    raise InvalidField("url", f"{shown} answers with more than {most} bytes")
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.MsgspecError, RecursionError, ValueError) as error:
            said = _UNPRINTABLE.sub("?", str(error))[:200]
            raise InvalidField("url", f"{shown} does not answer as a search cluster: {said}") from error


def _found_node(id_: str, node: _Node) -> FoundNode:
    if not _ADDRESS.fullmatch(node.ip):
        raise InvalidField("url", "the cluster names an address of a node that is none")
    name = plain(node.name, "the name of a node")
    logs = plain(node.settings.path.logs, "path.logs of a node", 4096)
    return FoundNode(
        name=name, path_logs=logs, ip=node.ip, role=_role(node.roles), instance=plain(id_, "the id of a node", 64)
    )


def plain(text: str, what: str, most: int = 255) -> str:
    """Return a text that a cluster told. Raises `InvalidField` where it is none to show."""
    if len(text) > most or _UNPRINTABLE.search(text):
        raise InvalidField("url", f"{what}, as the cluster tells it, is too long or has characters that control")
    return text


def _role(told: list[str]) -> str:
    roles = set(told)
    if not roles:
        return "ess-client"
    if not any(role.startswith("data") for role in roles):
        return next((_ROLES[role] for role in sorted(roles) if role in _ROLES), "ess-client")
    return "ess-cold" if roles == {"data_cold"} else "ess"


def _reason(error: Exception) -> str:
    return _UNPRINTABLE.sub("?", str(error))[:200] or type(error).__name__
