"""`rebuild`: the database anew from the buckets."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from logkeep.cli.access import read_access
from logkeep.cli.directory import installed_settings
from logkeep.cli.errors import CommandFailed, UsageError
from logkeep.cli.installation import open_lost_installation
from logkeep.cli.invocation import EVERYWHERE, CommonOptions, invocation
from logkeep.cli.output import note, print_json, print_line, print_table, waiting
from logkeep.cli.texts import count_text, size_text, time_text, zone_text
from logkeep.cli.verification import read_hash
from logkeep.domain.causes import rebuild_command
from logkeep.domain.cluster import is_cluster_id
from logkeep.keyfiles.signing import check_fingerprint, read_public_keys, trust_keys
from logkeep.service import identity
from logkeep.service.clusters import check_cluster_name
from logkeep.service.rebuild import rebuild as rebuild_catalogue
from logkeep.service.rebuild_report import Outcome, Rebuilt
from logkeep.service.runtime import Runtime

_MOST_LINES = 50  # of problems: who can write to a bucket may put any number of objects there
_LAST_TIME = 253_402_300_799_999  # the year 9999, Unix ms


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
    trust_key: Annotated[
        list[str] | None,
        typer.Option(metavar="FINGERPRINT", help="Such a key by its 64 hex digits; repeatable. Compare all of them."),
    ] = None,
    unproven: Annotated[
        list[str] | None,
        typer.Option(metavar="CLUSTER", help="Id of a cluster that is put in though no trusted key signed it."),
    ] = None,
    adopt: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLUSTER", help="Id of a cluster that was removed and is put in all the same; repeatable."
        ),
    ] = None,
    head: Annotated[
        list[str] | None,
        typer.Option(metavar="SHA256", help="Hash of a manifest that you noted, and that must be there; repeatable."),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(metavar="CLUSTER=NAME", help="Another name for the cluster of this id; repeatable."),
    ] = None,
) -> None:
    """Make a lost database anew from what lies in the buckets.

    Records, settings as of the last backup, and all that is kept come back, and backups go on from there. Clusters that
    the database has are left alone. Only what is signed with a key of sign.pub counts; what else lies in the buckets is
    told. The service must not run.
    """
    asked = invocation(context)
    wanted = _Wanted(
        buckets=list(dict.fromkeys(buckets)),
        unproven=_ids(unproven),
        noted=[read_hash(one) for one in head or ()],
        adopt=_ids(adopt),
        names=_read_names(name or ()),
    )
    vouched = _read_vouched(trust, trust_key or ())
    _expect_buckets(installed_settings(asked.directory).buckets, buckets)
    with open_lost_installation(asked.directory, vouched) as runtime:
        found = _rebuild(runtime, wanted, lambda: trust_keys(asked.directory, vouched), shown=not asked.as_json)
        key = _put_key_back(runtime, asked) if found.trusted else ""
        if asked.as_json:
            print_json(_document(found, key))
        else:
            _print_outcome(found, buckets, key)
    if found.problems or any(one.problems for one in found.clusters):
        raise CommandFailed("not all could be rebuilt as it was; the lines above say what and why")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Options of a rebuild."""

    buckets: Sequence[str]
    unproven: Sequence[str]
    noted: Sequence[str]
    adopt: Sequence[str]
    names: Mapping[str, str]  # by id


def _read_names(asked: Sequence[str]) -> dict[str, str]:
    names: dict[str, str] = {}
    for one in asked:
        id_, equals, name = one.partition("=")
        if not equals:
            raise UsageError(f"--name {one}: write the id of the cluster and its new name: --name ID=NAME")
        check_cluster_name(name)
        names[_ids([id_])[0]] = name
    return names


def _ids(asked: Sequence[str] | None) -> list[str]:
    return [one.lower() if is_cluster_id(one) else one for one in asked or ()]


def _read_vouched(file: Path | None, keys: Sequence[str]) -> list[str]:
    """Return the keys, in hex, that the operator vouches for by naming them."""
    vouched = [check_fingerprint(key) for key in keys]
    if file:
        try:
            pem = file.read_bytes()
        except OSError as error:
            raise UsageError(f"--trust {file}: cannot be read: {error.strerror}") from error
        vouched += read_public_keys(pem, f"--trust {file}")
    return vouched


def _expect_buckets(known: Collection[str], buckets: Sequence[str]) -> None:
    if unknown := [bucket for bucket in buckets if bucket not in known]:
        raise UsageError(
            f"there is no bucket {unknown[0]}; logkeep.toml has {', '.join(known) or 'none'}. One that "
            "`store add` named went with the database: write it into logkeep.toml"
        )


def _rebuild(runtime: Runtime, wanted: _Wanted, begin: Callable[[], None], *, shown: bool) -> Outcome:
    with waiting(f"reading the manifests in {', '.join(wanted.buckets)}", shown=shown):
        return rebuild_catalogue(
            runtime,
            wanted.buckets,
            unproven=wanted.unproven,
            noted=wanted.noted,
            adopt=wanted.adopt,
            names=wanted.names,
            begin=begin,
        )


def _put_key_back(runtime: Runtime, asked: CommonOptions) -> str:
    """Restore the key of client.toml where the database lacks it; '' where nothing is to be done."""
    with suppress(UsageError):  # without a client.toml, a new key is made with `key add`
        access = read_access(asked.directory)
        if access and identity.put_key_back(runtime, access.project_id, access.ak, access.sk):
            return access.ak
    return ""


def _document(outcome: Outcome, key: str) -> dict[str, object]:
    return {
        "clusters": [_cluster_document(one) for one in outcome.clusters],
        "problems": outcome.problems,
        "unknown_keys": [
            {
                "key": one.key,
                "signed": one.signed,
                "claimed": one.claimed,
                "clusters": sorted(one.clusters),
                "first": one.first,
                "last": one.last,
            }
            for one in outcome.keys
        ],
        "key": key,
    }


def _cluster_document(one: Rebuilt) -> dict[str, object]:
    return {
        "cluster_id": one.cluster_id,
        "state": one.state,
        "name": one.name,
        "project": one.project,
        "records": one.records,
        "objects": one.objects,
        "bytes": one.size,
        "unproven": one.unproven,
        "problems": one.problems,
    }


def _print_outcome(outcome: Outcome, buckets: Sequence[str], key: str) -> None:
    if outcome.clusters:
        print_table(
            ("CLUSTER", "PROJECT", "STATE", "RECORDS", "OBJECTS", "LOGS"),
            [
                (o.name, o.project, o.state, str(o.records), str(o.objects), size_text(o.size))
                for o in outcome.clusters[:_MOST_LINES]
            ],
            right=(3, 4, 5),
        )
    elif not outcome.problems:
        print_line("no manifests were found")
    _print_problems(f"cluster {one.cluster_id}: {text}" for one in outcome.clusters for text in one.problems)
    _print_problems(outcome.problems)
    if outcome.keys:
        _print_keys(outcome, buckets)
    if key:
        print_line(f"\nthe key of client.toml, {key}, works again")
    if outcome.removed:
        print_line("\nwhat was removed on purpose is left out; it comes back with")
    for id_ in outcome.removed[:_MOST_LINES]:
        print_line(f"    --adopt {id_}")
    if rebuilt := [one for one in outcome.clusters if one.records]:
        print_line("\nno bucket holds these, so make them anew: other access keys, users, tags of")
        print_line("clusters, passwords for their own APIs, and buckets that `store add` named")
        print_line(f"\n{count_text(len(rebuilt), 'cluster')} rebuilt; start the service and verify each")


def _print_problems(problems: Iterable[str]) -> None:
    told = list(problems)
    for problem in told[:_MOST_LINES]:
        note(f"logkeep: {problem}")
    if len(told) > _MOST_LINES:
        note(f"logkeep: and {len(told) - _MOST_LINES} more; --json tells all")


def _print_keys(outcome: Outcome, buckets: Sequence[str]) -> None:
    """Print the keys that nobody trusts here. None is ever trusted because it is there."""
    print_line("\nmanifests that are not proven here name these keys:")
    for one in outcome.keys[:_MOST_LINES]:
        print_line(f"\n{one.key or 'none'}")
        claimed = f", {one.claimed:,} more only name it" if one.claimed else ""
        told = (
            f"signed {count_text(one.signed, 'manifest')}{claimed}" if one.key else count_text(one.claimed, "manifest")
        )
        print_line(f"  {told}, of {count_text(len(one.clusters), 'cluster')}")
        print_line(f"  from {_when(one.first)} until {_when(one.last)} ({zone_text()}), as they say")
    if len(outcome.keys) > _MOST_LINES:
        print_line(f"\nand {len(outcome.keys) - _MOST_LINES:,} more; --json tells all")
    signed = [one for one in outcome.keys if one.signed]
    if signed and not outcome.trusted:
        again = rebuild_command(buckets)
        note(
            "logkeep: nothing was changed: no key is trusted because it is there. Compare with the sign.pub that you "
            f"keep, then run `{again} --trust sign.pub`, or name a key by all its digits: "
            f"`{again} --trust-key {signed[0].key if len(signed) == 1 else 'KEY'}`"
        )


def _when(unix_ms: int) -> str:
    """As a stranger may claim it."""
    return time_text(unix_ms) if 0 <= unix_ms <= _LAST_TIME else "-"
