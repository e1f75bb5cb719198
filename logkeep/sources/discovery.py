"""What a search cluster's own API tells: kind, version, nodes and where their logs lie."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from logkeep.errors import InvalidField
from logkeep.sources.base import FoundCluster, FoundNode

_TIMEOUT_SECONDS = 10.0
_MOST_BYTES = 32 * 1024 * 1024
_ROLES = {"cluster_manager": "ess-master", "master": "ess-master", "data_cold": "ess-cold"}


def describe_cluster(url: str, user: str = "", password: str = "") -> FoundCluster:
    """Ask the API at `url`; raises `InvalidField` that says what came instead."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InvalidField("url", "write it as http://host:9200")
    import httpx  # noqa: PLC0415  only needed here, and slow to import

    auth = (user, password) if user else None
    try:
        with httpx.Client(base_url=url, auth=auth, timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
            about = _get(client, "/")
            if "version" not in about or "number" not in about["version"]:
                raise InvalidField("url", f"{parts.hostname} answers, but not as a search cluster")
            logstash = "pipeline" in about and "cluster_name" not in about
            found = _get(client, "/_node" if logstash else "/_nodes/settings,http")
    except httpx.HTTPError as error:
        raise InvalidField("url", f"{parts.hostname} cannot be asked: {error or type(error).__name__}") from error
    endpoint = parts.netloc.rpartition("@")[2]
    nodes = tuple(_nodes(found))
    if not nodes:
        raise InvalidField("url", "the cluster names no node with a log directory (settings.path.logs)")
    distribution = about["version"].get("distribution", "elasticsearch")
    return FoundCluster(distribution, str(about["version"]["number"]), endpoint, nodes)


def _get(client: Any, path: str) -> dict[str, Any]:
    answer = client.get(path)
    if answer.status_code in {401, 403}:
        raise InvalidField("user", f"the cluster refuses them for {path}; give --user and --password of one that may")
    if answer.status_code != 200 or len(answer.content) > _MOST_BYTES:
        raise InvalidField("url", f"{path} answers with status {answer.status_code}")
    try:
        document = answer.json()
    except ValueError as error:
        raise InvalidField("url", f"{path} does not answer in JSON") from error
    if not isinstance(document, dict):
        raise InvalidField("url", f"{path} does not answer as a search cluster")
    return document


def _nodes(found: dict[str, Any]) -> list[FoundNode]:
    nodes: list[FoundNode] = []
    for node in found.get("nodes", {}).values():
        logs = node.get("settings", {}).get("path", {}).get("logs")
        if isinstance(logs, str) and logs:
            nodes.append(FoundNode(str(node.get("name", "")), logs, str(node.get("ip", "")), _role(node)))
    return sorted(nodes, key=lambda node: node.name)


def _role(node: dict[str, Any]) -> str:
    roles = {str(role) for role in node.get("roles", ())}
    if not roles:
        return "ess-client"
    if not any(role.startswith("data") for role in roles):
        return next((_ROLES[role] for role in sorted(roles) if role in _ROLES), "ess-client")
    return "ess-cold" if roles == {"data_cold"} else "ess"
