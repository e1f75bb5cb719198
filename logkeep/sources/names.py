"""File names as text: what is no printable UTF-8 is written '%XX', and so is '%' itself; reversible."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence

MAX_DEPTH = 8  # folders below a log directory; it is flat, deeper than this is a mistake
TOO_DEEP = (
    f"lies more than {MAX_DEPTH} folders below the log directory, and what it holds is not backed up; "
    "register a node whose source is that folder, or move it up"
)

_ODD = re.compile(r"[%\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_ESCAPE = re.compile(rb"%([0-9A-F]{2})")


def name_text(name: str) -> str:
    """Return the text form of a name as the operating system gives it (`os.fsdecode`)."""
    if name.isascii() and name.isprintable() and "%" not in name:
        return name
    return _ODD.sub(lambda odd: "".join(f"%{byte:02X}" for byte in os.fsencode(odd[0])), name)


def name_bytes(text: str) -> bytes:
    """Return the bytes of the name that `text` stands for."""
    return _ESCAPE.sub(lambda escape: bytes([int(escape[1], 16)]), text.encode())


def is_log_name(parts: Sequence[bytes], excluded: Callable[[str], bool]) -> bool:
    """Return whether a listing could contain a name of these parts: none leads elsewhere, and none is excluded."""
    *folders, base = map(os.fsdecode, parts)
    return (
        len(parts) <= MAX_DEPTH + 1
        and not any(part in {b"", b".", b".."} or b"\0" in part for part in parts)
        and not excluded(base)
        and not any(excluded(f"{folder}/") for folder in folders)
    )
