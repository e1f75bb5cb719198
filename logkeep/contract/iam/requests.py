"""Requests of the identity API, to domain values (docs/contract.md, "Identity")."""

from __future__ import annotations

import re
from typing import Annotated, Any, NamedTuple

from msgspec import Struct

from logkeep.contract import fields
from logkeep.contract.bodies import NAME, member
from logkeep.contract.fields import Fields, read_query
from logkeep.contract.parameters import Flag, Number, Schema, Text, names_of
from logkeep.domain.access import SignIn
from logkeep.errors import InvalidField

MIN_SECONDS, MAX_SECONDS = 900, 86_400  # of a temporary key
ACCOUNT = "default"  # id and name of the account: there is one, and this is Keystone's name for it
PROJECT_NAME = Text("name", "The exact name of a project or of its region, as the official SDKs send; empty for all.")
ACCOUNT_ID = Text("domain_id", "The account; there is one.")
PARENT_ID = Text("parent_id", "What the project belongs to: the account.")
ENABLED = Flag("enabled", "Whether it can be used, as every project can.")
PAGE_NUMBER = Number("page", 1, "Number of the page.")
PER_PAGE = Number("per_page", 5000, "The most entries of a page.", high=5000)
PROJECTS_QUERY = (PROJECT_NAME, ACCOUNT_ID, PARENT_ID, ENABLED, PAGE_NUMBER, PER_PAGE)
_PROJECTS_QUERY = names_of(PROJECTS_QUERY)
NO_CATALOG = Text("nocatalog", "Leave the catalog out, whatever the value is.")
SUBJECT_TOKEN = Text("X-Subject-Token", "The token that is asked about.", pattern="^[!-~]+$")

_ACCOUNT: Schema = {"type": ["object", "null"], "description": "The account: there is one, so it is not looked at."}
_NAMED: list[Schema] = [{"required": ["name"]}, {"required": ["id"]}]


def _object(properties: dict[str, Schema], **more: object) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties), **more}


def _only(method: str) -> Schema:
    """Return the schema of a list of one method. Generators of clients refuse a list as `const`."""
    return {"type": "array", "items": {"const": method}, "minItems": 1, "maxItems": 1}


_USER: Schema = {
    "type": "object",
    "properties": {"name": NAME, "id": NAME, "password": NAME, "domain": _ACCOUNT},
    "required": ["password"],
    "anyOf": _NAMED,
}
_IDENTITY: Schema = {
    "oneOf": [
        _object({"methods": _only("password"), "password": _object({"user": _USER})}),
        _object({"methods": _only("token"), "token": _object({"id": NAME})}),
    ]
}
_SCOPE: Schema = {
    "type": ["object", "null"],
    "description": "A project by id or name, or the account; without it the user's own project.",
    "properties": {
        "project": {
            "type": "object",
            "properties": {"name": NAME, "id": NAME, "domain": _ACCOUNT},
            "anyOf": _NAMED,
        },
        "domain": {"type": "object"},
    },
    "not": {"required": ["project", "domain"]},
}
_AUTH: Schema = {
    "type": "object",
    "properties": {"identity": _IDENTITY, "scope": _SCOPE},
    "required": ["identity"],
}


class CreateTokenReq(Struct):
    auth: Annotated[dict[str, Any], member(schema=_AUTH)]


_SECONDS: Schema = {
    "type": ["integer", "null"],
    "minimum": MIN_SECONDS,
    "maximum": MAX_SECONDS,
    "default": MIN_SECONDS,
    "description": "How long the key is valid, also as text; it ends with the caller's token at the latest.",
}
_TEMPORARY: Schema = {
    "type": "object",
    "properties": {
        "identity": {
            "type": "object",
            "properties": {
                "methods": _only("token"),
                "token": {"type": ["object", "null"], "properties": {"duration_seconds": _SECONDS}},
            },
            "required": ["methods"],
        }
    },
    "required": ["identity"],
}


class CreateTemporaryAccessKeyReq(Struct):
    auth: Annotated[dict[str, Any], member(schema=_TEMPORARY)]


class ProjectsQuery(NamedTuple):
    """Which projects are asked for."""

    name: str | None  # of the project or its region
    elsewhere: bool  # of another account or below something else, or one that cannot be used: there is none
    page: int  # from 1
    per_page: int


def read_projects_query(raw: bytes) -> ProjectsQuery:
    """Read the query of KeystoneListProjects."""
    query = read_query(raw, _PROJECTS_QUERY)
    accounts, enabled = {ACCOUNT_ID.read(query), PARENT_ID.read(query)}, ENABLED.read(query)
    elsewhere = not accounts <= {"", ACCOUNT} or enabled is False
    return ProjectsQuery(PROJECT_NAME.read(query) or None, elsewhere, PAGE_NUMBER.read(query), PER_PAGE.read(query))


def read_no_catalog(raw: bytes) -> bool:
    """Read the query of KeystoneValidateToken: whether the catalog is left out."""
    return NO_CATALOG.name in read_query(raw, {NO_CATALOG.name})


def read_sign_in(body: bytes) -> SignIn:
    """Read the body of KeystoneCreateToken. Raises `EmptyBody`, `InvalidField`; neither quotes a secret."""
    auth, identity = _read_auth(body)
    project, account = _read_scope(auth.get("scope"))
    if identity.get("methods") == ["password"]:
        members = _members(identity.get("password"), "auth.identity.password")
        user = _members(members.get("user"), "auth.identity.password.user")
        _optional_members(user.get("domain"), "auth.identity.password.user.domain")
        return SignIn(
            user=_name_or_id(user, "the name of the user"),
            password=fields.required_text(user, "password", "the password of the user", secret=True),
            project=project,
            account=account,
        )
    if identity.get("methods") == ["token"]:
        token = _members(identity.get("token"), "auth.identity.token")
        secret = fields.required_text(token, "id", "the token", secret=True)
        return SignIn(token=secret, project=project, account=account)
    raise InvalidField("auth.identity.methods", '["password"] or ["token"] is allowed')


def read_temporary_key_seconds(body: bytes) -> int:
    """Read the body of CreateTemporaryAccessKeyByToken: for how long the key is asked for.

    A token in the body is not looked at, as what the header has counts (docs/contract.md, "Temporary keys"). Raises
    `EmptyBody`, `InvalidField`.
    """
    _, identity = _read_auth(body)
    if identity.get("methods") != ["token"]:
        raise InvalidField("auth.identity.methods", '["token"] is allowed')
    if identity.get("policy") is not None:
        raise InvalidField("auth.identity.policy", "is not offered: a key has all rights of its caller")
    name = "auth.identity.token.duration_seconds"
    asked = _optional_members(identity.get("token"), "auth.identity.token").get(fields.normalise("duration_seconds"))
    seconds = _whole(MIN_SECONDS if asked is None else asked)
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise InvalidField(name, f"a whole number from {MIN_SECONDS} to {MAX_SECONDS} is allowed")
    return seconds


def _read_auth(body: bytes) -> tuple[Fields, Fields]:
    """Return the members of `auth` and of `auth.identity`."""
    auth = _members(fields.read_object(body).get("auth"), "auth")
    return auth, _members(auth.get("identity"), "auth.identity")


def _whole(value: object) -> int:
    """Return a whole number that came as a number or as text, -1 for anything else."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return int(text) if re.fullmatch("[0-9]{1,6}", text) else -1


def _read_scope(value: object) -> tuple[str, bool]:
    """Return name or id of the project ('' for the user's own), and whether the account is asked for instead."""
    scope = _optional_members(value, "auth.scope")
    project, account = scope.get("project"), scope.get("domain")
    if account is not None:
        _members(account, "auth.scope.domain")
        if project is not None:
            raise InvalidField("auth.scope", "give project or domain, not both")
        return "", True
    if project is None:
        return "", False
    members = _members(project, "auth.scope.project")
    _optional_members(members.get("domain"), "auth.scope.project.domain")
    return _name_or_id(members, "the name or id of the project"), False


def _name_or_id(members: Fields, hint: str) -> str:
    """Return the name or the id. Errors do not quote it: people write a password where a name is asked for."""
    name = fields.text_field(members, "name", secret=True)
    return fields.text_field(members, "id", secret=True) or name or fields.required_text(members, "name", hint)


def _members(value: object, name: str) -> Fields:
    return fields.read_members(value, name, secret=True)


def _optional_members(value: object, name: str) -> Fields:
    return {} if value is None else _members(value, name)
