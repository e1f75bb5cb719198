"""The one identity call that the SDKs make when they are not told a project id (contract.md 4.6)."""

from __future__ import annotations

from logkeep.api.call import Call
from logkeep.api.routes import Handler
from logkeep.contract import models, operations
from logkeep.contract.operations import Operation
from logkeep.service import identity


def list_projects(call: Call) -> bytes:
    name = models.read_projects_query(call.query)
    projects = identity.list_projects(call.context, project_id=call.key.project_id, name=name)
    host = call.headers.get(b"host", b"").decode("latin-1")
    return models.render_projects(projects, f"{call.scheme}://{host}{operations.KEYSTONE_LIST_PROJECTS.path}")


HANDLERS: list[tuple[Operation, Handler]] = [(operations.KEYSTONE_LIST_PROJECTS, list_projects)]
