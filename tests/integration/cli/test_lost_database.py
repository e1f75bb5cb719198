"""A database that is lost, empty or another one's is refused everywhere, and nothing takes its place without a word."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from logkeep.keyfiles.installation_id import ID_FILE, UNFINISHED_FILE
from tests.integration.cli.installed import COMMAND, CONFIGURATION, Done, environment, init, logkeep, serving

Command = Callable[..., Done]
KEYS = ("seal.key", "sign.key", "sign.pub")


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    directory = tmp_path / "installation"
    init(directory)
    return directory


def forget_database(directory: Path) -> None:
    for path in directory.glob("logkeep.db*"):
        path.unlink()


def files(directory: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes() for path in directory.iterdir() if path.is_file() and path.name != "serve.lock"
    }


def set_database(directory: Path, url: str) -> None:
    (directory / "logkeep.toml").write_text(f'database = "{url}"\n{CONFIGURATION}')


def missing(directory: Path) -> str:
    forget_database(directory)
    return "logkeep.db is not there"


def empty(directory: Path) -> str:
    forget_database(directory)
    (directory / "logkeep.db").touch()
    return "logkeep.db holds no installation"


def mistyped(directory: Path) -> str:
    set_database(directory, f"sqlite:///{directory}/logkep.db")
    return "logkep.db is not there"


def foreign_file(directory: Path) -> str:
    forget_database(directory)
    with closing(sqlite3.connect(directory / "logkeep.db")) as connection:
        connection.execute("CREATE TABLE songs (name)")
        connection.commit()
    return "logkeep.db holds no installation"


def another_one(directory: Path) -> str:
    other = directory.with_name("other")
    init(other)
    forget_database(directory)
    shutil.copy(other / "logkeep.db", directory)
    return f"is that of another installation, {(other / ID_FILE).read_text().strip()}"


COMMANDS = (("project", "list"), ("key", "list"), ("workers",), ("migrate",), ("init",))


@pytest.mark.parametrize("lose", [missing, empty, mistyped, foreign_file, another_one])
def test_lost_database_is_refused_and_nothing_is_made(
    command: Command, installed: Path, lose: Callable[[Path], str]
) -> None:
    told = lose(installed)
    before = files(installed)
    for arguments in COMMANDS:
        done = command("--dir", installed, *arguments).ended(2)
        assert told in done.err, arguments
        assert f"`logkeep --dir {installed} rebuild --from logs`" in done.err
        assert "`database` in logkeep.toml" in done.err
        assert done.err.count("\n") == 1
        assert files(installed) == before, arguments
    done = logkeep("--dir", installed, "serve", "--port", "0").ended(2)
    assert told in done.err
    assert files(installed) == before


def test_rebuild_makes_it_anew_with_the_id_of_the_installation(command: Command, installed: Path, node: Path) -> None:
    def tenant(*arguments: str | Path) -> Done:
        return command("--dir", installed, *arguments)

    with serving(installed):
        tenant("cluster", "add", "prod", "--node", f"n1={node}").ended(0)
        tenant("logs", "open", "prod").ended(0)
        tenant("backup", "prod", "--wait").ended(0)
    id_ = (installed / ID_FILE).read_bytes()
    forget_database(installed)
    tenant("rebuild", "--from", "logs").ended(0)
    assert (installed / ID_FILE).read_bytes() == id_
    with serving(installed):
        tenant("verify", "prod", "--chain").ended(0)
    forget_database(installed)
    (installed / ID_FILE).unlink()  # and even that
    assert "is missing" in tenant("project", "list").ended(2).err
    assert "rebuild --from logs" in tenant("init").ended(2).err
    tenant("rebuild", "--from", "logs").ended(0)
    with serving(installed):
        tenant("verify", "prod", "--chain").ended(0)


def test_rebuild_that_finds_nothing_leaves_the_database_lost(command: Command, installed: Path) -> None:
    forget_database(installed)
    assert "no cluster was put in" in command("--dir", installed, "rebuild", "--from", "logs").ended(1).err
    assert "holds no installation" in command("--dir", installed, "project", "list").ended(2).err


def test_id_that_is_missing_is_told_and_put_back_by_init(command: Command, installed: Path) -> None:
    id_ = (installed / ID_FILE).read_bytes()
    (installed / ID_FILE).unlink()
    told = command("--dir", installed, "project", "list").ended(2).err
    assert f"{installed / ID_FILE}: is missing; copy it" in told
    assert "is a Logkeep directory already" in command("--dir", installed, "init").ended(2).err
    assert (installed / ID_FILE).read_bytes() == id_
    command("--dir", installed, "project", "list").ended(0)


def test_id_is_not_taken_from_a_database_that_other_keys_sealed(command: Command, installed: Path) -> None:
    other = installed.with_name("other")
    init(other)
    shutil.copy(other / "logkeep.db", installed)
    (installed / ID_FILE).unlink()
    assert "seal.key" in command("--dir", installed, "init").ended(2).err
    assert not (installed / ID_FILE).exists()


def test_id_file_that_holds_none_is_told(command: Command, installed: Path) -> None:
    for content in (b"", b"no id\n", b"\xff\0" * 20):
        (installed / ID_FILE).write_bytes(content)
        assert "holds no id of an installation" in command("--dir", installed, "project", "list").ended(2).err


def test_init_beside_a_database_whose_keys_are_gone_makes_no_others(command: Command, installed: Path) -> None:
    for name in (*KEYS, ID_FILE, "client.toml"):
        (installed / name).unlink()
    before = files(installed)
    assert "is that of another installation" in command("--dir", installed, "init").ended(2).err
    assert files(installed) == before


def test_init_that_was_killed_is_gone_on_with(tmp_path: Path) -> None:
    killed = 0
    for number, pause in enumerate((0.0, 0.05, 0.2, 0.5)):
        directory = tmp_path / str(number)
        directory.mkdir()
        (directory / "logkeep.toml").write_text(CONFIGURATION)
        process = subprocess.Popen(
            [*COMMAND, "--dir", str(directory), "init"], env=environment(), stdout=subprocess.DEVNULL
        )
        while not (directory / UNFINISHED_FILE).exists() and process.poll() is None:
            time.sleep(0.001)
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        killed += process.wait(30) == -signal.SIGKILL
        unfinished = not (directory / ID_FILE).exists()
        keys = {name: (directory / name).read_bytes() for name in KEYS if (directory / name).exists()}
        if unfinished:
            assert "run it once more" in logkeep("--dir", directory, "project", "list").err or not keys
        logkeep("--dir", directory, "init", "--json").ended(0)
        assert keys.items() <= files(directory).items()
        assert not (directory / UNFINISHED_FILE).exists()
        [project] = logkeep("--dir", directory, "project", "list", "--json").ended(0).json["projects"]
        assert project["name"] == "cn-north-4"
    assert killed
