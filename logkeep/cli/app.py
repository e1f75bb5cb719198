"""The command `logkeep`: its groups of commands, and the one place where errors become a sentence and an exit code."""

from __future__ import annotations

import errno
import os
import re
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from logkeep import __version__
from logkeep.cli.errors import CommandFailed, NotCarriedOut, ServiceFault, UsageError
from logkeep.cli.invocation import DEFAULT_DIRECTORY, CommonOptions, common_first
from logkeep.cli.output import note, print_line
from logkeep.cli.owner import check_readable, is_installation
from logkeep.domain.causes import Cause
from logkeep.errors import LogkeepError, NameTaken, RequestError, SettingError

# Commands on the directory of an installation, which the directory of a client elsewhere is not.
_WHERE_IT_RUNS = frozenset({"key", "project", "user", "store", "audit", "workers", "migrate", "sweep", "rebuild"})

WRONG_USE, FAILED, NOT_CARRIED_OUT, INTERRUPTED = 2, 1, 3, 130

# A variable that the script of a shell sets: to the shell, when it asks which words may follow those given.
COMPLETING = "_LOGKEEP_COMPLETE"

# Every command and group, in the order of `logkeep --help`: its module in logkeep.cli, and its short help, so that
# `--help` need not import that module.
COMMANDS = {
    "demo": ("demo", "Show the main job on real logs, then serve."),
    "init": ("init", "Make an installation: settings, database, bucket, keys."),
    "serve": ("serve", "Run the service until Ctrl-C or SIGTERM."),
    "worker": ("worker", "Carry out backups; many machines may share one database."),
    "console": ("console", "Print a link that signs in to the web console once."),
    "completion": ("completion", "Print a script that completes commands in a shell."),
    "workers": ("worker", "Show the processes that share the database."),
    "migrate": ("worker", "Bring the database to the tables of this version."),
    "agent": ("agent", "Serve the log directory of this node over HTTPS, read-only."),
    "audit": ("audit", "List who changed what, and who was refused, newest first."),
    "status": ("status", "Show how all clusters stand, worst first, and what to do."),
    "usage": ("usage", "Show what the archive takes, how it grows, and a forecast."),
    "notices": ("notices", "List what was told of changes, and whether it arrived."),
    "notify": ("notices", "Targets that notices are sent to."),
    "backup": ("backups", "Back up what is new in the logs of a cluster."),
    "records": ("backups", "List the backups of a cluster, or of all, newest first."),
    "tasks": ("tasks", "List backups and missed daily runs, newest first."),
    "coverage": ("coverage", "Show which span of each log is held, and what is missing."),
    "restore": ("archive", "Write kept logs to a directory, or to standard output."),
    "search": ("search", "Find the lines of logs that contain a text."),
    "histogram": ("histogram", "Count kept records, or lines with a text, over time."),
    "index": ("index", "Index kept logs now, so that `search` reads little."),
    "verify": ("verification", "Prove that the archive of a cluster is whole."),
    "retention": ("retention", "Rules by which kept logs are removed."),
    "protect": ("protection", "Keep what a backup stored, or a span of time, from every rule."),
    "unprotect": ("protection", "End a protection, so that the rules hold again."),
    "sweep": ("sweep", "List or remove objects that no manifest names."),
    "rebuild": ("rebuild", "Make a lost database anew from what lies in the buckets."),
    "store": ("stores", "Buckets, where logs are kept."),
    "project": ("identity", "Projects: tenants that see only their own."),
    "key": ("identity", "Access keys, each of one project."),
    "user": ("users", "Users, who get tokens for a password; each of one project."),
    "cluster": ("clusters", "Clusters whose logs are kept."),
    "logs": ("logs", "Whether, where and when the logs of a cluster are kept."),
    "job": ("jobs", "One backup by itself."),
}


class LazyGroup(TyperGroup):
    """Import the module of a command when that command is called; until then a stand-in has its name and short help."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, (_, help_) in COMMANDS.items():
            self.add_command(TyperCommand(name, help=help_))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, found, rest = super().resolve_command(ctx, args)
        return name, load_command(name) if found and name else None, rest


def load_command(name: str) -> Any:
    """Import the module of a command, or of a group of commands, and return what click calls."""
    module = import_module(f"logkeep.cli.{COMMANDS[name][0]}")
    own = typer.Typer(rich_markup_mode=None)
    module.add_commands(own)
    return typer.main.get_group(own).commands[name]


# Plain help: typer's boxes cost half a second of imports.
app = typer.Typer(
    cls=LazyGroup,
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _show_version(context: typer.Context, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        print_line(f"logkeep {__version__}")
        raise typer.Exit


@app.callback()
def begin(
    context: typer.Context,
    directory: Annotated[
        Path,
        typer.Option("--dir", envvar="LOGKEEP_DIR", readable=False, help="Where everything of an installation lies."),
    ] = DEFAULT_DIRECTORY,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document on standard output, nothing else.")
    ] = False,
    endpoint: Annotated[
        str, typer.Option(envvar="LOGKEEP_ENDPOINT", help="The service; else the one of client.toml in --dir.")
    ] = "",
    ak: Annotated[str, typer.Option(envvar="LOGKEEP_AK", help="Access key; else that of client.toml.")] = "",
    sk: Annotated[
        str,
        typer.Option(
            envvar="LOGKEEP_SK", help="Its secret; better in LOGKEEP_SK: others on this machine see command lines."
        ),
    ] = "",
    security_token: Annotated[
        str, typer.Option(envvar="LOGKEEP_SECURITY_TOKEN", help="Of a temporary key; better in the variable too.")
    ] = "",
    project_id: Annotated[
        str,
        typer.Option(envvar="LOGKEEP_PROJECT_ID", help="Project of the key; else client.toml or the service says it."),
    ] = "",
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Keep the logs of Elasticsearch, OpenSearch and Logstash clusters.

    These options may stand before a command and after it.
    """
    if not (endpoint and ak and sk):
        check_readable(directory)
    context.obj = CommonOptions(
        directory=directory,
        as_json=as_json,
        debug=debug,
        endpoint=endpoint,
        ak=ak,
        sk=sk,
        project_id=project_id,
        security_token=security_token,
    )


def run(arguments: Sequence[str]) -> int:
    """Carry out one command line; the exit code."""
    try:
        code = _call(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
        return FAILED
    except SystemExit as left:  # a signal ended the service or the agent
        return left.code if isinstance(left.code, int) else 0
    except KeyboardInterrupt:
        return _end("", INTERRUPTED)
    except typer.Abort:  # the end of the input where a question was asked
        return _end("\nlogkeep: nothing was changed", FAILED)
    except Exception as error:
        if "--debug" in arguments:
            traceback.print_exc()
        sentence, code = _explain(error)
        return _end(_pasteable(sentence, arguments), code)
    return code if isinstance(code, int) else 0


def _call(arguments: Sequence[str]) -> Any:
    if shell := os.environ.get(COMPLETING):
        return import_module("logkeep.cli.completion").complete(shell, arguments, typer.main.get_command(app))
    return app(args=common_first(arguments), prog_name="logkeep", standalone_mode=False)


def _end(sentence: str, code: int) -> int:
    if sentence:
        note(sentence)
    return code


def _pasteable(sentence: str, arguments: Sequence[str]) -> str:
    """With commands that act on the installation that this one was told of."""
    given = common_first(arguments)
    at = next((at for at, word in enumerate(given) if word.partition("=")[0] == "--dir"), None)
    if at is None:  # the variable, or the directory of this shell, holds for them too
        return sentence
    _, equals, directory = given[at].partition("=")
    path = Path(directory if equals else "".join(given[at + 1 : at + 2]))
    here = CommonOptions(path).command
    elsewhere = frozenset[str]() if is_installation(path) else _WHERE_IT_RUNS
    return re.sub(
        r"`logkeep (\S+)", lambda m: m[0] if m[1] in elsewhere or m[1] == "--dir" else f"`{here} {m[1]}", sentence
    )


def _explain(error: Exception) -> tuple[str, int]:
    """Return the sentence for the user, and the exit code."""
    if isinstance(error, typer.TyperException):
        return _explain_usage(error), error.exit_code
    if isinstance(error, LogkeepError):
        return f"logkeep: {error}", _exit_code(error)
    if isinstance(error, OSError):
        name = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, (str, bytes)) else ""
        if error.errno in {errno.EMFILE, errno.ENFILE}:
            return f"logkeep: {Cause.OPEN_FILES.tell(path=name.removesuffix(': ') or 'a connection')}", FAILED
        return f"logkeep: {name}{error.strerror or error}", FAILED
    return f"logkeep: unexpected {type(error).__name__}: {error}; --debug shows where; please report it", FAILED


def _explain_usage(error: typer.TyperException) -> str:
    message = error.format_message()
    if message.startswith("Usage:"):
        return message
    where = getattr(getattr(error, "ctx", None), "command_path", "logkeep")
    return f"{where}: {message[:1].lower()}{message[1:].rstrip('.')}; see `{where} --help`"


def _exit_code(error: LogkeepError) -> int:
    if isinstance(error, ServiceFault):
        return WRONG_USE if error.status in _WRONG_USE_STATUS or error.tells(NameTaken) else FAILED
    if isinstance(error, CommandFailed):
        return NOT_CARRIED_OUT if isinstance(error, NotCarriedOut) else FAILED
    return WRONG_USE if isinstance(error, (UsageError, SettingError, RequestError)) else FAILED


# What the caller must change: a field, a key, a right, a name; while a closed backup (415) or a running one (409) is a
# failure.
_WRONG_USE_STATUS = frozenset({400, 401, 403, 404, 413})


def _discard_output() -> None:
    """Nobody reads any more: what is still buffered must not raise again when Python ends."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
