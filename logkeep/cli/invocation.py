"""Options that every command has, and where on the command line they may stand."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

DEFAULT_DIRECTORY = Path("logkeep-data")
EVERYWHERE = (
    "Every command also takes --dir, --json, --debug, --endpoint, --ak, --sk, --security-token and --project-id: "
    "logkeep --help."
)

_FLAGS = frozenset({"--json", "--debug"})
_WITH_VALUE = frozenset({"--dir", "--endpoint", "--ak", "--sk", "--security-token", "--project-id"})


@dataclass(frozen=True, slots=True)
class CommonOptions:
    """Values of the common options."""

    directory: Path = DEFAULT_DIRECTORY
    as_json: bool = False
    debug: bool = False
    endpoint: str = ""  # '' where it is not said, and so are the others
    ak: str = ""
    sk: str = ""
    project_id: str = ""
    security_token: str = ""

    @property
    def command(self) -> str:
        """Return how to call this installation's `logkeep`, for a hint."""
        return "logkeep" if self.directory == DEFAULT_DIRECTORY else f"logkeep --dir {shlex.quote(str(self.directory))}"


def invocation(context: typer.Context) -> CommonOptions:
    """Return the common options of the command under way."""
    found = context.find_object(CommonOptions)
    assert found is not None
    return found


def common_first(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with the common options moved to the front: they may stand anywhere."""
    common: list[str] = []
    others: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        name, equals, _ = argument.partition("=")
        if argument == "--":
            others += [argument, *rest]
        elif argument in _FLAGS or (name in _WITH_VALUE and equals):
            common.append(argument)
        elif argument in _WITH_VALUE:
            common += [argument, *_next(rest)]
        else:
            others.append(argument)
    return common + others


def _next(rest: Iterator[str]) -> list[str]:
    value = next(rest, None)
    return [] if value is None else [value]
