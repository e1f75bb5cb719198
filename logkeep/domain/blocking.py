"""Work that the event loop must not wait for."""

from __future__ import annotations


class WouldBlock(Exception):
    """It would have to wait; a thread does it from the beginning, and no caller sees this."""
