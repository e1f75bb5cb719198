"""`project` and `key`: who may ask the service. They act on the database, so they need no key themselves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

import typer

from logkeep.cli.access import CLIENT_FILE, read_access
from logkeep.cli.errors import UsageError
from logkeep.cli.installation import open_installation, record_change
from logkeep.cli.invocation import EVERYWHERE, invocation
from logkeep.cli.output import note, print_fields, print_json, print_line, print_table
from logkeep.cli.texts import count_text, moment_text, time_text, zone_text
from logkeep.domain.access import AccessKey, Role
from logkeep.domain.cluster import Project
from logkeep.service import identity, sources
from logkeep.service.runtime import Runtime
from logkeep.service.sources import Refused

MOST_NAMED = 10  # clusters
ROLES = "admin: everything; operator: everything on logs; reader: lists and reads. Operator if nothing is said."


def add_commands(app: typer.Typer) -> None:
    project = typer.Typer(
        rich_markup_mode=None, no_args_is_help=True, help="Projects: tenants that see only their own."
    )
    project.command("add", epilog=EVERYWHERE)(add_project)
    project.command("list", epilog=EVERYWHERE)(list_projects)
    app.add_typer(project, name="project")
    key = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Access keys, each of one project.")
    key.command("add", epilog=EVERYWHERE)(add_key)
    key.command("list", epilog=EVERYWHERE)(list_keys)
    key.command("revoke", epilog=EVERYWHERE)(revoke_key)
    app.add_typer(key, name="key")


def add_project(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Letters, digits, '.', '_', '-'.")],
    region: Annotated[
        str, typer.Option(metavar="NAME", help="Region whose name finds it too, for SDKs that are told no project.")
    ] = "",
) -> None:
    """Add a project. A key for it is made by `logkeep key add`."""
    asked = invocation(context)
    with open_installation(asked.directory) as runtime:
        project = identity.add_project(runtime, name, region=region)
        record_change(runtime, "AddProject", project.id)
        refused, unknown = sources.find_refused(runtime)
    _tell_refused(refused, unknown)
    if asked.as_json:
        print_json(_project_document(project))
        return
    print_line(f"project {project.name} added: {project.id}")
    print_line(f"make a key for it:  {asked.command} key add --project {project.name}")


def _tell_refused(refused: Sequence[Refused], unknown: int) -> None:
    """Every cluster with the first of its nodes, and what to write into logkeep.toml for all of them."""
    first = {one.cluster: one for one in reversed(refused)}
    if first:
        note(f"logkeep: backups of {count_text(len(first), 'cluster')} fail from now on:")
    for one in list(reversed(first.values()))[:MOST_NAMED]:
        why = f"{one.root} is no directory that project {one.project} may read" if one.root else one.why
        note(f"  {one.cluster}: node {one.node}: {why}")
    if len(first) > MOST_NAMED:
        note(f"  and {len(first) - MOST_NAMED} more")
    roots: dict[str, list[str]] = {}
    for one in refused:
        if one.root and one.root not in roots.setdefault(one.project, []):
            roots[one.project].append(one.root)
    if roots:
        note("Where they may, write into logkeep.toml and start the service again:\n")
    for project, directories in roots.items():
        note(f"[sources.projects.{json.dumps(project)}]\nroots = {json.dumps(directories, ensure_ascii=False)}\n")
    if unknown:
        note(f"logkeep: {count_text(unknown, 'more node')} not looked at; `cluster check` tells of each cluster")


def list_projects(context: typer.Context) -> None:
    """List the projects."""
    asked = invocation(context)
    with open_installation(asked.directory) as runtime:
        projects = identity.list_projects(runtime)
    if asked.as_json:
        print_json({"projects": [_project_document(p) for p in projects]})
        return
    print_table(
        ("NAME", "REGION", "ID", f"CREATED ({zone_text()})"),
        [(p.name, p.region or p.name, p.id, time_text(p.created_at)) for p in projects],
    )


def add_key(
    context: typer.Context,
    project: Annotated[str, typer.Option(metavar="NAME", help="Project that the key belongs to: its name or id.")],
    role: Annotated[Role | None, typer.Option(help=f"What it may do; {ROLES}")] = None,
    admin: Annotated[bool, typer.Option("--admin", help="The same as --role admin.")] = False,
    temporary: Annotated[
        float, typer.Option(min=0, max=24 * 365, metavar="HOURS", help="It ends then, and has a security token.")
    ] = 0,
) -> None:
    """Make a key. Its secret is shown once: now."""
    asked = invocation(context)
    if admin and role not in {None, Role.ADMIN}:
        raise UsageError("--admin means --role admin; give one of them")
    with open_installation(asked.directory) as runtime:
        found = find_project(runtime, project)
        valid_ms = round(temporary * 3_600_000) or None
        new = identity.add_key(runtime, found, admin=admin, role=role, valid_ms=valid_ms)
        record_change(runtime, "AddKey", found.id)
    if asked.as_json:
        document = {"ak": new.key.ak, "sk": new.sk, "project_id": found.id, "project": found.name}
        extra = {"security_token": new.security_token, "expires_at": new.key.expires_at} if temporary else {}
        print_json({**document, "admin": new.key.admin, "role": new.key.role, **extra})
        return
    fields = [
        ("access key (AK)", new.key.ak),
        ("secret key (SK)", new.sk),
        ("project", f"{found.name} ({found.id})"),
        ("role", new.key.role),
    ]
    if temporary:
        fields += [("security token", new.security_token), ("until", moment_text(new.key.expires_at or 0))]
    print_fields(fields)
    note("The secret is not shown again; keep it now.")


def list_keys(context: typer.Context) -> None:
    """List the keys, without their secrets."""
    asked = invocation(context)
    with open_installation(asked.directory) as runtime:
        keys = identity.list_keys(runtime)
        names = {project.id: project.name for project in identity.list_projects(runtime)}
    if asked.as_json:
        print_json({"keys": [_key_document(key, names) for key in keys]})
        return
    print_table(
        ("AK", "PROJECT", "ROLE", f"CREATED ({zone_text()})", "UNTIL", "REVOKED"),
        [
            (
                key.ak,
                names.get(key.project_id, key.project_id),
                key.role,
                time_text(key.created_at),
                time_text(key.expires_at),
                time_text(key.revoked_at),
            )
            for key in keys
        ],
    )


def revoke_key(
    context: typer.Context, ak: Annotated[str, typer.Argument(metavar="AK", help="The access key.")]
) -> None:
    """Revoke a key: within a second the service refuses it."""
    asked = invocation(context)
    with open_installation(asked.directory) as runtime:
        identity.revoke_key(runtime, ak)
        [key] = [one for one in identity.list_keys(runtime) if one.ak == ak]
        record_change(runtime, "RevokeKey", key.project_id)
    if asked.as_json:
        print_json({"ak": ak, "revoked": True})
    else:
        print_line(f"key {ak} is revoked")
    saved = None
    with suppress(UsageError):  # what is there tells of no key
        saved = read_access(asked.directory)
    if saved and saved.ak == ak:
        note(
            f"it was the key in {asked.directory / CLIENT_FILE}; put another one there "
            f"(`{asked.command} key add --project {key.project_id} --role {key.role}`)"
        )


def find_project(runtime: Runtime, name_or_id: str) -> Project:
    """Raises `UsageError`."""
    found = identity.list_projects(runtime, name=name_or_id) or identity.list_projects(runtime, project_id=name_or_id)
    if not found:
        raise UsageError(f"there is no project {name_or_id}; see `logkeep project list`")
    return found[0]


def _key_document(key: AccessKey, names: dict[str, str]) -> dict[str, object]:
    return {
        "ak": key.ak,
        "project_id": key.project_id,
        "project": names.get(key.project_id),
        "admin": key.admin,
        "role": key.role,
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
        "expires_at": key.expires_at,
    }


def _project_document(project: Project) -> dict[str, object]:
    return {
        "id": project.id,
        "name": project.name,
        "created_at": project.created_at,
        "region": project.region or project.name,
    }
