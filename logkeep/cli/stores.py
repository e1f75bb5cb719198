"""`store`: the buckets of an installation, and whether each can be used. It needs no service.

Who has the directory of the installation names its buckets, and nobody over HTTP: an administrator of a project must
not reach files of this machine, or servers that only the service reaches. The database is asked for those that
logkeep.toml does not have.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from logkeep.bootstrap.named_buckets import Named, NamedBuckets
from logkeep.bootstrap.stores import accept_bucket, bucket_url, open_agencies, open_buckets
from logkeep.cli.directory import installed_settings
from logkeep.cli.errors import CommandFailed, UsageError
from logkeep.cli.installation import open_installation, record_change
from logkeep.cli.invocation import EVERYWHERE, invocation
from logkeep.cli.missing import tell_missing
from logkeep.cli.output import note, print_json, print_line, print_table
from logkeep.errors import SettingError, StoreError
from logkeep.service.stores import BucketInfo, list_buckets
from logkeep.stores.probe import Step, probe_store

_MOST_CREDENTIALS = 65_536  # characters


def add_commands(app: typer.Typer) -> None:
    store = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Buckets, where logs are kept.")
    store.command("check", epilog=EVERYWHERE)(check_store)
    store.command("accept", epilog=EVERYWHERE)(accept_store)
    store.command("list", epilog=EVERYWHERE)(list_stores)
    store.command("add", epilog=EVERYWHERE)(add_store)
    store.command("remove", epilog=EVERYWHERE)(remove_store)
    app.add_typer(store, name="store")


def check_store(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The bucket, as logkeep.toml names it.")],
    agency: Annotated[str, typer.Option(metavar="NAME", help="With this agency's credentials.")] = "",
) -> None:
    """Use a bucket in every way that Logkeep does.

    It writes, reads, lists and deletes there. One line says that all is well, or what is wrong and what to do; exit
    code 1 then.
    """
    asked = invocation(context)
    settings = installed_settings(asked.directory)
    stores = dict(open_buckets(settings))
    tell_missing(settings)
    if name not in stores:
        stores[name] = _named(asked.directory, name, settings.buckets).open(name)
    if agency and agency not in settings.agencies:
        raise UsageError(f"there is no agency {agency}; logkeep.toml has {', '.join(settings.agencies) or 'none'}")
    store = open_agencies(settings, stores)[agency][name] if agency else stores[name]
    steps: list[Step] = []
    problem: StoreError | None = None
    try:
        for step in probe_store(store):
            steps.append(step)
    except StoreError as error:
        problem = error
    if asked.as_json:
        print_json(_document(name, agency, steps, problem))
    elif not problem:
        print_line(f"ok: {name}: {', '.join(f'{step.operation} {step.seconds * 1000:.0f} ms' for step in steps)}")
    if problem:
        raise CommandFailed(f"{name}: {problem}")


def accept_store(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The bucket, as logkeep.toml names it.")],
) -> None:
    """Take what lies in a bucket for the one that was used before.

    It need not show that it is. For one that was copied without its object logkeep-bucket, or is replaced by a new one:
    what is missing there is told as missing from then on.
    """
    asked = invocation(context)
    settings = installed_settings(asked.directory)
    store = None if name in settings.buckets else _named(asked.directory, name, settings.buckets).open(name)
    accept_bucket(settings, name, store)
    if asked.as_json:
        print_json({"bucket": name, "accepted": True})
    else:
        print_line(
            f"{name} is taken for the bucket that was used before; `{asked.command} verify CLUSTER` tells what it lacks"
        )


def add_store(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Letters, digits, '.', '_', '-'; not one of logkeep.toml.")
    ],
    url: Annotated[str, typer.Option(help="Where it lies, as in logkeep.toml; a folder as file:///directory.")],
    credentials: Annotated[
        str,
        typer.Option(metavar="FILE", help="Its credentials, a line NAME=VALUE for each; '-' is standard input."),
    ] = "",
) -> None:
    """Name a bucket that every process uses at once.

    It is tried first, as `store check` does. Its URL and credentials are kept encrypted in the database.
    """
    asked = invocation(context)
    settings = installed_settings(asked.directory)
    if name in settings.buckets:
        raise UsageError(f"logkeep.toml has a bucket {name}; choose another name")
    named = Named(url, _read_credentials(credentials))
    with open_installation(asked.directory) as runtime:
        buckets = NamedBuckets(runtime.database, runtime.seal)
        buckets.check(name, named)
        try:
            for _ in probe_store(named.open(name)):
                pass
        except StoreError as error:
            raise CommandFailed(f"{name}: {error}") from error
        buckets.add(name, named, runtime.clock.now_ms())
        record_change(runtime, "AddBucket", "")
    if asked.as_json:
        print_json({"bucket": name, "added": True})
        return
    print_line(f"bucket {name} can be used from now on:")
    print_line(f"  {asked.command} logs open CLUSTER --bucket {name}")


def remove_store(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A bucket that was named by `store add`.")],
) -> None:
    """Forget a bucket that `store add` named; what lies there stays.

    Refused while a cluster has logs there.
    """
    asked = invocation(context)
    settings = installed_settings(asked.directory)
    if name in settings.buckets:
        raise UsageError(
            f"bucket {name} is one of logkeep.toml: take [buckets.{name}] out there, and restart the service"
        )
    with open_installation(asked.directory) as runtime:
        if not NamedBuckets(runtime.database, runtime.seal).remove(name):
            raise UsageError(f"there is no bucket {name}; `{asked.command} store list` shows those that there are")
        record_change(runtime, "RemoveBucket", "")
    if asked.as_json:
        print_json({"bucket": name, "removed": True})
    else:
        print_line(f"bucket {name} is forgotten; what lies there stays")


def _read_credentials(path: str) -> dict[str, str]:
    """Read lines NAME=VALUE. They are no option: whoever lists the processes would see them."""
    if not path:
        return {}
    try:
        text = sys.stdin.read(_MOST_CREDENTIALS) if path == "-" else Path(path).read_text("utf-8")[:_MOST_CREDENTIALS]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--credentials {path}: cannot be read: {error}") from error
    found: dict[str, str] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, equals, value = line.partition("=")
        if not (name.strip() and equals and value.strip()):
            raise UsageError(f"--credentials {path}: each line is written NAME=VALUE, as access_key_id=…")
        found[name.strip()] = value.strip()
    return found


def _named(directory: Path, name: str, configured: Iterable[str]) -> Named:
    """Return a bucket that was named at run time. Raises `UsageError` if there is none, or nobody can tell."""
    missing = f"there is no bucket {name}; logkeep.toml has {', '.join(configured) or 'none'}"
    try:
        with open_installation(directory) as runtime:
            found = NamedBuckets(runtime.database, runtime.seal).find(name)
    except (CommandFailed, SettingError) as error:
        raise UsageError(f"{missing}, and those that `store add` named are not known now: {error}") from error
    if found is None:
        raise UsageError(f"{missing}, and `store add` named none that is called so")
    return found


def list_stores(context: typer.Context) -> None:
    """List the buckets, each with its agencies.

    These are the ones that have credentials of their own for it.
    """
    asked = invocation(context)
    settings = installed_settings(asked.directory)
    tell_missing(settings)
    urls = {name: bucket_url(settings, name) for name in settings.buckets}
    known, named_urls = _known_buckets(asked.directory)
    urls |= {name: url for name, url in named_urls.items() if name not in urls}
    rows = [
        (
            name,
            url,
            known[name].clusters if name in known else None,
            [agency for agency, one in settings.agencies.items() if name in one.credentials],
        )
        for name, url in urls.items()
    ]
    if asked.as_json:
        keys = "name", "url", "clusters", "agencies"
        print_json({"stores": [dict(zip(keys, row, strict=True)) for row in rows]})
    else:
        print_table(
            ("NAME", "URL", "CLUSTERS", "AGENCIES"),
            [
                (name, url, "unknown" if clusters is None else f"{clusters:,}", ", ".join(agencies))
                for name, url, clusters, agencies in rows
            ],
            right=(2,),
        )


def _known_buckets(directory: Path) -> tuple[dict[str, BucketInfo], dict[str, str]]:
    """Return what the database knows of the buckets, and the URLs of those that it names; say where it cannot tell."""
    try:
        with open_installation(directory) as runtime:
            known = {one.name: one for one in list_buckets(runtime)}
            buckets = NamedBuckets(runtime.database, runtime.seal)
            named = [name for name, one in known.items() if one.named]
            return known, {name: found.url for name in named if (found := buckets.find(name))}
    except (CommandFailed, SettingError) as error:
        note(f"logkeep: warning: those that `store add` named are not known now: {error}")
        return {}, {}


def _document(name: str, agency: str, steps: Sequence[Step], problem: StoreError | None) -> dict[str, object]:
    return {
        "bucket": name,
        "agency": agency or None,
        "ok": problem is None,
        "steps": [{"step": step.operation, "seconds": round(step.seconds, 6)} for step in steps],
        "code": problem.code if problem else None,
        "problem": problem.message if problem else None,
    }
