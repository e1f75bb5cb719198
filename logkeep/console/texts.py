"""The languages of the console, and how it writes times, sizes and numbers."""

from __future__ import annotations

import gettext
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from markupsafe import Markup

LANGUAGES = {"en": "English", "zh": "中文"}
_LOCALE = Path(__file__).parent / "locale"
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_SECOND, _MINUTE, _HOUR, _DAY = 1000, 60_000, 3_600_000, 86_400_000


class Texts:
    """Texts of one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.translations = gettext.translation("console", _LOCALE, [language], fallback=language == "en")

    def __call__(self, text: str) -> str:
        return self.translations.gettext(text)

    def size(self, number: int) -> str:
        """Return bytes as 12.3 MiB."""
        value, unit = float(number), 0
        while value >= 1000 and unit < len(_UNITS) - 1:
            value, unit = value / 1024, unit + 1
        return f"{value:.0f} {_UNITS[unit]}" if unit == 0 or value >= 100 else f"{value:.1f} {_UNITS[unit]}"

    def number(self, number: int) -> str:
        return f"{number:,}"

    def duration(self, ms: int) -> str:
        """Return a duration as 3.2 s, 4 min 5 s, 3 h 20 min or 2 d 4 h."""
        _ = self  # the name by which texts are found
        if ms < _MINUTE:
            return _("%(n)s s") % {"n": f"{ms / _SECOND:.1f}" if ms < 10 * _SECOND else ms // _SECOND}
        days, hours, minutes, seconds = ms // _DAY, ms % _DAY // _HOUR, ms % _HOUR // _MINUTE, ms % _MINUTE // _SECOND
        if ms < _HOUR:
            return _("%(minutes)s min %(seconds)s s") % {"minutes": minutes, "seconds": seconds}
        if ms < _DAY:
            return _("%(hours)s h %(minutes)s min") % {"hours": hours, "minutes": minutes}
        return _("%(days)s d %(hours)s h") % {"days": days, "hours": hours}

    def age(self, moment: int, now: int) -> str:
        """Return how long ago a moment was, or in how long it is, roughly."""
        _ = self
        ms = abs(now - moment)
        if ms < _MINUTE:
            return _("just now") if moment <= now else _("in less than a minute")
        return (_("%s ago") if moment <= now else _("in %s")) % self.roughly(ms)

    def roughly(self, ms: int) -> str:
        """Return a duration as 20 min, 5 h or 3 d."""
        _ = self
        if ms < _HOUR:
            return _("%(n)s min") % {"n": ms // _MINUTE}
        if ms < 2 * _DAY:
            return _("%(n)s h") % {"n": ms // _HOUR}
        return _("%(n)s d") % {"n": ms // _DAY}

    def time(self, moment: int | None) -> Markup:
        """Return a moment (Unix ms) in UTC, as an element that the script shows in the reader's zone besides."""
        if moment is None:
            return Markup("–")
        try:
            when = datetime.fromtimestamp(moment / 1000, UTC)
        except (OverflowError, ValueError, OSError):
            return Markup("{}").format(moment)
        stamp = when.strftime("%Y-%m-%dT%H:%M:%SZ")
        return Markup('<time datetime="{}">{}&nbsp;UTC</time>').format(stamp, when.strftime("%Y-%m-%d\u00a0%H:%M:%S"))


@cache
def texts_of(language: str) -> Texts:
    return Texts(language)


def choose_language(cookie: str, accepted: str) -> str:
    """Return the language that the reader chose, else the first of those that the browser accepts that we have."""
    if cookie in LANGUAGES:
        return cookie
    for part in _by_weight(accepted):
        if (language := part.partition("-")[0]) in LANGUAGES:
            return language
    return "en"


def _by_weight(accepted: str) -> Sequence[str]:
    """Return the languages of an Accept-Language header, the most wanted first."""
    weighted: list[tuple[float, str]] = []
    for part in accepted[:1000].lower().split(","):
        name, _, weight = part.replace(" ", "").partition(";q=")
        try:
            weighted.append((-float(weight or 1), name))
        except ValueError:
            continue
    return [name for _, name in sorted(weighted, key=lambda pair: pair[0])]
