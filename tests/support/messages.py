"""The commands that messages of the code name, as somebody pastes them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import typer.main

from logkeep.cli.app import app
from logkeep.cli.invocation import common_first

_SHOWN = re.compile(r"`(logkeep [a-z-][^`]*)`|:  (logkeep .+)|see (logkeep .+)")
_FILLED_IN = (
    (r"(asked\.)?command$", "logkeep"),
    (r"again$|rebuild_command\(", "logkeep rebuild --from 5"),
    (r".*quote\(", "'a name'"),
    (r".*(cluster|found|node)\.name$|.*cluster_name$", "a name"),  # which may have spaces, and so is to be quoted
    (r".*\.role$", "reader"),
    (r"", "5"),
)


def parse_command(words: list[str]) -> None:
    """Read it as the command line does, without carrying it out. Raises a `TyperException`."""
    command: Any = typer.main.get_command(app)
    context = command.make_context("logkeep", common_first(words[1:]))
    while hasattr(command, "commands"):
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        context = command.make_context(name, rest, parent=context)


def commands_of_messages(folder: Path) -> Iterator[tuple[str, str]]:
    """Where a message stands, and the command in it; what is known only at the moment is 5."""
    for path in sorted(folder.rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        for node in _messages(tree):
            for shown in _SHOWN.findall(_text(node)):
                yield f"{path.name}:{node.lineno}", "".join(shown)


@cache
def table_heads(folder: Path) -> frozenset[str]:
    """The columns of all tables that commands print, without the time zone in brackets."""
    calls = [node for path in folder.rglob("*.py") for node in ast.walk(ast.parse(path.read_text("utf-8")))]
    tables = [node.args[0] for node in calls if isinstance(node, ast.Call) and ast.unparse(node.func) == "print_table"]
    texts = [_text(head) for table in tables if isinstance(table, ast.Tuple) for head in table.elts]
    return frozenset(text.partition(" (")[0] for text in texts)


def _messages(tree: ast.AST) -> Iterator[ast.JoinedStr | ast.Constant]:
    """Strings but for docstrings, the help of options, and parts of other strings."""
    others: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            others.add(node.value)
        if isinstance(node, ast.Call):
            others |= {one.value for one in node.keywords if one.arg == "help"}
        if isinstance(node, ast.JoinedStr):
            others |= set(node.values)
        if isinstance(node, ast.JoinedStr | ast.Constant) and node not in others:
            yield node


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_text, node.values))
    if isinstance(node, ast.FormattedValue):
        source = ast.unparse(node.value)
        return next(text for pattern, text in _FILLED_IN if re.match(pattern, source))
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
