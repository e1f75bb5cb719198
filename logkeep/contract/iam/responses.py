"""Responses of the identity API, from domain values (docs/contract.md, "Identity")."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from logkeep.contract.iam.requests import ACCOUNT
from logkeep.domain.access import AccessKey, SignedIn
from logkeep.domain.cluster import Project

_encode = msgspec.json.Encoder().encode


class Links(msgspec.Struct):
    self: str
    next: str | None = None
    previous: str | None = None


class SelfLink(msgspec.Struct):
    self: str


class KeystoneProject(msgspec.Struct):
    id: str
    name: str
    links: SelfLink
    domain_id: str = ACCOUNT
    parent_id: str = ACCOUNT
    is_domain: bool = False
    enabled: bool = True
    description: str = ""


class ProjectList(msgspec.Struct):
    projects: list[KeystoneProject]
    links: Links


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
    roles: list[Named]
    user: InAccount
    catalog: list[CatalogEntry] | msgspec.UnsetType = msgspec.UNSET
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


class Catalog(msgspec.Struct):
    catalog: list[CatalogEntry]
    links: SelfLink


class Locales(msgspec.Struct, rename={"zh_cn": "zh-cn", "en_us": "en-us"}):
    zh_cn: str
    en_us: str


class Region(msgspec.Struct):
    id: str
    locales: Locales
    links: SelfLink
    type: str = "public"
    description: str = ""
    parent_region_id: str | None = None


class RegionList(msgspec.Struct):
    regions: list[Region]
    links: Links


class VersionLink(msgspec.Struct):
    href: str
    rel: str = "self"


class MediaType(msgspec.Struct):
    type: str = "application/vnd.openstack.identity-v3+json"
    base: str = "application/json"


class Version(msgspec.Struct, rename={"media_types": "media-types"}):
    links: list[VersionLink]
    media_types: list[MediaType]
    id: str = "v3.6"
    status: str = "stable"
    updated: str = "2016-04-04T00:00:00Z"


class VersionValues(msgspec.Struct):
    values: list[Version]


class VersionList(msgspec.Struct):
    versions: VersionValues


class VersionAnswer(msgspec.Struct):
    version: Version


class Credential(msgspec.Struct):
    access: str
    secret: str
    securitytoken: str
    expires_at: str


class CredentialAnswer(msgspec.Struct):
    credential: Credential


def render_projects(projects: Sequence[Project], url: str, *, found_by: str | None = None) -> bytes:
    """Render the answer of KeystoneListProjects; `url` is that of the request, without its query.

    A project is shown under the name it was found by, which may be that of its region: clients compare the two.
    """
    entries = [
        KeystoneProject(project.id, found_by or project.name, SelfLink(f"{url}/{project.id}")) for project in projects
    ]
    return _encode(ProjectList(entries, Links(url)))


def render_token(signed_in: SignedIn, method: str, url: str, *, catalog: bool = True) -> bytes:
    """Render the answer of KeystoneCreateToken and KeystoneValidateToken; `url` is that of this service.

    The token itself goes into a header.
    """
    account, project, user = Named(ACCOUNT, ACCOUNT), signed_in.project, signed_in.user
    view = TokenView(
        expires_at=_moment(signed_in.token.expires_at),
        issued_at=_moment(signed_in.token.issued_at),
        methods=[method],
        roles=[Named(user.role, user.role)],
        user=InAccount(user.id, user.name, account),
    )
    if catalog:
        view.catalog = _catalog(project, url)
    if project is None:
        view.domain = account
    else:
        view.project = InAccount(project.id, project.name, account)
    return _encode(TokenAnswer(view))


def render_catalog(project: Project | None, url: str, request_url: str) -> bytes:
    """Render the answer of KeystoneShowCatalog; without a project it is empty, as that of a token for the account."""
    return _encode(Catalog(_catalog(project, url), SelfLink(request_url)))


def render_regions(project: Project, url: str) -> bytes:
    """Render the answer of KeystoneListRegions; `url` is that of the request, without its query."""
    name = _region(project)
    return _encode(RegionList([Region(name, Locales(name, name), SelfLink(f"{url}/{name}"))], Links(url)))


def render_versions(url: str) -> bytes:
    """Render the answer of KeystoneListVersions; `url` is that of this service."""
    return _encode(VersionList(VersionValues([_version(url)])))


def render_version(url: str) -> bytes:
    """Render the answer of KeystoneShowVersion; `url` is that of this service."""
    return _encode(VersionAnswer(_version(url)))


def render_credential(key: AccessKey, secret: str, security_token: str) -> bytes:
    """Render the answer of CreateTemporaryAccessKeyByToken."""
    return _encode(CredentialAnswer(Credential(key.ak, secret, security_token, _moment(key.expires_at or 0))))


def render_accounts(url: str) -> bytes:
    """Render the answer of KeystoneListAuthDomains; `url` is that of the request, without its query."""
    return _encode(AccountList([Account(SelfLink(f"{url}/{ACCOUNT}"))], Links(url)))


def _catalog(project: Project | None, url: str) -> list[CatalogEntry]:
    if project is None:
        return []
    paths = (("css", f"/v1.0/{project.id}"), ("identity", "/v3"))
    region = _region(project)
    return [CatalogEntry(kind, kind, kind, [Endpoint(kind, url + path, region, region)]) for kind, path in paths]


def _region(project: Project) -> str:
    return project.region or project.name


def _version(url: str) -> Version:
    return Version([VersionLink(f"{url}/v3/")], [MediaType()])


def _moment(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
