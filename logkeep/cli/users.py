"""`user`: who may get a token for a password. It acts on the database, as `key` does."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import Annotated

import typer

from logkeep.cli.errors import UsageError
from logkeep.cli.identity import ROLES, find_project
from logkeep.cli.installation import open_installation, record_change
from logkeep.cli.invocation import EVERYWHERE, invocation
from logkeep.cli.output import note, print_fields, print_json, print_line, print_table
from logkeep.cli.texts import time_text, zone_text
from logkeep.domain.access import Role
from logkeep.service import identity, users


def add_commands(app: typer.Typer) -> None:
    user = typer.Typer(
        rich_markup_mode=None, no_args_is_help=True, help="Users, who get tokens for a password; each of one project."
    )
    user.command("add", epilog=EVERYWHERE)(add_user)
    user.command("list", epilog=EVERYWHERE)(list_users)
    user.command("password", epilog=EVERYWHERE)(change_password)
    user.command("revoke", epilog=EVERYWHERE)(revoke_user)
    app.add_typer(user, name="user")


def add_user(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Letters, digits, '.', '_', '-'.")],
    project: Annotated[str, typer.Option(metavar="NAME", help="Project that the user belongs to: its name or id.")],
    role: Annotated[Role, typer.Option(help=f"What the user may do; {ROLES}")] = Role.OPERATOR,
    password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The password is its first line; else it is asked for.")
    ] = None,
    generate: Annotated[bool, typer.Option("--generate", help="Make a password and show it once.")] = False,
) -> None:
    """Add a user. The password is kept as a hash only."""
    asked = invocation(context)
    with open_installation(asked.directory) as runtime:
        found = find_project(runtime, project)
        password = _choose_password(password_file, generate=generate)
        user = users.add_user(runtime, found, name, password, role)
        record_change(runtime, "AddUser", found.id)
    shown = {"password": password} if generate else {}
    if asked.as_json:
        document = {"id": user.id, "name": user.name, "project_id": found.id, "project": found.name}
        print_json({**document, "role": user.role, **shown})
        return
    fields = [("user", user.name), ("id", user.id), ("project", f"{found.name} ({found.id})"), ("role", user.role)]
    print_fields([*fields, *shown.items()])
    if generate:
        note("The password is not shown again; keep it now.")


def list_users(context: typer.Context) -> None:
    """List the users."""
    asked = invocation(context)
    with open_installation(asked.directory) as runtime:
        found = users.list_users(runtime)
        names = {project.id: project.name for project in identity.list_projects(runtime)}
    if asked.as_json:
        rows = [
            {
                "id": user.id,
                "name": user.name,
                "project_id": user.project_id,
                "project": names.get(user.project_id),
                "role": user.role,
                "created_at": user.created_at,
                "revoked_at": user.revoked_at,
            }
            for user in found
        ]
        print_json({"users": rows})
        return
    print_table(
        ("NAME", "PROJECT", "ROLE", f"CREATED ({zone_text()})", "REVOKED"),
        [
            (u.name, names.get(u.project_id, u.project_id), u.role, time_text(u.created_at), time_text(u.revoked_at))
            for u in found
        ],
    )


def change_password(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The user.")],
    password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The password is its first line; else it is asked for.")
    ] = None,
    generate: Annotated[bool, typer.Option("--generate", help="Make a password and show it once.")] = False,
) -> None:
    """Change the password of a user.

    Within a second the service refuses the old one, and every token and temporary key that was got for it.
    """
    asked = invocation(context)
    password = _choose_password(password_file, generate=generate)
    with open_installation(asked.directory) as runtime:
        project_id = users.change_password(runtime, name, password)
        record_change(runtime, "ChangePassword", project_id)
    shown = {"password": password} if generate else {}
    if asked.as_json:
        print_json({"name": name, "changed": True, **shown})
        return
    print_line(f"the password of user {name} is changed; tokens that were issued for the old one are revoked")
    if generate:
        print_fields([*shown.items()])
        note("The password is not shown again; keep it now.")


def revoke_user(context: typer.Context, name: Annotated[str, typer.Argument(metavar="NAME", help="The user.")]) -> None:
    """Revoke a user. Within a second the service refuses the password and every token."""
    asked = invocation(context)
    with open_installation(asked.directory) as runtime:
        project_id = users.revoke_user(runtime, name)
        record_change(runtime, "RevokeUser", project_id)
    if asked.as_json:
        print_json({"name": name, "revoked": True})
    else:
        print_line(f"user {name} is revoked")


def _choose_password(file: Path | None, *, generate: bool) -> str:
    if generate and file:
        raise UsageError("give --generate or --password-file, not both")
    return secrets.token_hex(12) if generate else _read_password(file)


def _read_password(file: Path | None) -> str:
    if file:
        return read_first_line(file)
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask for the password; give --password-file FILE, or --generate")
    return typer.prompt("Password", hide_input=True, confirmation_prompt=True)


def read_first_line(file: Path) -> str:
    """Return the secret that a file holds. Raises `UsageError`, `OSError`."""
    try:
        return file.read_text("utf-8").partition("\n")[0].rstrip("\r")
    except UnicodeDecodeError as error:
        raise UsageError(f"{file}: is no text in UTF-8") from error
