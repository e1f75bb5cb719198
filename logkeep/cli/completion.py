"""`completion`: the script by which a shell completes the words of `logkeep`, and what it asks for these words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from enum import Enum, StrEnum
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from logkeep.cli.ending import finish_within
from logkeep.cli.invocation import EVERYWHERE, CommonOptions, common_first, invocation
from logkeep.cli.output import print_json, print_line

_NAMES_SECONDS = 1.0  # that a person waits at most for names that the service tells
# Other names would mean something to the shell: `$(…)`, a space, an option.
_PLAIN_NAME = re.compile(r"(?!-)[\w.+-]+")


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


# Each calls the command that was typed, with the words up to the cursor; where it says nothing, files are offered.
_SCRIPTS = {
    Shell.BASH: """\
_logkeep() {
    local -a typed
    read -ra typed <<<"${COMP_LINE:0:COMP_POINT}"
    [[ ${COMP_LINE:0:COMP_POINT} == *[[:space:]] ]] && typed+=("")
    mapfile -t COMPREPLY < <(_LOGKEEP_COMPLETE=bash "${typed[0]/#\\~/$HOME}" "${typed[@]:1}" 2>/dev/null)
}
complete -o default -F _logkeep logkeep""",
    Shell.ZSH: """\
#compdef logkeep
_logkeep() {
    local -a found
    found=("${(@f)$(_LOGKEEP_COMPLETE=zsh ${~words[1]} "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "$found" ]]; then _describe logkeep found; else _files; fi
}
if [[ "$funcstack[1]" == _logkeep ]]; then _logkeep "$@"; else compdef _logkeep logkeep; fi""",
    Shell.FISH: """\
function __logkeep_complete
    set -l words (commandline --tokenize --cut-at-cursor --current-process)
    set -l begun (commandline --current-token --cut-at-cursor)
    set -l found (_LOGKEEP_COMPLETE=fish $words[1] $words[2..] "$begun" 2>/dev/null)
    if set -q found[1]
        printf '%s\\n' $found
    else
        __fish_complete_path "$begun"
    end
end
complete --command logkeep --no-files --arguments '(__logkeep_complete)'""",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A word that may stand at the cursor."""

    word: str
    help: str = ""  # in one line


def add_commands(own: typer.Typer) -> None:
    own.command("completion", epilog=EVERYWHERE)(completion)


def completion(
    context: typer.Context, shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish", help="Which shell.")]
) -> None:
    """Print a script that completes commands in a shell.

    For the shell that is open: source <(logkeep completion bash), the same with zsh, and logkeep completion fish |
    source. docs/commands.md says where each shell looks for it when it starts.
    """
    if invocation(context).as_json:
        print_json({"shell": shell, "script": f"{_SCRIPTS[shell]}\n"})
    else:
        print_line(_SCRIPTS[shell])


def complete(shell: str, words: Sequence[str], root: Any) -> int:
    """Print what may stand in place of the last word, one in a line as the script of a shell reads it."""
    *before, begun = words or [""]
    option, equals, value = begun.partition("=")
    if equals and option.startswith("--"):
        before, begun = [*before, option], value
    else:
        option = equals = ""
    for candidate in find_candidates(root, before, begun):
        if candidate.word.startswith(begun):
            # To bash `=` begins a word, to the others it does not.
            print(_line(shell, candidate, "" if shell == Shell.BASH else f"{option}{equals}"))
    return 0


def _line(shell: str, candidate: Candidate, before: str) -> str:
    word = f"{before}{candidate.word}"
    if shell == Shell.BASH:
        return word
    if shell == Shell.FISH:
        return f"{word}\t{candidate.help}"
    return word.replace(":", "\\:") + (f":{candidate.help}" if candidate.help else "")


def find_candidates(root: Any, before: Sequence[str], begun: str) -> list[Candidate]:
    """Return what may follow the words before; nothing where that is a file, or not known."""
    context = root.make_context("logkeep", common_first(before), resilient_parsing=True)
    command, given, option = _walk(context, before)
    if option:
        return list(_values(context, option))
    if begun.startswith("-"):
        return list(_options(root, command))
    if isinstance(command, TyperGroup):
        below = {} if given else command.commands  # a word that is no command is a mistake
        return [Candidate(name, one.get_short_help_str(80)) for name, one in below.items()]
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    return [candidate for argument in _at(arguments, given) for candidate in _values(context, argument)]


def _walk(context: Any, before: Sequence[str]) -> tuple[Any, int, Any]:
    """Return the command that the words call, how many arguments it has, and the option whose value comes next."""
    command, given, option = context.command, 0, None
    for word in before:
        if option:
            option = None
        elif word.startswith("-"):  # `--by=day` is no option by name, and has its value
            named = (one for one in _parameters(context.command, command) if word in one.opts)
            option = next((one for one in named if not one.is_flag), None)
        elif isinstance(command, TyperGroup) and word in command.commands:
            command = command.resolve_command(context, [word])[1]
        else:
            given += 1
    return command, given, option


def _parameters(root: Any, command: Any) -> Iterator[Any]:
    """Yield the options of a command, and those that every command takes."""
    for parameter in [*command.params, *(root.params if command is not root else ())]:
        if parameter.param_type_name == "option":
            yield parameter


def _options(root: Any, command: Any) -> Iterator[Candidate]:
    for parameter in _parameters(root, command):
        if command is root or "--version" not in parameter.opts:
            for name in (*parameter.opts, *parameter.secondary_opts):
                yield Candidate(name, " ".join((parameter.help or "").split()))
    yield Candidate("--help", "Show this message and exit.")


def _at(arguments: Sequence[Any], given: int) -> Sequence[Any]:
    """Return the argument that comes after so many; the last one where it takes any number."""
    if given >= len(arguments) and arguments and arguments[-1].nargs == -1:
        return arguments[-1:]
    return arguments[given : given + 1]


def _values(context: Any, parameter: Any) -> Iterator[Candidate]:
    metavar = (parameter.metavar or "").strip("[]").removesuffix("...")
    kind = parameter.type_descriptor.annotation
    if metavar == "CLUSTER" and parameter.param_type_name == "argument":
        yield from (Candidate(name) for name in _cluster_names(context) if _PLAIN_NAME.fullmatch(name))
    elif "|" in metavar:
        yield from (Candidate(word) for word in metavar.split("|") if word.islower())  # capitals stand for a value
    elif isinstance(kind, type) and issubclass(kind, Enum):
        yield from (Candidate(f"{choice.value}") for choice in kind)


def _cluster_names(context: Any) -> list[str]:
    """Return the names of all clusters; none where the service does not tell them in time, for whatever reason."""
    asked = CommonOptions(**{field.name: context.params[field.name] for field in fields(CommonOptions)})
    found: list[str] = []

    def ask() -> None:
        from logkeep.cli.access import find_access  # noqa: PLC0415
        from logkeep.cli.client import ServiceClient  # noqa: PLC0415  takes as long as all the rest together

        with closing(ServiceClient(find_access(asked))) as client:
            found.extend(cluster.name for cluster in client.list_clusters())

    return found if finish_within(_NAMES_SECONDS, ask) else []
