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


def read_adaptive(body: bytes) -> bool:
    adaptive = fields.boolean_field(fields.read_object(body), "adaptive")
    if adaptive is None:
        raise InvalidField("adaptive", "is missing; true or false is allowed")
    return adaptive


def render_policy(policy: Policy) -> bytes:
    return msgspec.json.encode(PolicyView(policy.period, policy.adaptive, policy.next_run))
