"""`logkeep rebuild` as an operator has it: the database is gone, the directory and the bucket are there."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.integration.cli.installed import Done, init, serving

Command = Callable[..., Done]


def test_everything_is_there_again_after_the_database_was_lost(command: Command, node: Path, tmp_path: Path) -> None:
    directory = tmp_path / "installation"
    init(directory)

    def tenant(*arguments: str | Path) -> Done:
        return command("--dir", directory, *arguments)

    with serving(directory):
        tenant("cluster", "add", "prod", "--node", f"n1={node}").ended(0)
        tenant("logs", "open", "prod", "--at", "03:00 GMT+08:00").ended(0)
        tenant("backup", "prod", "--wait").ended(0)
        before = [
            tenant(*words, "--json").ended(0).json for words in (("records", "prod"), ("cluster", "show", "prod"))
        ]
        assert "is served by another process" in tenant("rebuild", "--from", "logs").ended(2).err
    shutil.copytree(directory, tmp_path / "copy")
    for path in directory.glob("logkeep.db*"):
        path.unlink()
    told = tenant("rebuild", "--from", "logs").ended(0)
    assert "prod" in told.out
    assert "works again" in told.out
    assert tenant("rebuild", "--from", "logs", "--json").ended(0).json["clusters"][0]["state"] == "known"
    with serving(directory):
        after = [tenant(*words, "--json").ended(0).json for words in (("records", "prod"), ("cluster", "show", "prod"))]
        assert after == before
        tenant("verify", "prod", "--chain").ended(0)
        tenant("restore", "prod", "--to", tmp_path / "restored", "--join").ended(0)
        assert (tmp_path / "restored/n1/prod.log").read_bytes() == (node / "prod.log").read_bytes()
        tenant("backup", "prod", "--wait").ended(0)


def test_bucket_that_is_not_configured_is_named(command: Command, tmp_path: Path) -> None:
    init(tmp_path / "installation")
    told = command("--dir", tmp_path / "installation", "rebuild", "--from", "other").ended(2).err
    assert "there is no bucket other; logkeep.toml has logs" in told


def test_empty_bucket_is_told(command: Command, tmp_path: Path) -> None:
    init(tmp_path / "installation")
    assert "no manifests" in command("--dir", tmp_path / "installation", "rebuild", "--from", "logs").ended(0).out
