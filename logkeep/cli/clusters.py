"""`cluster`: the search clusters whose logs are kept."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated
from urllib.parse import quote, urlencode

import typer
from msgspec import to_builtins

from logkeep.cli.client import ServiceClient, decode, open_client
from logkeep.cli.errors import UsageError
from logkeep.cli.invocation import EVERYWHERE, CommonOptions, invocation
from logkeep.cli.output import note, print_document, print_fields, print_json, print_line, print_table, waiting
from logkeep.cli.texts import count_text, moment_text, size_text
from logkeep.contract.native.responses import (
    AddedCluster,
    AdoptedCluster,
    CheckList,
    ClusterList,
    ClusterView,
    NodeCheckView,
    RemovedCluster,
    VerificationView,
)
from logkeep.domain.cluster import as_source, is_cluster_id

CLUSTERS = "/api/v1/clusters"
ClusterName = Annotated[str, typer.Argument(metavar="CLUSTER", help="Its name or id.")]
Ip = Annotated[
    list[str] | None,
    typer.Option(metavar="NODE=ADDRESS", help="The address of a node that --node names, for the record; repeatable."),
]


def add_commands(app: typer.Typer) -> None:
    cluster = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Clusters whose logs are kept.")
    cluster.command("add", epilog=EVERYWHERE)(add_cluster)
    cluster.command("list", epilog=EVERYWHERE)(list_clusters)
    cluster.command("show", epilog=EVERYWHERE)(show_cluster)
    cluster.command("update", epilog=EVERYWHERE)(update_cluster)
    cluster.command("check", epilog=EVERYWHERE)(check_cluster)
    cluster.command("remove", epilog=EVERYWHERE)(remove_cluster)
    app.add_typer(cluster, name="cluster")


def add_cluster(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Also the name of its folder in the bucket.")],
    node: Annotated[
        list[str] | None,
        typer.Option(metavar="NODE=SOURCE", help="A node and its log directory: n1=file:///var/log/x; repeatable."),
    ] = None,
    url: Annotated[str, typer.Option(help="Instead of --node: the cluster's own API, http://host:9200.")] = "",
    source: Annotated[
        str,
        typer.Option(help="With --url: where the logs of each node lie; {path.logs}, {name} and {ip} are filled in."),
    ] = "file://{path.logs}",
    user: Annotated[str, typer.Option(help="With --url: user of the cluster.")] = "",
    password: Annotated[
        str, typer.Option(help="With --url: its password, kept encrypted; asked for on a terminal.")
    ] = "",
    kind: Annotated[str, typer.Option(help="With --node: elasticsearch, opensearch or logstash.")] = "opensearch",
    version: Annotated[str, typer.Option(help="With --node: the version, for the record.")] = "",
    ip: Ip = None,
    reached: Annotated[
        str,
        typer.Option(
            "--cluster-endpoint", metavar="HOST:PORT", help="Where clients reach the cluster; else that of --url."
        ),
    ] = "",
    adopt: Annotated[
        str,
        typer.Option(metavar="CLUSTER_ID", help="Take up what the buckets hold of this cluster, and go on from there."),
    ] = "",
    buckets: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="BUCKET", help="With --adopt: only look in this bucket; repeatable."),
    ] = None,
) -> None:
    """Register a cluster, by its nodes or by its own API.

    Name its nodes with --node, or let its API tell them with --url. With --adopt both may be left out: then its nodes
    are those of the archive. Only an administrator's key may do this.
    """
    asked = invocation(context)
    _check_options(node, url, adopt, buckets)
    addresses, password = _read_addresses(ip), password or _ask_password(user) or ""
    body: dict[str, object] = {"name": name}
    if url:
        body |= {"url": url, "source": source, "user": user, "password": password}
    elif node:
        body |= {"nodes": [_read_node(text, addresses) for text in node]}
    if addresses:
        raise UsageError(f"--ip {next(iter(addresses))}=…: there is no such --node; with --url the cluster tells it")
    if reached:
        body["endpoint"] = reached
    client = open_client(context)
    if adopt:
        document = _adopt(client, adopt, body | {"buckets": buckets or []}, shown=not asked.as_json)
    else:
        document = client.send("POST", CLUSTERS, body if url else body | {"kind": kind, "version": version})
    if asked.as_json:
        print_document(document)
        return
    _tell_added(asked, decode(document, AdoptedCluster if adopt else AddedCluster))


def _ask_password(user: str | None) -> str | None:
    """Ask for it on a terminal; None without a user, or off one."""
    return typer.prompt(f"Password of {user}", hide_input=True, err=True) if user and sys.stdin.isatty() else None


def _tell_added(asked: CommonOptions, cluster: AddedCluster | AdoptedCluster) -> None:
    print_line(f"cluster {cluster.name} registered with {count_text(len(cluster.nodes), 'node')}: {cluster.id}")
    for warning in cluster.warnings:
        note(f"warning: {warning}")
    if not isinstance(cluster, AdoptedCluster):
        print_line(f"keep its logs:  {asked.command} logs open {shlex.quote(cluster.name)}")
    else:
        taken = f"{count_text(cluster.records, 'record')} and {count_text(cluster.objects, 'object')}"
        print_line(f"{taken} were taken up, {size_text(cluster.bytes)} of logs; see how it goes on:")
        print_line(f"  {asked.command} logs settings {shlex.quote(cluster.name)}")


def _check_options(node: list[str] | None, url: str, adopt: str, buckets: list[str] | None) -> None:
    """Raise `UsageError` for options of `cluster add` that do not go together."""
    if (node and url) or not (node or url or adopt):
        raise UsageError("give either --node NODE=file:///directory (repeatable) or --url http://host:9200")
    if buckets and not adopt:
        raise UsageError("--from says in which buckets --adopt looks; give that too")
    if adopt and not is_cluster_id(adopt):
        raise UsageError(f"--adopt {adopt}: give the id of the cluster, as cluster_id of its manifests has it")


def _adopt(client: ServiceClient, cluster_id: str, body: dict[str, object], *, shown: bool) -> bytes:
    """Return the answer; it comes in pieces, so that a long reading of manifests keeps the connection alive."""
    with (
        waiting("reading the manifests", shown=shown),
        client.stream("POST", f"{CLUSTERS}/{cluster_id}/adopt", body) as pieces,
    ):
        return b"".join(pieces)


def update_cluster(
    context: typer.Context,
    cluster: ClusterName,
    node: Annotated[
        list[str] | None,
        typer.Option(metavar="NODE=SOURCE", help="A node that is added, or whose log directory changes; repeatable."),
    ] = None,
    remove_node: Annotated[
        list[str] | None,
        typer.Option(metavar="NODE", help="A node that is not backed up any more; what is kept stays; repeatable."),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="The cluster's own API, which is asked at once; '' to ask it no more.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Where the logs of each node lie: file://{path.logs}.")] = None,
    user: Annotated[str | None, typer.Option(help="User of the cluster's API.")] = None,
    password: Annotated[str | None, typer.Option(help="Its password, kept encrypted; asked for on a terminal.")] = None,
    ip: Ip = None,
    reached: Annotated[
        str | None,
        typer.Option("--cluster-endpoint", metavar="HOST:PORT", help="Where clients reach the cluster; '' if unknown."),
    ] = None,
) -> None:
    """Change the nodes of a cluster, or how it is asked for them.

    A node that is there may get another source.
    """
    password = _ask_password(user) if password is None else password
    given = {"url": url, "source": source, "user": user, "password": password, "endpoint": reached}
    body: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    addresses = _read_addresses(ip)
    nodes = [_read_node(text, addresses) for text in node or ()]
    nodes += [{"name": name, "ip": address} for name, address in addresses.items()]
    if nodes:
        body["nodes"] = nodes
    if remove_node:
        body["remove_nodes"] = remove_node
    if not body:
        raise UsageError(
            "say what is to change: --node, --ip, --remove-node, --url, --source, --user, --password, "
            "--cluster-endpoint"
        )
    client = open_client(context)
    document = client.send("PATCH", f"{CLUSTERS}/{client.find_cluster(cluster).id}", body)
    if invocation(context).as_json:
        print_document(document)
        return
    changed = decode(document, ClusterView)
    print_line(f"cluster {changed.name} has {count_text(len(changed.nodes), 'node')} now")
    _print_nodes(changed)


def check_cluster(context: typer.Context, cluster: ClusterName) -> None:
    """Look at the log directories of all nodes; nothing is kept. Exit code 1 where one cannot be read."""
    asked = invocation(context)
    client = open_client(context)
    found = client.find_cluster(cluster)
    document = client.send("POST", f"{CLUSTERS}/{found.id}/check")
    checks = decode(document, CheckList).nodes
    if asked.as_json:
        print_document(document)
    else:
        print_table(
            ("NODE", "REACHABLE", "LOGS", "BYTES", "TRIED", "NOT READABLE", "LEFT OUT"),
            [_check_row(one) for one in checks],
            right=(2, 3, 4, 5),
        )
        for one in checks:
            for problem in [*([one.problem] if one.problem else []), *one.unreadable]:
                note(f"node {one.node}: {problem}")
    if any(one.problem or one.unreadable_total for one in checks):
        raise typer.Exit(1)


def _check_row(check: NodeCheckView) -> tuple[str, ...]:
    left_out = ", ".join(f"{number} {kind}" for kind, number in sorted(check.left_out.items()))
    names = f" ({', '.join(check.left_out_names[:3])}{', …' if len(check.left_out_names) > 3 else ''})"
    return (
        check.node,
        "yes" if check.reachable else "no",
        f"{check.files:,}",
        size_text(check.bytes),
        f"{check.opened:,}",
        f"{check.unreadable_total:,}",
        left_out + names if left_out else "-",
    )


def list_clusters(context: typer.Context) -> None:
    """List the clusters, newest first."""
    asked = invocation(context)
    clusters = open_client(context).list_clusters()
    if asked.as_json:
        print_json(to_builtins(ClusterList(clusters, len(clusters))))
        return
    print_table(
        ("NAME", "KIND", "VERSION", "NODES", "POLICY", "ID"),
        [(c.name, c.kind, c.version, str(len(c.nodes)), c.policy_state, c.id) for c in clusters],
        right=(3,),
        drop=(2, 1),
    )


def show_cluster(context: typer.Context, cluster: ClusterName) -> None:
    """Show a cluster, its nodes and where their logs lie."""
    asked = invocation(context)
    client = open_client(context)
    found = client.find_cluster(cluster)
    verification = client.last_verification(found)
    if asked.as_json:
        print_json(to_builtins(found) | {"verification": to_builtins(verification)})
        return
    print_fields(
        [
            ("name", found.name),
            ("id", found.id),
            ("kind", f"{found.kind} {found.version}".rstrip()),
            ("endpoint", found.endpoint or "-"),
            ("registered", moment_text(found.created_at)),
            ("asked at", f"{found.discovery.url}, {found.discovery.source}" if found.discovery else "-"),
            ("policy", found.policy_state),
            ("last success", moment_text(found.last_success_at) if found.last_success_at else "never"),
            ("last verified", _verified_text(verification)),
        ]
    )
    print_line()
    _print_nodes(found)


def _print_nodes(cluster: ClusterView) -> None:
    rows = [
        (
            node.name,
            node.role,
            node.ip or "-",
            node.source or "(hidden)",
            f"gone since {moment_text(node.gone_at)}" if node.gone_at else "",
        )
        for node in cluster.nodes
    ]
    print_table(("NODE", "ROLE", "IP", "LOGS", ""), rows)


def _verified_text(last: VerificationView) -> str:
    """When, how much of it was read back, and what was found; and why it could not be done since."""
    text = _result_text(last)
    if last.failed_at is None:
        return text
    return f"{text}; could not be carried out {moment_text(last.failed_at)}: {last.failure}"


def _result_text(last: VerificationView) -> str:
    if last.finished_at is None:
        return "never"
    read = f"{last.objects_read:,} of {count_text(last.objects, 'object')} read back"
    text = f"{moment_text(last.finished_at)}, {read}, {count_text(last.findings, 'finding')}"
    return f"{text}: {last.problem}" if last.problem else text


def remove_cluster(
    context: typer.Context,
    cluster: ClusterName,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    delete_archive: Annotated[
        bool, typer.Option("--delete-archive", help="Also delete everything that the bucket holds of it, for good.")
    ] = False,
    yes_delete: Annotated[
        str, typer.Option(metavar="NAME", help="With --delete-archive: its name once more; nothing is asked then.")
    ] = "",
) -> None:
    """Forget a cluster and its records. What lies in the bucket stays.

    With --delete-archive that goes too, in the background; `retention deletions` shows how far it is.
    """
    asked = invocation(context)
    if yes_delete and not delete_archive:
        raise UsageError("--yes-delete goes with --delete-archive; without it the bucket keeps everything")
    client = open_client(context)
    found = client.find_cluster(cluster)
    path = f"{CLUSTERS}/{found.id}"
    if delete_archive:
        name = yes_delete or _ask_name(asked, found)
        path += f"?{urlencode({'delete_archive': 'true', 'name': name}, quote_via=quote)}"
    elif not yes:
        _ask_to_forget(asked, found)
    answer = decode(client.send("DELETE", path), RemovedCluster)
    for warning in answer.warnings:
        note(f"warning: {warning}")
    if asked.as_json:
        print_json({"id": found.id, "name": found.name, "removed": True, "archive": answer.archive})
    elif delete_archive:
        print_line(f"cluster {found.name} is forgotten, and its archive is being deleted")
        print_line(f"how far it is:  {asked.command} retention deletions")
    else:
        print_line(f"cluster {found.name} is forgotten; the bucket keeps all its objects, until somebody deletes them")


def _ask_name(asked: CommonOptions, cluster: ClusterView) -> str:
    """Ask for the name of a cluster whose archive is to go. Raises `UsageError` where nobody can be asked."""
    if asked.as_json or not sys.stdin.isatty():
        raise UsageError(
            f"this deletes everything that the bucket holds of {cluster.name}; say --yes-delete NAME, with its name, "
            "where that is meant"
        )
    return typer.prompt(f"This deletes all logs of {cluster.name} for good. Type its name where you mean it", err=True)


def _ask_to_forget(asked: CommonOptions, cluster: ClusterView) -> None:
    """Ask whether a cluster is to be forgotten. Raises `UsageError` where nobody can be asked, or says no."""
    if asked.as_json or not sys.stdin.isatty():
        raise UsageError(f"this forgets cluster {cluster.name} and its records; say --yes where that is meant")
    if not typer.confirm(f"Forget cluster {cluster.name} and its records? What lies in the bucket stays.", err=True):
        raise UsageError("nothing was changed")


def _read_node(text: str, addresses: dict[str, str]) -> dict[str, str]:
    """Read `n1=file:///var/log/x`, or a plain absolute path, and take the node's address out of `addresses`."""
    name, equals, source = text.partition("=")
    if not (name and equals and source):
        raise UsageError(f"--node {text}: write it as NAME=file:///directory")
    node = {"name": name, "source": as_source(source)}
    return node | ({"ip": addresses.pop(name)} if name in addresses else {})


def _read_addresses(texts: list[str] | None) -> dict[str, str]:
    """Return addresses by node: `n1=10.0.0.5`."""
    addresses: dict[str, str] = {}
    for text in texts or ():
        name, equals, address = text.partition("=")
        if not (name and equals) or name in addresses:
            raise UsageError(f"--ip {text}: write it as NODE=ADDRESS, once for each node")
        addresses[name] = address
    return addresses
