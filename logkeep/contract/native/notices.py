"""Requests and answers of `/api/v1` on notices, and on the targets that they are sent to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec
from msgspec import Struct

from logkeep.contract import fields
from logkeep.contract.bodies import TEXT, member, read_body
from logkeep.contract.native.responses import view
from logkeep.contract.native.tasks import CLUSTER, read_cluster
from logkeep.contract.parameters import PAGE, Page, names_of, read_page
from logkeep.domain.notice import Delivery, DeliveryState, Event, Notice
from logkeep.domain.notice_target import (
    MAX_GLOB,
    MAX_TARGET_NAME,
    MAX_TARGET_URL,
    MOST_GLOBS,
    NewTarget,
    NoticeTarget,
    TargetKind,
)

LIST_QUERY = (*PAGE, CLUSTER)
_encode = msgspec.json.Encoder().encode

_TIME = r"([01]\d|2[0-3]):[0-5]\d"
_Name = member(
    "Letters, digits, '.', '_', '-'.",
    TEXT | {"minLength": 1, "maxLength": MAX_TARGET_NAME, "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$"},
    give="a name for the target",
)
_Url = member(
    "Where notices are sent by POST. It is sealed, and no answer shows more of it than its scheme and host.",
    TEXT | {"minLength": 1, "maxLength": MAX_TARGET_URL, "pattern": r"^https?://[\x21-\x7e]+$"},
    give="the URL of the receiver",
    secret=True,
)
_Secret = member(
    "By which notices are signed: `whsec_` and base64 of 24 to 64 bytes. Empty: one is made, and told once.",
    {"pattern": "^(whsec_[A-Za-z0-9+/]{32,88}={0,2})?$"},
    secret=True,
)
_Clusters = member(
    "Only notices on clusters of these names, in which `*` stands for any text.",
    {"maxItems": MOST_GLOBS},
    says="a list of patterns is allowed",
)
_Cluster = member(schema=TEXT | {"minLength": 1, "maxLength": MAX_GLOB, "pattern": r"^[^\x00-\x1f\x7f-\x9f]*$"})
_Events = member("Only notices of these events.", says="a list of events is allowed")
_Event = member(schema={"enum": [event.value for event in Event if event is not Event.TEST]})
_Quiet = member("Notices wait from and until these times of day, as 22:00-07:00.", {"pattern": f"^({_TIME}-{_TIME})?$"})
_Zone = member("In which those times are meant: an IANA name, as Europe/Berlin. Without it: UTC.", TEXT)


class NoticeTargetReq(Struct):
    """A webhook to which notices of the project are to be sent."""

    name: Annotated[str, _Name]
    url: Annotated[str, _Url]
    secret: Annotated[str, _Secret] = ""
    clusters: Annotated[list[Annotated[str, _Cluster]], _Clusters] = []
    events: Annotated[list[Annotated[str, _Event]], _Events] = []
    quiet: Annotated[str, _Quiet] = ""
    zone: Annotated[str, _Zone] = ""


class DeliveryView(Struct, rename="camel"):
    """How far a notice got to one target; times are Unix ms."""

    target: str  # its name
    state: DeliveryState
    attempts: int
    next_try: int | None  # null once it is delivered or given up
    delivered_at: int | None
    error: str  # of the last attempt that failed; empty where none did
    message_id: str  # `webhook-id` of the message that carries it, alone or with others; empty before the first attempt


class NoticeView(Struct, rename="camel"):
    """One change that was told."""

    id: str
    event: Event
    at: int  # Unix ms
    since: int  # Unix ms: when the state began that it tells of, or that is over
    cluster_id: str  # empty where it is about no single cluster
    cluster: str  # its name then
    state: str  # that began or ended, as ListStatus names it
    code: str  # LK-…, empty where there is none
    cause: str  # what happened
    remedy: str  # what to do; empty where nothing is to be done
    url: str  # of the page of the console, empty where its address is not set
    deliveries: list[DeliveryView]


class NoticeList(Struct, rename="camel"):
    notices: list[NoticeView]  # newest first
    total_size: int


class NoticeTargetView(Struct, rename="camel", kw_only=True):
    """A target; times are Unix ms."""

    name: str
    kind: TargetKind
    address: str  # its scheme and host; empty of one that is not of this project
    configured: bool  # in logkeep.toml, by whoever runs the service
    clusters: list[str]
    events: list[Event]
    quiet: str
    zone: str
    every_hours: float  # of a ping; 0: after each backup that succeeds
    created_at: int  # 0 of one that is configured
    failing_since: int | None  # of the first attempt that failed and after which none succeeded
    last_error: str
    last_delivered_at: int | None
    waiting: int  # notices


class AddedNoticeTarget(NoticeTargetView, rename="camel", kw_only=True):
    """A target that was added, and its secret."""

    secret: str  # is told once


class NoticeTargetList(Struct, rename="camel"):
    targets: list[NoticeTargetView]


def read_notice_query(raw: bytes) -> tuple[Page, str]:
    """Read the page, and the id of a cluster or '' for all. Raises `InvalidField`."""
    query = fields.read_query(raw, names_of(LIST_QUERY))
    return read_page(query), read_cluster(query)


def read_target(body: bytes) -> NewTarget:
    """Read the body of AddNoticeTarget. Raises `EmptyBody`, `InvalidField`."""
    asked = read_body(body, NoticeTargetReq)
    return NewTarget(
        name=asked.name,
        url=asked.url,
        secret=asked.secret,
        clusters=tuple(asked.clusters),
        events=tuple(asked.events),
        quiet=asked.quiet,
        zone=asked.zone or "UTC",
    )


def read_name(parameters: dict[str, str]) -> str:
    """Read the name of a target in the path. Raises `InvalidField`."""
    fields.check_text("name", parameters["name"])
    return parameters["name"]


def render_notices(found: Iterable[tuple[Notice, Sequence[Delivery]]], total: int) -> bytes:
    return _encode(NoticeList([_notice(notice, deliveries) for notice, deliveries in found], total))


def render_targets(targets: Iterable[NoticeTarget]) -> bytes:
    return _encode(NoticeTargetList([view(one, NoticeTargetView) for one in targets]))


def render_added_target(target: NoticeTarget, secret: str) -> bytes:
    return _encode(AddedNoticeTarget(**msgspec.structs.asdict(view(target, NoticeTargetView)), secret=secret))


def render_delivery(delivery: Delivery) -> bytes:
    return _encode(view(delivery, DeliveryView))


def _notice(notice: Notice, deliveries: Iterable[Delivery]) -> NoticeView:
    return NoticeView(
        id=notice.id,
        event=notice.event,
        at=notice.at,
        since=notice.since,
        cluster_id=notice.cluster_id,
        cluster=notice.cluster,
        state=notice.state,
        code=notice.code,
        cause=notice.cause,
        remedy=notice.remedy,
        url=notice.url,
        deliveries=[view(one, DeliveryView) for one in deliveries],
    )
