"""`index`: making the index by which a search leaves frames out."""

from __future__ import annotations

from shlex import quote
from typing import Annotated

import typer

from logkeep.cli.client import open_client
from logkeep.cli.clusters import ClusterName
from logkeep.cli.errors import CommandFailed, NotCarriedOut
from logkeep.cli.invocation import EVERYWHERE, invocation
from logkeep.cli.output import byte_progress, print_json, print_line
from logkeep.cli.texts import count_text, size_text
from logkeep.contract.native.responses import ErrorLine, IndexEndLine, IndexProgressLine


def add_commands(app: typer.Typer) -> None:
    app.command("index", epilog=EVERYWHERE)(index)


def index(
    context: typer.Context,
    cluster: ClusterName,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Delete the index that is there, and make it of everything.")
    ] = False,
) -> None:
    """Index kept logs now, so that `search` reads little.

    The service makes it by itself, soon after backups that kept much and later for what little ones kept. What has no
    index is found too: it is read.
    """
    asked = invocation(context)
    client = open_client(context)
    found = client.find_cluster(cluster)
    end: IndexEndLine | None = None
    with (
        client.make_index(found, {"rebuild": rebuild}) as lines,
        byte_progress("indexing", shown=not asked.as_json) as progress,
    ):
        for line in lines:
            match line:
                case IndexProgressLine():
                    progress(line.bytes, count_text(line.segments, "segment"), line.bytes_total)
                case IndexEndLine():
                    end = line
                case ErrorLine():
                    raise NotCarriedOut(f"the index was not finished: {line.error_msg}")
    if end is None:
        raise NotCarriedOut("the answer broke off; what is done stays: start it again")
    if asked.as_json:
        print_json({"segments": end.segments, "bytes": end.bytes, "unreadable": end.unreadable})
    elif end.segments or end.unreadable:
        print_line(f"an index of {count_text(end.segments, 'segment')} was made, of {size_text(end.bytes)} of logs")
    else:
        print_line("all that is kept has an index")
    if end.unreadable:
        raise CommandFailed(
            f"{count_text(end.unreadable, 'segment')} could not be read back; "
            f"`{asked.command} verify {quote(found.name)} --read-data` tells what is damaged"
        )
