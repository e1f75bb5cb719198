"""Tokens and accounts of the identity API, to and from domain values (docs/contract.md, "Identity")."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from logkeep.contract import fields
from logkeep.contract.fields import Fields
from logkeep.contract.models import ACCOUNT, Links, SelfLink
from logkeep.contract.requests import TEXT, Body, Member, Schema
from logkeep.domain.access import SignedIn, SignIn
from logkeep.errors import InvalidField

_encode = msgspec.json.Encoder().encode


# Requests

_REQUIRED = TEXT | {"minLength": 1}
_ACCOUNT: Schema = {"type": ["object", "null"], "description": "The account: there is one, so it is not looked at."}
_NAMED: list[Schema] = [{"required": ["name"]}, {"required": ["id"]}]


def _object(properties: dict[str, Schema], **more: object) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties), **more}


def _only(method: str) -> Schema:
    """Return the schema of a list of one method. Generators of clients refuse a list as `const`."""
    return {"type": "array", "items": {"const": method}, "minItems": 1, "maxItems": 1}


_USER: Schema = {
    "type": "object",
    "properties": {"name": _REQUIRED, "id": _REQUIRED, "password": _REQUIRED, "domain": _ACCOUNT},
    "required": ["password"],
    "anyOf": _NAMED,
}
_IDENTITY: Schema = {
    "oneOf": [
        _object({"methods": _only("password"), "password": _object({"user": _USER})}),
        _object({"methods": _only("token"), "token": _object({"id": _REQUIRED})}),
    ]
}
_SCOPE: Schema = {
    "type": ["object", "null"],
    "description": "A project by id or name, or the account; without it the user's own project.",
    "properties": {
        "project": {
            "type": "object",
            "properties": {"name": _REQUIRED, "id": _REQUIRED, "domain": _ACCOUNT},
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
TOKEN_BODY = Body("CreateTokenReq", ((Member("auth", _AUTH, required=True),),))


def read_sign_in(body: bytes) -> SignIn:
    """Read the body of KeystoneCreateToken. Raises `EmptyBody`, `InvalidField`; neither quotes a secret."""
    auth = _members(fields.read_object(body).get("auth"), "auth")
    identity = _members(auth.get("identity"), "auth.identity")
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


# Responses


class Named(msgspec.Struct):
    id: str
    name: str


class InAccount(msgspec.Struct):
    id: str
    name: str
    domain: Named


class Endpoint(msgspec.Struct):
    id: str
    url: str
    region: str
    region_id: str
    interface: str = "public"


class CatalogEntry(msgspec.Struct):
    id: str
    type: str
    name: str
    endpoints: list[Endpoint]


class TokenView(msgspec.Struct, omit_defaults=True):
    expires_at: str
    issued_at: str
    methods: list[str]
    catalog: list[CatalogEntry]
    roles: list[Named]
    user: InAccount
    project: InAccount | msgspec.UnsetType = msgspec.UNSET
    domain: Named | msgspec.UnsetType = msgspec.UNSET


class TokenAnswer(msgspec.Struct):
    token: TokenView


class Account(msgspec.Struct):
    links: SelfLink
    id: str = ACCOUNT
    name: str = ACCOUNT
    enabled: bool = True
    description: str = ""


class AccountList(msgspec.Struct):
    domains: list[Account]
    links: Links


def render_token(signed_in: SignedIn, method: str, url: str) -> bytes:
    """Render the answer of KeystoneCreateToken; `url` is that of this service. The token itself goes into a header."""
    account, project, user = Named(ACCOUNT, ACCOUNT), signed_in.project, signed_in.user
    view = TokenView(
        expires_at=_moment(signed_in.token.expires_at),
        issued_at=_moment(signed_in.token.issued_at),
        methods=[method],
        catalog=[],
        roles=[Named(user.role, user.role)],
        user=InAccount(user.id, user.name, account),
    )
    if project is None:
        view.domain = account
        return _encode(TokenAnswer(view))
    region = project.region or project.name
    for kind, path in (("css", f"/v1.0/{project.id}"), ("identity", "/v3")):
        view.catalog.append(CatalogEntry(kind, kind, kind, [Endpoint(kind, url + path, region, region)]))
    view.project = InAccount(project.id, project.name, account)
    return _encode(TokenAnswer(view))


def render_accounts(url: str) -> bytes:
    """Render the answer of KeystoneListAuthDomains; `url` is that of the request, without its query."""
    return _encode(AccountList([Account(SelfLink(f"{url}/{ACCOUNT}"))], Links(url)))


def _moment(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
