"""The documentation names everything there is, and nothing that there is not; the commands it shows are run."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import typer.main

from logkeep import errors
from logkeep.api import native
from logkeep.cli import app
from logkeep.cli.app import run
from logkeep.contract.codes import FAULTS
from logkeep.contract.css.operations import OPERATIONS as CSS_OPERATIONS
from logkeep.contract.iam.operations import OPERATIONS as IAM_OPERATIONS
from logkeep.domain.causes import Cause
from logkeep.domain.warning import WarningCode
from logkeep.settings import _NOT_SETTINGS, _SECTIONS, Agency, Bucket, NodeAgent, Settings, Target
from tests.integration.cli.installed import CONFIGURATION, serving
from tests.support.messages import commands_of_messages, parse_command, table_heads

ROOT = Path(__file__).parent.parent
DOCS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *(ROOT / "changes").glob("*.md"),
]
CITING = {".py", ".md", ".yaml", ".yml", ".json", ".go", ".java"}  # suffixes of files that may cite a page
COMMON = {"--dir", "--json", "--endpoint", "--ak", "--sk", "--security-token", "--project-id", "--debug"}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], set[str]]]:
    """Yield the path and the options of a command, or of each command of a group."""
    below = getattr(command, "commands", None)
    if below is None:
        yield path, {option for parameter in command.params for option in parameter.opts if option.startswith("-")}
        return
    for name, inner in below.items():
        yield from commands(inner, (*path, name))


COMMANDS = dict(found for name in app.COMMANDS for found in commands(app.load_command(name), (name,)))


# What there is, is documented


def test_every_command_and_option_is_documented() -> None:
    sections = re.split(r"^### ", text_of("docs/commands.md"), flags=re.MULTILINE)
    for path, options in COMMANDS.items():
        heading = f"`logkeep {' '.join(path)}"
        found = [section for section in sections if re.match(rf"{re.escape(heading)}[` ]", section)]
        assert len(found) == 1, f"{heading} has no section of its own"
        missing = {option for option in options if f"{option} " not in found[0] and f"{option}`" not in found[0]}
        assert not missing, f"{heading}: {missing}"


def test_the_common_options_are_documented() -> None:
    head = text_of("docs/commands.md").partition("## Installation")[0]
    assert {option for option in COMMON | {"--version"} if option not in head} == set()
    root: Any = typer.main.get_command(app.app)
    assert {option for parameter in root.params for option in parameter.opts} - {"--version"} == COMMON


def test_every_setting_is_documented_with_its_default() -> None:
    text = text_of("docs/configuration.md")
    for section, kind in _SECTIONS.items():
        for name in kind.__struct_fields__:
            default = getattr(kind(), name)
            shown = f'"{default}"' if isinstance(default, str) else "" if isinstance(default, tuple) else f"{default}"
            assert re.search(rf"^\| `{section}\.{name}` \| [^|]*{re.escape(shown)}", text, re.MULTILINE), (
                section,
                name,
            )
    for name in ("database", "log_level"):
        assert f"| `{name}` |" in text
    assert {"directory", "database", "log_level", *_SECTIONS, "buckets", "agencies", "agents", "notify"} == set(
        Settings.__struct_fields__
    )


def test_buckets_agencies_and_what_is_left_out_are_documented() -> None:
    text = text_of("docs/configuration.md")
    for table, kind in (("buckets", Bucket), ("agencies", Agency), ("agents", NodeAgent), ("notify", Target)):
        for name in kind.__struct_fields__:
            assert f"`{table}.NAME.{name}`" in text
    exclude: tuple[str, ...] = _SECTIONS["sources"]().exclude  # type: ignore[attr-defined]
    assert [pattern for pattern in exclude if f"`{pattern}`" not in text] == []


def test_every_variable_of_the_command_line_is_documented() -> None:
    text = text_of("docs/configuration.md")
    assert [name for name in _NOT_SETTINGS if f"`{name}`" not in text] == []


def test_every_error_code_is_documented() -> None:
    text = text_of("docs/errors.md")
    codes = {
        kind.code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.JobError)
    }
    assert [code for code in sorted(codes) if code not in text] == []
    answers = {(str(fault.status), fault.code) for fault in FAULTS.values()}
    rows = re.findall(r"^\| ([\d, ]+) \| ([A-Z]+\.\d{4}) \|", text, re.MULTILINE)
    documented = {(status, code) for statuses, code in rows for status in statuses.split(", ")}
    assert answers <= documented
    assert {code for _, code in documented} == {code for _, code in answers}, "a code that nothing answers with"


def test_every_cause_is_documented_with_its_remedy() -> None:
    rows = re.findall(r"^\| (LK-[A-Z-]+) \| (.+) \| (.+) \|$", text_of("docs/errors.md"), re.MULTILINE)
    table = [(code, re.sub(r"\{\w+\}", "…", what), remedy) for code, what, remedy in (cause.value for cause in Cause)]
    assert [row for row in rows if row[0] in {code for code, *_ in table}] == table


def test_every_warning_code_is_documented() -> None:
    section = text_of("docs/errors.md").partition("### Warnings")[2].partition("\n### ")[0]
    assert re.findall(r"^\| (LK-[A-Z-]+) \|", section, re.MULTILINE) == sorted(WarningCode)


def test_every_operation_is_documented() -> None:
    text = text_of("docs/compatibility.md")
    for operation in (*CSS_OPERATIONS, *IAM_OPERATIONS, *(operation for operation, _ in native.HANDLERS)):
        assert f"| {operation.id} |" in text
    for operation, _ in native.HANDLERS:
        assert f"`{operation.method} {operation.path}" in text
    assert [
        operation.id for operation in (*CSS_OPERATIONS, *IAM_OPERATIONS) if operation.id not in text_of("README.md")
    ] == []


def test_the_import_table_is_the_one_that_is_tested() -> None:
    from tests.test_architecture import MAY_IMPORT

    text = text_of("docs/architecture.md")
    named = {name for row in re.findall(r"^\| (`[^|]+) \|", text, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert named == set(MAY_IMPORT) - {"__init__"}


# What is documented, there is


def shown_commands(text: str, fence: str = r"\w*") -> Iterator[list[str]]:
    """The words of each `logkeep …` line in fenced blocks."""
    for block in re.findall(rf"^```{fence}\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("logkeep "):
                yield shlex.split(line, comments=True)[1:]


@pytest.mark.parametrize("document", DOCS, ids=relative)
def test_the_commands_shown_exist(document: Path) -> None:
    text = document.read_text("utf-8")
    inline = [shlex.split(line)[1:] for line in re.findall(r"`(logkeep [a-z][^`…]*)`", text)]
    for shown in [*shown_commands(text), *inline]:
        words = [word for word in shown if word.partition("=")[0] not in COMMON]
        path = next((path for path in COMMANDS if tuple(words[: len(path)]) == path), None)
        group = any(tuple(words) == path[: len(words)] for path in COMMANDS)
        assert path or group or words == ["COMMAND"], f"logkeep {' '.join(words)}"
        options = {word.partition("=")[0] for word in words if word.startswith("--") and word != "--help"}
        assert options <= COMMANDS.get(path or (), set()), f"logkeep {' '.join(words)}"


@pytest.mark.parametrize(("where", "shown"), sorted(set(commands_of_messages(ROOT / "logkeep"))))
def test_a_command_in_a_message_works_when_it_is_pasted(where: str, shown: str) -> None:
    parse_command(shlex.split(shown))


def test_commands_of_the_documented_remedies_are_complete() -> None:
    for line in re.findall(r"`(logkeep [a-z][^`…]*)`", text_of("docs/errors.md")):
        parse_command(shlex.split(line))


@pytest.mark.parametrize("document", [path for path in DOCS if path.parent.name != "changes"], ids=relative)
def test_the_commands_shown_are_complete(document: Path) -> None:
    """Those in blocks, and those in a line that say more than the name of a command. Notes of releases name options."""
    text = document.read_text("utf-8")
    prose = re.sub(r"^#.*", "", text, flags=re.MULTILINE)  # a heading is no command to be pasted
    inline = [shlex.split(line) for line in re.findall(r"`(logkeep [a-z][^`…]*)`", prose)]
    for words in [*(["logkeep", *words] for words in shown_commands(text)), *inline]:
        if tuple(words[1:]) not in COMMANDS and not any(
            tuple(words[1:]) == path[: len(words) - 1] for path in COMMANDS
        ):
            parse_command(words)


@pytest.mark.parametrize("document", DOCS, ids=relative)
def test_the_columns_that_are_named_exist(document: Path) -> None:
    others = {"GET", "POST", "PUT", "DELETE", "RUNNING", "SUCCESS", "FAIL", "MISSED", "GLACIER"}
    named = set(re.findall(r"`([A-Z]{3,}(?: [A-Z]+)*)`", document.read_text("utf-8")))
    assert named - others <= table_heads(ROOT / "logkeep" / "cli")


@pytest.mark.parametrize("document", ["README.md", "docs/running.md"])
def test_the_commands_shown_work_in_their_order(
    document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those in blocks of `sh`, with a directory of this test as the node's."""
    for name in [name for name in os.environ if name.startswith("LOGKEEP_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    logs = tmp_path / "opensearch"
    logs.mkdir()
    (logs / "oslogs_server.json").write_bytes(b'{"type": "server"}\n' * 10)
    (tmp_path / "logkeep-data").mkdir()
    (tmp_path / "logkeep-data" / "logkeep.toml").write_text(CONFIGURATION)
    with ExitStack() as running:
        for words in shown_commands(text_of(document), "sh"):
            if words == ["serve"]:
                running.enter_context(serving(tmp_path / "logkeep-data"))
            else:
                assert run([word.replace("/var/log/opensearch", str(logs)) for word in words]) == 0, (
                    words, capsys.readouterr().err,
                )  # fmt: skip


@pytest.mark.parametrize("document", DOCS, ids=relative)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", document.read_text("utf-8")):
        if "://" not in target:
            assert (document.parent / target).exists(), target


def headings(document: Path) -> list[str]:
    return re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", document.read_text("utf-8"), flags=re.M | re.S), re.M)


def anchor(heading: str) -> str:
    """Return the id that GitHub gives a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("document", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_to_a_section_lead_to_a_heading(document: Path) -> None:
    for target, section in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", document.read_text("utf-8")):
        page = (document.parent / target).resolve() if target else document
        assert section in [anchor(heading) for heading in headings(page)], f"{target}#{section}"


def citing_files() -> Iterator[Path]:
    folders = ("logkeep", "tests", "conformance", "benchmarks", "deploy", "docs", "changes")
    yield from (
        path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in CITING and path.is_file()
    )
    yield from (ROOT / name for name in ("README.md", "CONTRIBUTING.md", "Makefile", "pyproject.toml"))


def citations(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each page that a text names, with the sections it names: docs/contract.md, "Period" and "StartLogs"."""
    joined = re.sub(r"\s*\n\s*(# )?", " ", text.replace('\\"', '"'))
    for page, sections in re.findall(r'(?<![\w/.-])(?<!/ ")([\w./-]+\.md)\b((?:(?:,| and) "[^"]+")*)', joined):
        yield page, re.findall('"([^"]+)"', sections)


def find_wrong_citations(path: Path) -> Iterator[str]:
    for page, sections in citations(path.read_text("utf-8")):
        places = [ROOT / page, path.parent / page] if path.suffix == ".md" else [ROOT / page]
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            yield f"{path}: there is no {page}"
        elif unknown := set(sections) - set(headings(found)):
            yield f"{path}: {page} has no section {unknown}"
        elif not sections and path.suffix != ".md" and found.stem == "contract":
            yield f"{path}: name the section of {page}"


def test_pages_and_sections_that_are_cited_exist() -> None:
    assert [wrong for path in citing_files() for wrong in find_wrong_citations(path)] == []


def test_the_tests_that_prove_a_promise_exist() -> None:
    promises = text_of("docs/promises.md").split("\n## ")[1:]
    assert [promise.partition(" ")[0] for promise in promises] == [
        f"P{number}:" for number in range(1, len(promises) + 1)
    ]
    for promise in promises:
        named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", promise)
        assert named, promise[:80]
        for file, name in named:
            assert re.search(rf"^(def|class) {name}\b|^{name} = ", text_of(file), re.MULTILINE), (file, name)


def test_the_makefile_targets_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    for document in DOCS:
        for line in re.findall(r"(?:^|`)make ([a-z][a-z -]*)", document.read_text("utf-8"), re.MULTILINE):
            assert set(line.split()) <= targets, f"{document.name}: make {line}"


def test_decisions_have_their_four_headings() -> None:
    for path in (ROOT / "docs" / "decisions").glob("*.md"):
        headings = re.findall(r"^#{2,3} (.*)$", path.read_text("utf-8"), re.MULTILINE)
        assert headings == ["Context and Problem Statement", "Considered Options", "Decision Outcome", "Consequences"]
