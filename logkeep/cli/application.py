"""Opens what `serve` answers with: imported while its port answers probes already, since that takes the longest."""

from __future__ import annotations

from starlette.types import ASGIApp

from logkeep.api.app import create_app
from logkeep.bootstrap.console import add_console
from logkeep.bootstrap.logs import set_up_logging
from logkeep.bootstrap.service import Service
from logkeep.cli.missing import tell_missing
from logkeep.settings import Settings


def open_service(settings: Settings, *, works: bool) -> Service:
    """Open the service of an installation. Raises `SettingError`."""
    set_up_logging(settings.log_level)
    tell_missing(settings)
    return Service(settings, works=works)


def make_app(service: Service, settings: Settings) -> ASGIApp:
    """Make the application that answers for the service."""
    skew_ms = settings.server.max_clock_skew_seconds * 1000
    api = create_app(service.runtime, ready=service.ready, max_clock_skew_ms=skew_ms)
    return add_console(api, service.runtime, settings)
