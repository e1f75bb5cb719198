"""`rebuild`: the database anew from the buckets."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from logkeep.cli.access import read_access
from logkeep.cli.errors import Failed, WrongUse
from logkeep.cli.installation import open_lost_installation
from logkeep.cli.invocation import EVERYWHERE, Invocation, invocation
from logkeep.cli.output import count_text, note, print_json, print_line, print_table, size_text, waiting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logkeep.service.context import Context
    from logkeep.service.rebuild import Rebuilt


def add_commands(app: typer.Typer) -> None:
    app.command("rebuild", epilog=EVERYWHERE)(rebuild)


def rebuild(
    context: typer.Context,
    buckets: Annotated[
        list[str], typer.Option("--from", metavar="BUCKET", help="A bucket of logkeep.toml; repeatable.")
    ],
    trust: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Public keys of the installation that was lost: its sign.pub.")
    ] = None,
    unproven: Annotated[
        bool, typer.Option("--unproven", help="Also what is not signed with a trusted key; see that you know it.")
    ] = False,
) -> None:
    """Make the database anew from what lies in the buckets, where it was lost.

    Records, settings as of the last backup, and all that is kept come back, and backups go on from there. Clusters that
    the database has are left alone. The service must not run.
    """
    from logkeep.bootstrap import only_process
    from logkeep.keyfiles import trust_keys

    asked = invocation(context)
    if trust:
        trust_keys(asked.directory, trust.read_bytes())
    with open_lost_installation(asked.directory) as parts, only_process(asked.directory):
        found = _rebuild(parts, buckets, unproven=unproven, shown=not asked.as_json)
        key = _put_key_back(parts, asked)
    if asked.as_json:
        print_json({"clusters": [_document(one) for one in found], "key": key})
    else:
        _print_rebuilt(found, key)
    if any(one.problems for one in found):
        raise Failed("not all could be rebuilt as it was; the lines above say what and why")


def _rebuild(context: Context, buckets: Sequence[str], *, unproven: bool, shown: bool) -> list[Rebuilt]:
    from logkeep.service.rebuild import rebuild as rebuild_catalogue

    if unknown := [bucket for bucket in buckets if bucket not in context.stores]:
        raise WrongUse(f"there is no bucket {unknown[0]}; logkeep.toml has {', '.join(context.stores) or 'none'}")
    with waiting(f"reading the manifests in {', '.join(buckets)}", shown=shown):
        return list(rebuild_catalogue(context, buckets, unproven=unproven))


def _put_key_back(context: Context, asked: Invocation) -> str:
    """The key of client.toml, where the database no longer knows it; '' where nothing is to be done."""
    from logkeep.service import identity

    with suppress(WrongUse):  # without a client.toml, a new key is made with `key add`
        access = read_access(asked.directory)
        if access and identity.put_key_back(context, access.project_id, access.ak, access.sk):
            return access.ak
    return ""


def _document(one: Rebuilt) -> dict[str, object]:
    return {
        "cluster_id": one.cluster_id,
        "state": one.state,
        "name": one.name,
        "project": one.project,
        "records": one.records,
        "objects": one.objects,
        "bytes": one.size,
        "problems": one.problems,
        "new_key": one.new_key,
    }


def _print_rebuilt(found: Sequence[Rebuilt], key: str) -> None:
    clusters = [one for one in found if one.cluster_id]
    if not clusters:
        print_line("no manifests were found")
    else:
        print_table(
            ("CLUSTER", "PROJECT", "STATE", "RECORDS", "OBJECTS", "LOGS"),
            [(o.name, o.project, o.state, str(o.records), str(o.objects), size_text(o.size)) for o in clusters],
            right=(3, 4, 5),
        )
    for one in found:
        for problem in one.problems:
            note(f"logkeep: {one.name or 'manifest'}: {problem}")
    for new_key in {one.new_key for one in found if one.new_key}:
        note(
            f"logkeep: the manifests are signed with a key that this new installation did not know, {new_key}; it is "
            "trusted from now on: compare it with the sign.pub that you keep"
        )
    if key:
        print_line(f"\nthe key of client.toml, {key}, works again; other keys and users are to be made anew")
    rebuilt = [one for one in clusters if one.records]
    if rebuilt:
        print_line(f"\n{count_text(len(rebuilt), 'cluster')} rebuilt; start the service and verify each")
