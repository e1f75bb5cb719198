"""The identity calls that SDKs and Terraform make (docs/contract.md, "Identity")."""

from __future__ import annotations

from logkeep.api.call import Call, WithHeaders
from logkeep.api.routes import Handler
from logkeep.contract import identity as wire
from logkeep.contract import models, operations
from logkeep.contract.operations import Operation
from logkeep.errors import WrongPassword
from logkeep.service import identity, users


def list_projects(call: Call) -> bytes:
    query = models.read_projects_query(call.query)
    found = identity.list_projects(call.context, project_id=call.caller.project_id, found_by=query.name)
    first = (query.page - 1) * query.per_page
    page = [] if query.elsewhere else found[first : first + query.per_page]
    return models.render_projects(page, call.url(operations.KEYSTONE_LIST_PROJECTS.path), found_by=query.name)


def list_auth_domains(call: Call) -> bytes:
    return wire.render_accounts(call.url(operations.KEYSTONE_LIST_AUTH_DOMAINS.path))


def create_token(call: Call) -> WithHeaders:
    asked = wire.read_sign_in(call.body)
    try:
        found = users.sign_in(call.context, asked, call.trail.address)
    except WrongPassword as error:
        call.trail.who, call.trail.project_id = error.who, error.project_id
        raise
    call.trail.who, call.trail.project_id, call.trail.proven = found.user.name, found.user.project_id, True
    body = wire.render_token(found, "token" if asked.token else "password", call.url(""))
    return WithHeaders(body, [(b"x-subject-token", found.secret.encode())])


HANDLERS: list[tuple[Operation, Handler]] = [
    (operations.KEYSTONE_LIST_PROJECTS, list_projects),
    (operations.KEYSTONE_LIST_AUTH_DOMAINS, list_auth_domains),
    (operations.KEYSTONE_CREATE_TOKEN, create_token),
]
