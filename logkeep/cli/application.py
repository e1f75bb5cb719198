"""Opens what `serve` answers with: imported while its port answers probes already, since that takes the longest."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, nullcontext

from starlette.types import ASGIApp

from logkeep import bootstrap
from logkeep.api.app import create_app
from logkeep.cli.missing import tell_missing
from logkeep.settings import Settings


@contextmanager
def open_service(settings: Settings, *, works: bool) -> Generator[bootstrap.Service]:
    """Open the service of an installation, which with SQLite nobody else serves meanwhile. Raises `SettingError`."""
    with bootstrap.only_process(settings.directory) if settings.embedded else nullcontext():
        bootstrap.set_up_logging(settings.log_level)
        tell_missing(settings)
        yield bootstrap.open_service(settings, works=works)


def make_app(service: bootstrap.Service, settings: Settings) -> ASGIApp:
    """Make the application that answers for the service."""
    skew_ms = settings.server.max_clock_skew_seconds * 1000
    return create_app(service.context, ready=service.ready, max_clock_skew_ms=skew_ms)
