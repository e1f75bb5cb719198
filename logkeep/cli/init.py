"""`init`: the directory that holds everything of an installation."""

from __future__ import annotations

from pathlib import Path

import typer

from logkeep.bootstrap.database import check_installation, claim_database, expect_no_other
from logkeep.bootstrap.runtime import open_new_runtime
from logkeep.cli import access as client_file
from logkeep.cli.access import CLIENT_FILE, Access, read_access, write_access
from logkeep.cli.directory import endpoint_url, installed_settings, may_become_installation
from logkeep.cli.errors import UsageError
from logkeep.cli.installation import opened
from logkeep.cli.invocation import EVERYWHERE, invocation
from logkeep.cli.missing import tell_missing, tell_owner
from logkeep.cli.output import note, print_fields, print_json, print_line
from logkeep.cli.owner import is_installation
from logkeep.errors import SettingError
from logkeep.keyfiles.creation import create_keys
from logkeep.keyfiles.files import lacks_seal, no_installation
from logkeep.keyfiles.installation_id import begin_id, begun_id, finish_id, is_leftover, is_unfinished
from logkeep.service import identity
from logkeep.settings import CONFIG_FILE, documentation, load_settings

FIRST_PROJECT = "cn-north-4"  # the name of a region, by which the SDKs look for a project
FIRST_BUCKET = "logs"

_CONFIGURATION = """\
# Settings of this Logkeep; {documentation} tells all of them. They are read when `logkeep serve` starts.

[server]
# host = "127.0.0.1"
# port = 8475

[records]
# How long a new backup is shown as RUNNING at least: Terraform looks for it right after it started one.
# running_visible_seconds = 5

[sources]
# Directories below which logs may lie; where it is empty, an administrator's key may name any directory.
# roots = ["/var/log/opensearch"]

# A bucket: where log backup may be opened to. Without a url it is the folder buckets/<name> of this directory.
[buckets.logs]
# url = "s3://bucket-name?endpoint=http://127.0.0.1:9000&region=us-east-1"
"""


def add_commands(app: typer.Typer) -> None:
    app.command("init", epilog=EVERYWHERE)(init)


def init(context: typer.Context) -> None:
    """Make an installation: settings, database, bucket, keys.

    Everything lies in the directory --dir. The first project is named cn-north-4, as a region is, so that SDKs find
    it; its key is an administrator's, who may register clusters, and is kept in client.toml for the other commands.
    """
    asked = invocation(context)
    directory = asked.directory
    if is_installation(directory) and not is_unfinished(directory):
        settings = installed_settings(directory)
        check_installation(settings)
        tell_missing(settings)
        _show_existing(directory, as_json=asked.as_json)
        return
    for text in tell_owner(directory):
        note(f"logkeep: warning: {text}")
    access = create_installation(directory)
    if asked.as_json:
        print_json(_document(directory, access))
        return
    print_line(
        f"{directory} is ready: a bucket {FIRST_BUCKET}, a project {FIRST_PROJECT} and an administrator's key.\n"
    )
    print_fields(_fields(directory, access))
    print_line(f"\nStart the service:   {asked.command} serve")
    print_line(f"Register a cluster:  {asked.command} cluster add NAME --node node-1=/var/log/opensearch")


def create_installation(directory: Path, configuration: str = _CONFIGURATION) -> Access:
    """Fill a directory that is new or empty; a `logkeep.toml` that lies there already is kept and obeyed."""
    _make_directory(directory)
    if not (directory / CONFIG_FILE).exists():
        made = directory / f"{CONFIG_FILE}.new"  # renamed when it is whole: an `init` that is killed leaves no half
        made.write_text(configuration.replace("{documentation}", str(documentation("configuration"))), "utf-8")
        made.chmod(0o600)  # it may come to hold secrets
        made.rename(directory / CONFIG_FILE)
    settings = load_settings(directory)
    expect_no_other(settings, begun_id(directory))
    id_ = begin_id(directory)  # before the keys: what is broken off from here on, the next `init` goes on with
    for name in (name for name, bucket in settings.buckets.items() if not bucket.url):
        (directory / "buckets" / name).mkdir(parents=True, exist_ok=True)
    create_keys(directory)
    with opened(lambda: open_new_runtime(settings, id_)) as runtime:
        found = identity.list_projects(runtime, name=FIRST_PROJECT)
        project = found[0] if found else identity.add_project(runtime, FIRST_PROJECT)
        for key in identity.list_keys(runtime):  # of an attempt that was killed: nobody was told them
            if key.revoked_at is None:
                identity.revoke_key(runtime, key.ak)
        new = identity.add_key(runtime, project, admin=True)
        access = Access(endpoint_url(settings.server.host, settings.server.port), new.key.ak, new.sk, project.id)
        write_access(directory, access)
        claim_database(settings, runtime.database, id_)
    for one in list(directory.iterdir()):  # of a killed attempt; some hold a key
        if is_leftover(one.name) or client_file.is_leftover(one.name):
            one.unlink(missing_ok=True)
    finish_id(directory)
    return access


def _make_directory(directory: Path) -> None:
    if directory.exists() and not directory.is_dir():
        raise UsageError(f"{directory} is no directory; name another with --dir")
    if lacks_seal(directory) and not is_unfinished(directory):
        raise no_installation(directory)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not may_become_installation(directory):
        raise UsageError(f"{directory} holds other things and is no Logkeep directory; name a new one with --dir")
    directory.chmod(0o700)


def _show_existing(directory: Path, *, as_json: bool) -> None:
    access = read_access(directory)
    if access is None:
        raise UsageError(
            f"{directory} is a Logkeep directory already, without {CLIENT_FILE}; nothing was changed; make a key with "
            f"`logkeep key add --project {FIRST_PROJECT} --admin`"
        )
    if not as_json:
        raise SettingError(
            f"{directory} is a Logkeep directory already; nothing was changed; its key is in {CLIENT_FILE}"
        )
    print_json(_document(directory, access))


def _document(directory: Path, access: Access) -> dict[str, str]:
    return {
        "dir": str(directory.absolute()),
        "endpoint": access.endpoint,
        "project_id": access.project_id,
        "ak": access.ak,
        "sk": access.sk,
    }


def _fields(directory: Path, access: Access) -> list[tuple[str, str]]:
    return [
        ("endpoint", access.endpoint),
        ("project id", access.project_id),
        ("access key (AK)", access.ak),
        ("secret key (SK)", access.sk),
        ("kept in", str(directory / CLIENT_FILE)),
    ]
