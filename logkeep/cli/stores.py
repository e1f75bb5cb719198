"""`store`: the buckets of an installation, and whether each can be used. It needs no database and no service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from logkeep.bootstrap import accept_bucket, bucket_url, open_agencies, open_buckets
from logkeep.cli.directory import installed_settings
from logkeep.cli.errors import CommandFailed, UsageError
from logkeep.cli.invocation import EVERYWHERE, invocation
from logkeep.cli.missing import tell_missing
from logkeep.cli.output import print_json, print_line, print_table
from logkeep.errors import StoreError
from logkeep.service import store_check
from logkeep.service.store_check import Step


def add_commands(app: typer.Typer) -> None:
    store = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Buckets, where logs are kept.")
    store.command("check", epilog=EVERYWHERE)(check_store)
    store.command("accept", epilog=EVERYWHERE)(accept_store)
    store.command("list", epilog=EVERYWHERE)(list_stores)
    app.add_typer(store, name="store")


def check_store(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The bucket, as logkeep.toml names it.")],
    agency: Annotated[str, typer.Option(metavar="NAME", help="With this agency's credentials.")] = "",
) -> None:
    """Use a bucket in every way in which Logkeep does: write, read, list, delete.

    One line says that all is well, or what is wrong and what to do; exit code 1 then.
    """
    asked = invocation(context)
    settings = installed_settings(asked.directory)
    stores = open_buckets(settings)
    tell_missing(settings)
    if name not in stores:
        raise UsageError(f"there is no bucket {name}; logkeep.toml has {', '.join(stores) or 'none'}")
    if agency and agency not in settings.agencies:
        raise UsageError(f"there is no agency {agency}; logkeep.toml has {', '.join(settings.agencies) or 'none'}")
    store = open_agencies(settings, stores)[agency][name] if agency else stores[name]
    steps: list[Step] = []
    problem: StoreError | None = None
    try:
        for step in store_check.check_store(store):
            steps.append(step)
    except StoreError as error:
        problem = error
    if asked.as_json:
        print_json(_document(name, agency, steps, problem))
    elif not problem:
        print_line(f"ok: {name}: {', '.join(f'{step.deed} {step.seconds * 1000:.0f} ms' for step in steps)}")
    if problem:
        raise CommandFailed(f"{name}: {problem}")


def accept_store(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The bucket, as logkeep.toml names it.")],
) -> None:
    """Take what lies in a bucket for the one that was used before, though it does not show that it is.

    For one that was copied without its object logkeep-bucket, or is replaced by a new one: what is missing there is
    told as missing from then on.
    """
    asked = invocation(context)
    settings = installed_settings(asked.directory)
    if name not in settings.buckets:
        raise UsageError(f"there is no bucket {name}; logkeep.toml has {', '.join(settings.buckets) or 'none'}")
    accept_bucket(settings, name)
    if asked.as_json:
        print_json({"bucket": name, "accepted": True})
    else:
        print_line(
            f"{name} is taken for the bucket that was used before; `{asked.command} verify CLUSTER` tells what it lacks"
        )


def list_stores(context: typer.Context) -> None:
    """List the buckets, and the agencies that have credentials of their own for each."""
    asked = invocation(context)
    settings = installed_settings(asked.directory)
    tell_missing(settings)
    rows = [
        (
            name,
            bucket_url(settings, name),
            [agency for agency, one in settings.agencies.items() if name in one.credentials],
        )
        for name in settings.buckets
    ]
    if asked.as_json:
        print_json({"stores": [{"name": name, "url": url, "agencies": agencies} for name, url, agencies in rows]})
    else:
        print_table(("NAME", "URL", "AGENCIES"), [(name, url, ", ".join(agencies)) for name, url, agencies in rows])


def _document(name: str, agency: str, steps: Sequence[Step], problem: StoreError | None) -> dict[str, object]:
    return {
        "bucket": name,
        "agency": agency or None,
        "ok": problem is None,
        "steps": [{"step": step.deed, "seconds": round(step.seconds, 6)} for step in steps],
        "code": problem.code if problem else None,
        "problem": problem.message if problem else None,
    }
