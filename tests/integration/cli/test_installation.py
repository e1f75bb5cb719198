"""`init`, `project`, `key`."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.cli.installed import Done, Served, until

Command = Callable[..., Done]


@pytest.fixture
def fresh(command: Command, tmp_path: Path) -> Path:
    directory = tmp_path / "fresh"
    command("--dir", directory, "init").ended(0)
    return directory


def test_init_tells_what_a_script_needs(command: Command, tmp_path: Path) -> None:
    made = command("init", "--dir", tmp_path / "new", "--json").ended(0).json
    assert made.keys() == {"dir", "endpoint", "project_id", "ak", "sk"}
    assert made["dir"] == str(tmp_path / "new")
    assert made["endpoint"] == "http://127.0.0.1:8475"
    saved = tomllib.loads((tmp_path / "new" / "client.toml").read_text())
    assert saved == {key: value for key, value in made.items() if key != "dir"}


def test_init_uses_logkeep_data_where_no_directory_is_named(command: Command, tmp_path: Path) -> None:
    command("init").ended(0)
    assert (tmp_path / "logkeep-data" / "client.toml").exists()


def test_only_the_owner_sees_secrets(fresh: Path) -> None:
    modes = {name: (fresh / name).stat().st_mode & 0o777 for name in ("", "client.toml", "seal.key", "logkeep.db")}
    assert modes == {"": 0o700, "client.toml": 0o600, "seal.key": 0o600, "logkeep.db": 0o600}


def test_init_makes_a_project_that_a_region_finds_and_a_bucket(command: Command, fresh: Path) -> None:
    projects = command("--dir", fresh, "project", "list", "--json").ended(0).json["projects"]
    assert [project["name"] for project in projects] == ["cn-north-4"]
    assert (fresh / "buckets" / "logs").is_dir()
    assert "logs" in tomllib.loads((fresh / "logkeep.toml").read_text())["buckets"]


def test_init_again_says_so_and_changes_nothing(command: Command, fresh: Path) -> None:
    before = {path.name: path.read_bytes() for path in fresh.iterdir() if path.is_file()}
    done = command("--dir", fresh, "init").ended(2)
    assert "already" in done.err
    assert not done.out
    assert before == {path.name: path.read_bytes() for path in fresh.iterdir() if path.is_file()}


def test_init_again_gives_a_script_the_same_key(command: Command, fresh: Path) -> None:
    again = command("--dir", fresh, "init", "--json").ended(0).json
    assert again["ak"] == tomllib.loads((fresh / "client.toml").read_text())["ak"]


def test_init_leaves_a_directory_alone_that_is_used_otherwise(command: Command, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o755)
    (tmp_path / "home" / "letters.txt").touch()
    assert "other things" in command("--dir", tmp_path / "home", "init").ended(2).err
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["letters.txt"]


def test_init_obeys_settings_that_lie_there_already(command: Command, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "logkeep.toml").write_text("[server]\nport = 9000\n[buckets.keep]\n")
    made = command("--dir", tmp_path / "own", "init", "--json").ended(0).json
    assert made["endpoint"] == "http://127.0.0.1:9000"
    assert (tmp_path / "own" / "buckets" / "keep").is_dir()


def test_a_wrong_setting_is_refused_by_its_key_and_can_be_mended(command: Command, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "logkeep.toml").write_text("[server]\nport = 70000\n")
    assert "server.port" in command("--dir", tmp_path / "own", "init").ended(2).err
    (tmp_path / "own" / "logkeep.toml").unlink()
    command("--dir", tmp_path / "own", "init").ended(0)


def test_commands_outside_an_installation_say_how_to_make_one(command: Command) -> None:
    for arguments in (("project", "list"), ("key", "list"), ("serve",)):
        assert "logkeep init" in command(*arguments).ended(2).err


def test_a_project_has_a_name_of_its_own(command: Command, fresh: Path) -> None:
    project = command("--dir", fresh, "project", "add", "team-a", "--json").ended(0).json
    assert len(project["id"]) == 32
    assert "team-a" in command("--dir", fresh, "project", "add", "team-a").ended(2).err


def test_a_key_belongs_to_a_project_and_its_secret_is_shown_once(command: Command, fresh: Path) -> None:
    key = command("--dir", fresh, "key", "add", "--project", "cn-north-4", "--json").ended(0).json
    assert key["admin"] is False
    listed = command("--dir", fresh, "key", "list", "--json").ended(0)
    assert key["sk"] not in listed.out
    assert [entry["admin"] for entry in listed.json["keys"] if entry["ak"] == key["ak"]] == [False]
    assert "no project" in command("--dir", fresh, "key", "add", "--project", "nobody").ended(2).err


def test_a_revoked_key_is_refused_within_a_second(
    tenant: Command, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tenant("key", "add", "--project", "cn-north-4", "--json").ended(0).json
    monkeypatch.setenv("LOGKEEP_AK", key["ak"])
    monkeypatch.setenv("LOGKEEP_SK", key["sk"])
    tenant("cluster", "list").ended(0)
    tenant("key", "revoke", key["ak"]).ended(0)
    until(lambda: tenant("cluster", "list").code == 2, seconds=2)
    assert "revoked" in tenant("cluster", "list").err
    assert "no key" in tenant("key", "revoke", key["ak"]).ended(2).err


def test_a_key_of_another_project_sees_no_cluster(tenant: Command, cluster: str) -> None:
    tenant("project", "add", f"other-{cluster}").ended(0)
    key = tenant("key", "add", "--project", f"other-{cluster}", "--json").ended(0).json
    foreign = ("--ak", key["ak"], "--sk", key["sk"])
    assert tenant(*foreign, "cluster", "list", "--json").ended(0).json == {"clusters": [], "totalSize": 0}
    assert "no cluster" in tenant(*foreign, "records", cluster).ended(2).err
