"""What a search cluster's own API tells: kind, version, nodes and where their logs lie.

Whoever answers there is believed nothing: the answer is read to a bound of bytes and of time, and decoded by its types.
"""

from __future__ import annotations

import asyncio
import re
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
    host, endpoint = _parse(url)
    try:
        about, found = asyncio.run(_ask(url, (user, password) if user else None))
    except TimeoutError as error:
        raise InvalidField("url", f"{host} does not answer in full within {DEADLINE_SECONDS:.0f} s") from error
    except (OSError, ValueError) as error:  # of addresses and names that are none
        raise InvalidField("url", f"{host} cannot be asked: {_reason(error)}") from error
    nodes = [_found_node(id_, node) for id_, node in found.nodes.items() if node.settings.path.logs]
    if not nodes:
        raise InvalidField("url", "the cluster names no node with a log directory (settings.path.logs)")
    kind, version = (_plain(text, "its version") for text in (about.version.distribution, about.version.number))
    return FoundCluster(kind, version, endpoint, tuple(sorted(nodes, key=lambda node: node.name)))


def _parse(url: str) -> tuple[str, str]:
    """Return host and endpoint of a URL. Raises `InvalidField`."""
    try:
        parts = urlsplit(url)
        if not parts.hostname or parts.port == 0 or parts.scheme not in {"http", "https"}:
            raise ValueError
    except ValueError:
        raise InvalidField("url", "write it as http://host:9200; a log directory is the source of a node") from None
    return parts.hostname, parts.netloc.rpartition("@")[2]


async def _ask(url: str, auth: tuple[str, str] | None) -> tuple[_About, _Nodes]:
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
            return await _get(client, "/", _About), await _get(client, _NODES, _Nodes)
    except httpx.TimeoutException as error:
        raise TimeoutError from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise InvalidField("url", f"cannot be asked: {_reason(error)}") from error


async def _get(client: httpx.AsyncClient, path: str, kind: type[_T]) -> _T:
    shown = path.partition("?")[0]
    async with client.stream("GET", path) as answer:
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
            if len(body) > _MOST_BYTES:
                raise InvalidField("url", f"{shown} answers with more than {_MOST_BYTES} bytes")
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        said = _UNPRINTABLE.sub("?", str(error))[:200]
        raise InvalidField("url", f"{shown} does not answer as a search cluster: {said}") from error


def _found_node(id_: str, node: _Node) -> FoundNode:
    if not _ADDRESS.fullmatch(node.ip):
        raise InvalidField("url", "the cluster names an address of a node that is none")
    name = _plain(node.name, "the name of a node")
    logs = _plain(node.settings.path.logs, "path.logs of a node", 4096)
    return FoundNode(
        name=name, path_logs=logs, ip=node.ip, role=_role(node.roles), instance=_plain(id_, "the id of a node", 64)
    )


def _plain(text: str, what: str, most: int = 255) -> str:
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
