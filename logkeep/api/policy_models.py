"""Requests and responses of `/api/v1` on when a cluster is backed up without being asked."""

from __future__ import annotations

import msgspec

from logkeep.contract import fields
from logkeep.contract.requests import Body, Member
from logkeep.errors import InvalidField
from logkeep.service.forecasts import Policy

POLICY = Body(
    "PolicyReq",
    (
        (
            Member(
                "adaptive",
                {"type": "boolean"},
                "Whether to add runs before a node deletes what is not kept.",
                required=True,
            ),
        ),
    ),
)


class PolicyView(msgspec.Struct, rename="camel"):
    period: str | None  # of the daily backup
    adaptive: bool
    next_run: int | None  # Unix ms; null where none is foreseen
    state: str  # one of PolicyState
    since: int | None  # Unix ms, when the period was set
    missed: int | None  # Unix ms, when the last daily run should have started, where it came late
    last_success: int | None  # Unix ms


def read_adaptive(body: bytes) -> bool:
    adaptive = fields.boolean_field(fields.read_object(body), "adaptive")
    if adaptive is None:
        raise InvalidField("adaptive", "is missing; true or false is allowed")
    return adaptive


def render_policy(policy: Policy) -> bytes:
    runs = policy.runs
    view = PolicyView(
        period=policy.period,
        adaptive=policy.adaptive,
        next_run=policy.next_run,
        state=policy.state,
        since=runs and runs.since,
        missed=runs and runs.missed_at,
        last_success=runs and runs.last_success,
    )
    return msgspec.json.encode(view)
