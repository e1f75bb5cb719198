"""Zones of times as logs write them: within one zone, times sort as text."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, func

_AT = len("2026-11-24T06:40:21,123") + 1  # in SQL the first character is 1


def zone_of(time: ColumnElement[str]) -> ColumnElement[Any]:
    """Return what a time ends in, by which rows are grouped before the first or the last one is asked for."""
    return func.substr(time, _AT)
