"""`console`: a link into the web console, so that nobody needs a password for the first look."""

from __future__ import annotations

import typer

from logkeep.cli.client import ServiceClient, decode, open_client
from logkeep.cli.invocation import EVERYWHERE, invocation
from logkeep.cli.output import note, print_json, print_line
from logkeep.contract.native.responses import ConsoleLinkView

LINKS = "/api/v1/console/links"


def add_commands(app: typer.Typer) -> None:
    app.command("console", epilog=EVERYWHERE)(show_link)


def show_link(context: typer.Context) -> None:
    """Print a link that signs in to the web console once.

    It works for five minutes, and has the rights of the access key that this command uses.
    """
    asked = invocation(context)
    url = make_link(open_client(context))
    if asked.as_json:
        print_json({"url": url})
        return
    print_line(url)
    note("It signs in once, within five minutes, with the rights of your access key.")


def make_link(client: ServiceClient) -> str:
    """Return the address of a new link."""
    link = decode(client.send("POST", LINKS), ConsoleLinkView)
    return f"{client.access.endpoint.rstrip('/')}{link.path}"
