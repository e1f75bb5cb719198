"""What runs here, under which licences, and where its API is described."""

from __future__ import annotations

import platform
from functools import cache

from logkeep.console.answers import Answer
from logkeep.console.rendering import STATIC, show
from logkeep.console.routes import Page
from logkeep.console.visit import Visit


def show_about(visit: Visit) -> Answer:
    return show(visit, "about.html", python=platform.python_version(), licences=_licences())


@cache
def _licences() -> str:
    """Return the licences of what is served to browsers and is not ours."""
    return (STATIC / "LICENSES.txt").read_text("utf-8")


PAGES = (Page(path="/about", handler=show_about),)
