"""`restore`: getting back what is kept."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer
from msgspec import to_builtins

from logkeep.cli import restore as files_of
from logkeep.cli.client import ServiceClient, decode, open_client
from logkeep.cli.clusters import ClusterName
from logkeep.cli.download import Download
from logkeep.cli.errors import CommandFailed, ServiceFault, UsageError
from logkeep.cli.invocation import EVERYWHERE, CommonOptions, invocation
from logkeep.cli.journal import Journal
from logkeep.cli.output import byte_progress, note, print_json, print_line
from logkeep.cli.removed import fetch_removed, job_removed_text, tell_removed
from logkeep.cli.restore import Outcome, RestoredFile
from logkeep.cli.selection import FamilyName, NodeName, Since, Until, check_span
from logkeep.cli.texts import count_text, duration_text, size_text
from logkeep.contract.native.job_responses import HeldRemovedView, JobView
from logkeep.contract.native.responses import ClusterView, KeptLine


def add_commands(app: typer.Typer) -> None:
    app.command("restore", epilog=EVERYWHERE)(restore)


def restore(
    context: typer.Context,
    cluster: ClusterName,
    to: Annotated[str, typer.Option(metavar="DIR|-", help="Where to write; - is standard output.")],
    node: NodeName = "",
    family: FamilyName = "",
    job: Annotated[str, typer.Option(metavar="JOB", help="Only what this backup stored: JOB of `records`.")] = "",
    since: Since = "",
    until: Until = "",
    join: Annotated[
        bool, typer.Option("--join", help="One file for each log: all that was kept, in the order it was written.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what was interrupted.")] = False,
    mode: Annotated[str, typer.Option(metavar="MODE", help="Of each file: 0640 lets the group read it.")] = "0600",
) -> None:
    """Write kept logs to a directory, or to standard output.

    Each file is written under its own name, uncompressed; of several that had one name, the newest has it and the
    older ones get .~1, .~2 and so on. With --join there is one file for each log, named as the active one. Standard
    output gets all of them one after the other, by node and log, in the order they were written.
    """
    asked = invocation(context)
    if to == "-" and (asked.as_json or resume):
        raise UsageError("--to - writes the logs themselves, so it goes neither with --json nor with --resume")
    permissions = _read_mode(mode)
    client = open_client(context)
    found = client.find_cluster(cluster)
    check_span(since, until)
    query = {"node": node, "family": family, "job": job, "since": since, "until": until}
    selection = {name: value for name, value in query.items() if value}
    download = Download(client, found, since, until)
    if to == "-":
        _pour(download, _list_kept(client, found, selection))
        tell_removed(_removed(client, found, selection))
        return
    question = [found.id, *query.values(), "joined" if join else "files"]
    _restore_to(asked, download, Path(to), selection, question, join=join, force=force, resume=resume, mode=permissions)


def _read_mode(text: str) -> int:
    if not re.fullmatch("0?[0-7]{3}", text):
        raise UsageError(f"--mode: {text!r} is no mode of a file; write it as 0640")
    return int(text, 8)


def _restore_to(
    asked: CommonOptions,
    download: Download,
    directory: Path,
    selection: dict[str, str],
    question: list[str],
    *,
    join: bool,
    force: bool,
    resume: bool,
    mode: int,
) -> None:
    journal = Journal(directory, question)
    goes_on = resume and journal.exists()
    kept = journal.read() if goes_on else _list_kept(download.client, download.cluster, selection)
    files = files_of.plan_joined(kept) if join else files_of.plan_files(kept)
    writer = files_of.Restore(download, directory, force=force, journal=journal, mode=mode)
    there = writer.find_there(files) if resume else {}
    files_of.check_free(directory, files, force=force, there=there, resumable=journal.exists())
    if not goes_on:
        journal.begin(kept)
    missing = [file for file in files if file.label not in there]
    begun = sum(map(writer.count_begun, missing)) if resume else 0
    done = sum(there.values()) + begun
    total = sum(there.values()) + sum(file.expected for file in missing)
    started = time.monotonic()
    try:
        with byte_progress("restoring", total, done=done, shown=not asked.as_json) as bar:
            outcome = writer.write(files, lambda size, text: bar(done + size, text), there=there, resume=resume)
    except KeyboardInterrupt:
        note("logkeep: interrupted; the same command with --resume goes on")
        raise
    if not outcome.failed:
        journal.remove()
        if not outcome.files:
            raise _nothing_of(download.client, download.cluster, selection)
    _tell_untimed(download, outcome.files)
    removed = _removed(download.client, download.cluster, selection)
    tell_removed(removed)
    if asked.as_json:
        print_json(_restore_document(directory, outcome, removed))
    else:
        _print_restored(directory, outcome, time.monotonic() - started)
    if outcome.failed:
        raise CommandFailed(
            f"{count_text(len(outcome.failed), 'file')} could not be restored; the same command with --resume tries "
            f"again, `{asked.command} verify {quote(download.cluster.name)} --read-data` tells what is damaged"
        )


def _pour(download: Download, kept: list[KeptLine]) -> None:
    """To standard output. After an error nothing more is written, so that no hole is hidden in the middle."""
    out = sys.stdout.buffer
    done = 0
    with byte_progress("restoring", sum(one.expected for one in kept), shown=not sys.stdout.isatty()) as progress:
        for one in kept:
            try:
                for piece in download.read(one):
                    out.write(piece)
                    done += len(piece)
                    progress(done, f"{one.node}/{one.name}")
            except (CommandFailed, ServiceFault) as error:
                raise CommandFailed(
                    f"{one.node}/{one.name}: {error}; {done} bytes were written, the rest is missing"
                ) from error
    out.flush()


def _tell_untimed(download: Download, files: list[tuple[RestoredFile, int]]) -> None:
    if download.exact:
        return
    for file, _ in files:
        if not file.timed:
            note(f"{file.label}: no times are known of it; what shows no time is given whole")


def _removed(
    client: ServiceClient, cluster: ClusterView, selection: dict[str, str]
) -> Sequence[tuple[str, HeldRemovedView]]:
    """Return what of the selection rules of retention removed; of one job its record tells that."""
    if job_id := selection.get("job"):
        with suppress(ServiceFault):  # there is no such job, or its record was cleared
            if text := job_removed_text(decode(client.get(f"/api/v1/jobs/{job_id}?limit=1"), JobView)):
                note(text)
        return []
    asked = [selection.get(name, "") for name in ("node", "family", "since", "until")]
    return fetch_removed(client, cluster, *asked)


def _list_kept(client: ServiceClient, cluster: ClusterView, selection: dict[str, str]) -> list[KeptLine]:
    kept = client.list_kept(cluster, **selection)
    if kept:
        return kept
    if not selection:
        raise CommandFailed(
            f"nothing of {cluster.name} is kept yet; `logkeep records {quote(cluster.name)}` lists its backups"
        )
    raise _nothing_of(client, cluster, selection)


def _nothing_of(client: ServiceClient, cluster: ClusterView, selection: dict[str, str]) -> UsageError:
    tell_removed(_removed(client, cluster, selection))
    there = sorted({f"{entry.node}/{entry.family}" for entry in client.list_kept(cluster)})
    more = f" and {len(there) - 20} more" if len(there) > 20 else ""
    asked = ", ".join(f"{name} {value}" for name, value in selection.items())
    when = f"; `logkeep coverage {quote(cluster.name)}` tells from when until when" if there else ""
    return UsageError(
        f"nothing of that ({asked}) is kept of {cluster.name}; there are: {', '.join(there[:20]) or 'none'}{more}{when}"
    )


def _restore_document(to: Path, outcome: Outcome, removed: Sequence[tuple[str, HeldRemovedView]]) -> dict[str, Any]:
    return {
        "to": str(to.absolute()),
        "bytes": outcome.size,
        "received": outcome.received,
        "files": [
            {
                "path": str(to.absolute() / file.path),
                "node": file.parts[0].node,
                "family": file.parts[0].family,
                "bytes": size,
                "timed": file.timed,
            }
            for file, size in outcome.files
        ],
        "failed": [{"file": label, "reason": reason} for label, reason in outcome.failed.items()],
        "removed": [{"log": log} | to_builtins(one) for log, one in removed],
    }


def _print_restored(to: Path, outcome: Outcome, seconds: float) -> None:
    for label, reason in outcome.failed.items():
        note(f"logkeep: {label}: {reason}")
    there = f" ({outcome.there:,} of them were there)" if outcome.there else ""
    print_line(
        f"restored {count_text(len(outcome.files), 'file')}{there}, {size_text(outcome.size)}, to {to} in "
        f"{duration_text(seconds)} ({size_text(outcome.received / max(seconds, 0.001))}/s)"
    )
