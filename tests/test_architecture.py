"""The directions of imports: data flows down this table, and what deviates from it says why."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import logkeep
from logkeep import errors
from logkeep.cli.app import COMMANDS
from logkeep.errors import JobError, LogkeepError

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "logkeep"

# What a folder (or file at the top) may import of ours, besides itself; docs/architecture.md shows the same table.
MAY_IMPORT: dict[str, set[str]] = {
    "__main__": {"cli"},
    "cli": {"bootstrap", "contract", "agent", "http", "service", "domain", "signing", "errors", "__version__"},
    "bootstrap": {
        "settings", "keyfiles", "notify", "api", "console", "work", "service", "backup", "archive", "database", "stores", "sources", "logformat", "domain",
        "watchdog", "clock", "errors", "__version__",
    },
    "api": {"contract", "signing", "service", "domain", "http", "errors"},
    "agent": {"sources", "http", "domain", "errors"},
    "http": {"errors"},
    "console": {"service", "domain", "http", "errors", "__version__"},
    "work": {"service", "backup", "archive", "database", "domain", "clock", "errors"},
    "service": {"backup", "archive", "search", "database", "domain", "sources.base", "stores.base", "stores.layout", "clock", "errors"},
    "search": {"domain", "logformat", "sources.base", "stores.frames", "errors"},
    "backup": {"archive", "domain", "logformat", "sources.base", "stores.base", "stores.layout", "stores.frames", "clock", "errors"},
    "archive": {"domain", "logformat", "sources.base", "stores.base", "stores.layout", "stores.frames", "clock", "errors"},
    "database": {"domain", "errors", "clock"},
    "notify": {"domain", "errors"},
    "sources": {"domain", "watchdog", "mounts", "errors", "clock"},
    "stores": {"domain", "watchdog", "errors", "clock"},
    "contract": {"domain", "errors", "clock"},
    "logformat": {"domain", "errors", "clock"},
    "domain": {"errors"},
    "settings": {"domain", "errors"},
    "keyfiles": {"domain", "errors"},
    "signing": set(),
    "watchdog": {"mounts"},
    "mounts": set(),
    "clock": set(),
    "errors": set(),
    "__init__": set(),
}  # fmt: skip

# (file, what it imports): the reason why it may.
DEVIATIONS: dict[tuple[str, str], str] = {
    ("settings.py", "logformat.names"): "the default of sources.exclude is knowledge about log names",
    ("cli/serve.py", "api.protocol"): "the process that serves gives the HTTP server its bounds",
    ("cli/application.py", "api.app"): "and puts the application into it",
    ("cli/application.py", "settings"): "as the settings say",
    ("cli/serve.py", "settings"): "the command line alone knows which directory is meant",
    ("cli/missing.py", "settings"): "what they name is looked for",
    ("cli/directory.py", "settings"): "the command line alone knows which directory is meant",
    ("cli/owner.py", "keyfiles.files"): "and tells by its key files whether it is an installation",
    ("cli/directory.py", "keyfiles.files"): "or one that has lost some",
    ("cli/directory.py", "keyfiles.installation_id"): "that is finished",
    ("cli/init.py", "settings"): "`init` writes the settings",
    ("cli/init.py", "keyfiles.creation"): "and makes the key files",
    ("cli/init.py", "keyfiles.files"): "where there is none that is damaged",
    ("cli/init.py", "keyfiles.installation_id"): "and the id beside them",
    ("cli/agent.py", "keyfiles.agent"): "an agent has a certificate and a token of its own",
    ("cli/agent.py", "logformat.names"): "an agent leaves out what is no log, before it leaves the node",
    ("cli/agent.py", "sources.local"): "and reads the directory as the service would",
    ("cli/agent.py", "sources.watched"): "and waits for it no longer",
    ("cli/agent.py", "watchdog"): "than it gives signs of progress",
    ("cli/agent.py", "sources.confinement"): "but nothing of its own",
    ("console/task.py", "contract.css.responses"): "a record is shown as the API returns it",
    ("console/tasks.py", "contract.native.tasks"): "and a download of tasks is the export of the API",
    ("cli/rebuild.py", "keyfiles.signing"): "the keys of an installation that was lost are trusted by its command",
    ("cli/client.py", "stores.frames"): "kept logs come in the frames in which they are stored",
    ("cli/stores.py", "stores.probe"): "`store check` tries a bucket without the service",
    ("cli/restore.py", "sources.names"): "names come as text forms and are written as the bytes they stand for",
    ("cli/demo_steps.py", "sources.names"): "names of files are told in the text form",
    ("cli/demo_node.py", "logformat.names"): "the demo's node rotates its logs under the names that log4j2 gives",
}

# Libraries that one folder keeps to itself, so that exchanging one touches one folder.
ONLY_IN: dict[str, set[str]] = {
    "dbos": {"work"},
    "opendal": {"stores"},
    "asyncssh": {"sources"},
    "alembic": {"database"},
    "typer": {"cli"},
    "rich": {"cli"},
    "uvicorn": {"cli", "api", "agent", "http"},
    "starlette": {"api", "agent", "bootstrap", "cli", "console", "http"},
    "jinja2": {"console"},
    "httpx": {"cli", "notify", "sources"},
    "apprise": {"notify"},
    "cryptography": {"keyfiles", "sources"},
    "zlib_ng": {"backup"},
    "numpy": {"logformat", "search"},
    "re2": {"search"},
    "prometheus_client": {"api"},
}


@dataclass(frozen=True)
class Import:
    file: str  # below the package
    module: str  # 'sources.base' for one of ours, 'dbos' for a library
    ours: bool
    typing_only: bool

    @property
    def unit(self) -> str:
        return self.file.split("/")[0].removesuffix(".py")


def imports_of(path: Path) -> Iterator[Import]:
    file = path.relative_to(PACKAGE).as_posix()
    tree = ast.parse(path.read_text("utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{file}: imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            top, _, rest = name.partition(".")
            ours = top == "logkeep"
            yield Import(file, _module(rest) if ours else top, ours, id(node) in typing_only)


def _module(dotted: str) -> str:
    """`sources.base.LogSource` -> `sources.base`: the part that is a file."""
    parts = dotted.split(".")
    while len(parts) > 1 and not (
        PACKAGE.joinpath(*parts).with_suffix(".py").exists() or PACKAGE.joinpath(*parts).is_dir()
    ):
        parts.pop()
    return ".".join(parts)


IMPORTS = [found for path in sorted(PACKAGE.rglob("*.py")) for found in imports_of(path)]


def may(found: Import) -> bool:
    allowed = MAY_IMPORT[found.unit]
    own = found.module.split(".")[0] == found.unit
    return own or bool({found.module, found.module.split(".")[0]} & allowed)


def test_every_folder_stands_in_the_table() -> None:
    units = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in PACKAGE.rglob("*.py")}
    assert units <= set(MAY_IMPORT)


def test_imports_follow_the_table() -> None:
    wrong = [
        f"{found.file} imports {found.module}"
        for found in IMPORTS
        if found.ours and not may(found) and (found.file, found.module) not in DEVIATIONS
    ]
    assert not wrong, "see MAY_IMPORT; a deviation needs its reason in DEVIATIONS"


def test_no_deviation_is_stale() -> None:
    there = {(found.file, found.module) for found in IMPORTS if found.ours and not may(found)}
    assert set(DEVIATIONS) == there


@pytest.mark.parametrize("library", sorted(ONLY_IN))
def test_a_library_stays_in_its_folder(library: str) -> None:
    users = {found.unit for found in IMPORTS if not found.ours and found.module == library}
    assert users <= ONLY_IN[library]


def test_files_do_not_import_each_other_in_circles() -> None:
    graph: dict[str, set[str]] = {}
    for found in IMPORTS:
        if found.ours and not found.typing_only:
            graph.setdefault(found.file.removesuffix(".py").replace("/", "."), set()).add(found.module)
    graph["cli.app"] |= {f"cli.{module}" for module, _ in COMMANDS.values()}  # imported by name
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")


def find_error_classes(parent: type[LogkeepError] = LogkeepError) -> Iterator[tuple[str, str, str, str]]:
    """Yield name, parent, file and stable code of each public error of the package, below one of them."""
    for kind in parent.__subclasses__():
        if kind.__module__.startswith("logkeep.") and not kind.__name__.startswith("_"):
            file = kind.__module__.partition(".")[2].replace(".", "/") + ".py"
            yield kind.__name__, parent.__name__, file, getattr(kind, "code", "") if issubclass(kind, JobError) else ""
        yield from find_error_classes(kind)


def read_drawn_errors() -> Iterator[tuple[str, str, str, str]]:
    """Yield the same from the tree that the docstring of errors.py draws: `── Name   file.py: LK-CODE`."""
    above = ["LogkeepError"]
    for lines, name, about in re.findall(r"^ {4}([│ ]*)[├└]── (\w+) *(.*)$", str(errors.__doc__), re.MULTILINE):
        depth = len(lines) // 4 + 1
        file = re.match(r"[\w/]+\.py(?=:)", about)
        code = re.search(r"LK-[A-Z-]+", about)
        yield name, above[depth - 1], file[0] if file else "errors.py", code[0] if code else ""
        above[depth:] = [name]


def test_the_tree_of_errors_holds_every_error() -> None:
    for module in pkgutil.walk_packages(logkeep.__path__, "logkeep."):
        if not module.name.startswith(("logkeep.__main__", "logkeep.database.migrations")):
            importlib.import_module(module.name)
    drawn = {tuple(error): code for *error, code in read_drawn_errors()}
    there = {tuple(error): code for *error, code in find_error_classes()}
    assert set(drawn) == set(there), "draw it in logkeep/errors.py"
    assert {error: code for error, code in drawn.items() if code not in {"", there[error]}} == {}


def _waits_without_a_bound(path: Path) -> Iterator[int]:
    """Lines that read a program's pipe by themselves, or wait for a program as long as it likes."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr in {"read", "readline", "readlines"}:
            if ast.unparse(node.value).endswith((".stdout", ".stderr")):
                yield node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not (node.args or node.keywords):
            deed, program = node.func.attr, "process" in ast.unparse(node.func.value)
            if deed == "communicate" or (deed == "wait" and program):
                yield node.lineno


@pytest.mark.parametrize("folder", ["tests", "benchmarks", "conformance"])
def test_programs_are_waited_for_with_a_bound(folder: str) -> None:
    """By `tests.support.processes`: the line that is waited for may be behind others, or never come."""
    wrong = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line in _waits_without_a_bound(path)
    ]
    assert not wrong
