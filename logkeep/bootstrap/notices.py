"""The targets of notices of the settings, and what sends to each kind."""

from __future__ import annotations

from ipaddress import ip_network

from logkeep import __version__
from logkeep.domain.notice import Notice
from logkeep.domain.notice_target import (
    Answer,
    ConfiguredTarget,
    Destination,
    Subscription,
    TargetKind,
    check_events,
)
from logkeep.keyfiles.installation_id import read_id
from logkeep.notify import apprise
from logkeep.notify.webhook import Webhooks
from logkeep.service.runtime import NoticeOptions
from logkeep.settings import Settings, Target

_DAY_MS = 86_400_000


def notice_options(settings: Settings) -> NoticeOptions:
    """Return who is told what. Raises `SettingError` for a URL that Apprise does not take."""
    for target in settings.notify:
        if target.apprise:
            apprise.check_url(target.apprise, f"notify.{target.name}.apprise")
    webhooks = Webhooks(__version__, [ip_network(text, strict=False) for text in settings.notices.allow])

    def send(to: Destination, notice: Notice | None) -> Answer:
        return apprise.send(to, notice) if notice and to.kind is TargetKind.APPRISE else webhooks.send(to, notice)

    return NoticeOptions(
        targets=tuple(map(_configured, settings.notify)),
        send=send,
        installation=read_id(settings.directory) or "",
        allows_plain=bool(settings.notices.allow),
        console_url=settings.console.url,
        give_up_ms=round(settings.notices.give_up_days * _DAY_MS),
        keep_ms=settings.notices.keep_days * _DAY_MS,
    )


def _configured(target: Target) -> ConfiguredTarget:
    kind = TargetKind.WEBHOOK if target.url else TargetKind.APPRISE if target.apprise else TargetKind.PING
    return ConfiguredTarget(
        subscription=Subscription(
            key=f"/{target.name}",
            clusters=target.clusters,
            projects=target.projects,
            events=check_events(target.events),
            quiet=target.quiet,
            zone=target.zone,
        ),
        destination=Destination(kind=kind, url=target.url or target.apprise or target.ping, secret=target.secret),
        every_hours=target.every_hours,
    )
