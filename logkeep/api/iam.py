"""The identity calls that SDKs and Terraform make (docs/contract.md, "Identity")."""

from __future__ import annotations

from logkeep.api.auth import read_credentials
from logkeep.api.call import Call, WithHeaders
from logkeep.api.routes import Handler
from logkeep.contract.iam import operations, requests, responses
from logkeep.contract.operation import Operation
from logkeep.errors import WrongPassword
from logkeep.service import identity, temporary_keys, users


def list_projects(call: Call) -> bytes:
    query = requests.read_projects_query(call.query)
    found = identity.list_projects(call.runtime, project_id=call.caller.project_id, found_by=query.name)
    first = (query.page - 1) * query.per_page
    page = [] if query.elsewhere else found[first : first + query.per_page]
    return responses.render_projects(page, call.url(operations.KEYSTONE_LIST_PROJECTS.path), found_by=query.name)


def list_auth_domains(call: Call) -> bytes:
    return responses.render_accounts(call.url(operations.KEYSTONE_LIST_AUTH_DOMAINS.path))


def create_token(call: Call) -> WithHeaders:
    asked = requests.read_sign_in(call.body)
    try:
        found = users.sign_in(call.runtime, asked, call.trail.address)
    except WrongPassword as error:
        call.trail.who, call.trail.project_id = error.who, error.project_id
        raise
    call.trail.who, call.trail.project_id, call.trail.proven = found.user.name, found.user.project_id, True
    body = responses.render_token(found, "token" if asked.token else "password", call.url(""))
    return WithHeaders(body, [(b"x-subject-token", found.secret.encode())])


def validate_token(call: Call) -> WithHeaders:
    secret = call.headers.get(b"x-subject-token", b"")
    own = read_credentials(call.headers) == secret
    found = users.show_token(call.runtime, secret, None if own else call.caller)
    body = responses.render_token(found, "password", call.url(""), catalog=not requests.read_no_catalog(call.query))
    return WithHeaders(body, [(b"x-subject-token", secret)])


def list_versions(call: Call) -> bytes:
    return responses.render_versions(call.url(""))


def show_version(call: Call) -> bytes:
    return responses.render_version(call.url(""))


def show_catalog(call: Call) -> bytes:
    project = identity.get_project(call.runtime, call.caller.project_id) if call.caller.scoped else None
    return responses.render_catalog(project, call.url(""), call.url(operations.KEYSTONE_SHOW_CATALOG.path))


def list_auth_projects(call: Call) -> bytes:
    project = identity.get_project(call.runtime, call.caller.project_id)
    return responses.render_projects([project], call.url(operations.KEYSTONE_LIST_AUTH_PROJECTS.path))


def list_regions(call: Call) -> bytes:
    project = identity.get_project(call.runtime, call.caller.project_id)
    return responses.render_regions(project, call.url(operations.KEYSTONE_LIST_REGIONS.path))


def create_temporary_key(call: Call) -> bytes:
    seconds = requests.read_temporary_key_seconds(call.body)
    credentials = read_credentials(call.headers)
    if isinstance(credentials, bytes):
        new = temporary_keys.add_for_token(call.runtime, credentials, seconds)
    else:
        new = temporary_keys.add_for_key(call.runtime, credentials.access_key, seconds)
    return responses.render_credential(new.key, new.sk, new.security_token)


HANDLERS: list[tuple[Operation, Handler]] = [
    (operations.KEYSTONE_LIST_PROJECTS, list_projects),
    (operations.KEYSTONE_LIST_AUTH_DOMAINS, list_auth_domains),
    (operations.KEYSTONE_CREATE_TOKEN, create_token),
    (operations.KEYSTONE_VALIDATE_TOKEN, validate_token),
    (operations.KEYSTONE_LIST_VERSIONS, list_versions),
    (operations.KEYSTONE_SHOW_VERSION, show_version),
    (operations.KEYSTONE_SHOW_CATALOG, show_catalog),
    (operations.KEYSTONE_LIST_AUTH_PROJECTS, list_auth_projects),
    (operations.KEYSTONE_LIST_REGIONS, list_regions),
    (operations.CREATE_TEMPORARY_ACCESS_KEY_BY_TOKEN, create_temporary_key),
]
