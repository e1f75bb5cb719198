"""Commands that change who may ask the service: what they do stands in the audit, and passwords change for good."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest

from logkeep.bootstrap.runtime import open_runtime
from logkeep.domain.access import SignIn
from logkeep.errors import NotAuthenticated, WrongPassword
from logkeep.service import users
from logkeep.settings import load_settings
from tests.integration.cli.installed import called, init


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    init(tmp_path / "installation")
    return tmp_path / "installation"


def test_local_changes_of_keys_and_users_are_audited(directory: Path, tmp_path: Path) -> None:
    called(directory, "project", "add", "team-a").ended(0)
    ak = called(directory, "key", "add", "--project", "team-a", "--json").ended(0).json["ak"]
    called(directory, "key", "revoke", ak).ended(0)
    called(directory, "user", "add", "ann", "--project", "team-a", "--generate").ended(0)
    called(directory, "user", "password", "ann", "--generate").ended(0)
    called(directory, "user", "revoke", "ann").ended(0)
    entries = called(directory, "audit", "--project", "team-a", "--json").ended(0).json["entries"]
    changes = ["AddProject", "AddKey", "RevokeKey", "AddUser", "ChangePassword", "RevokeUser"]
    assert [entry["operation"] for entry in reversed(entries)] == changes
    assert {(entry["who"], entry["address"], entry["status"]) for entry in entries} == {
        (getpass.getuser(), "local", 200)
    }


def test_new_password_is_the_only_one_and_ends_all_tokens(directory: Path, tmp_path: Path) -> None:
    called(directory, "project", "add", "team-a").ended(0)
    file = tmp_path / "password"
    file.write_text("first-password\n", "utf-8")
    called(directory, "user", "add", "ann", "--project", "team-a", "--password-file", file).ended(0)
    runtime = open_runtime(load_settings(directory, {}))
    first = SignIn(user="ann", password="first-password")
    token = users.sign_in(runtime, first, "127.0.0.1").secret
    file.write_text("second-password\n", "utf-8")
    said = called(directory, "user", "password", "ann", "--password-file", file).ended(0).out
    assert "tokens that were issued for the old one are revoked" in said
    with pytest.raises(NotAuthenticated):
        users.find_token(runtime, users.hash_token(token.encode()))
    with pytest.raises(WrongPassword):
        users.sign_in(runtime, first, "127.0.0.1")
    assert users.sign_in(runtime, SignIn(user="ann", password="second-password"), "127.0.0.1").user.name == "ann"
    runtime.database.dispose()


def test_password_of_nobody_is_refused(directory: Path) -> None:
    said = called(directory, "user", "password", "nobody", "--generate").ended(2).err
    assert "there is no user 'nobody' in use; see" in said


@pytest.mark.parametrize("left", ["installation.id.new.4711", "logkeep.toml.new"])
def test_init_goes_on_where_one_was_killed_while_it_wrote(tmp_path: Path, left: str) -> None:
    directory = tmp_path / "installation"
    directory.mkdir()
    (directory / left).write_text("ha", "utf-8")
    called(directory, "init").ended(0)
    assert (directory / "logkeep.toml").stat().st_mode & 0o777 == 0o600
    assert directory.stat().st_mode & 0o777 == 0o700
