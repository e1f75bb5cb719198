"""Finds the texts of the console and brings its translation up to date: python -m tests.support.console_texts

It does what `pybabel extract`, `update` and `compile` do, but writes neither dates nor names, and never guesses: what is new
stands in console.po with an empty translation, and what is no longer said is gone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

import logkeep.console.app  # its import makes all errors of the console known
from logkeep.errors import LogkeepError

ROOT = Path(logkeep.__file__).parents[1]
MESSAGES = ROOT / "logkeep/console/locale/zh/LC_MESSAGES"
_KEYWORDS = {**DEFAULT_KEYWORDS, "N_": None, "texts": None}
_HEADER = [
    ("Language", "zh"),
    ("Plural-Forms", "nplurals=1; plural=0;"),
    ("MIME-Version", "1.0"),
    ("Content-Type", "text/plain; charset=utf-8"),
    ("Content-Transfer-Encoding", "8bit\n"),  # the last line ends too
]


class _Undated(Catalog):
    """Texts of a language, whose header says what readers need and nothing that changes with the day."""

    mime_headers: Any = property(lambda self: list(_HEADER), lambda self, given: None)


def find_texts() -> list[str | tuple[str, str]]:
    """Return what the console says in English, a pair where it depends on a number, each once."""
    with (ROOT / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)
    console = ROOT / "logkeep/console"
    found = extract_from_dir(ROOT, methods, options, _KEYWORDS, directory_filter=_leads_to(console))
    said: dict[str, str | tuple[str, str]] = {}
    for _, _, text, _, _ in found:
        one = text if isinstance(text, str) else text[0]
        if one not in said or isinstance(said[one], str):
            said[one] = text
    return [*said.values(), *(text for text in _errors() if text not in said)]


def _leads_to(folder: Path) -> Callable[[Any], bool]:
    return lambda path: Path(path) == folder or Path(path) in folder.parents or folder in Path(path).parents


def _errors() -> list[str]:
    """Return the messages of the console's own errors, which are docstrings."""
    own = [kind for kind in LogkeepError.__subclasses__() if kind.__module__.startswith("logkeep.console.")]
    return [(kind.__doc__ or "").strip() for kind in own]


def read_translation() -> Catalog:
    """Return console.po as it is."""
    return read_po(BytesIO((MESSAGES / "console.po").read_bytes()), locale="zh")


def update(before: Catalog) -> Catalog:
    """Return the texts of today, with the translations that there are."""
    after = _Undated(locale="zh", header_comment=before.header_comment, fuzzy=False)
    for text in find_texts():
        known = before.get(text if isinstance(text, str) else text[0])
        same = known and isinstance(known.id, str) == isinstance(text, str)
        after.add(text, known.string if known and same else None, user_comments=known.user_comments if known else ())
    return after


def write_source(texts: Catalog) -> bytes:
    """Return the bytes of console.po."""
    written = BytesIO()
    write_po(written, texts, width=120)
    return written.getvalue()


def compile_texts(texts: Catalog) -> bytes:
    """Return the bytes of console.mo."""
    written = BytesIO()
    write_mo(written, texts)
    return written.getvalue()


def main() -> None:
    texts = update(read_translation())
    (MESSAGES / "console.po").write_bytes(write_source(texts))
    (MESSAGES / "console.mo").write_bytes(compile_texts(texts))
    missing = [
        text.id for text in texts if text.id and not all([text.string] if isinstance(text.string, str) else text.string)
    ]
    print(f"{len(texts)} texts, {len(missing)} without a translation", *missing, sep="\n  ")
    sys.exit(1 if missing else 0)


if __name__ == "__main__":
    main()
