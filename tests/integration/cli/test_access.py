"""`user`, `audit`, and the roles, regions and ends of keys and projects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.integration.cli.installed import Done, Served, until

Command = Callable[..., Done]
PROJECT = ("--project", "cn-north-4")


def token(served: Served, name: str, password: str) -> httpx.Response:
    user = {"user": {"name": name, "password": password}}
    body = {"auth": {"identity": {"methods": ["password"], "password": user}}}
    return httpx.post(f"{served.endpoint}/v3/auth/tokens", json=body, trust_env=False)


def test_user_with_a_generated_password_gets_a_token_until_revoked(tenant: Command, served: Served) -> None:
    made = tenant("user", "add", "alice", *PROJECT, "--role", "reader", "--generate", "--json").ended(0).json
    assert (made["name"], made["project"], made["role"]) == ("alice", "cn-north-4", "reader")
    secret = token(served, "alice", made["password"]).headers["X-Subject-Token"]

    def asked() -> int:
        target = f"{served.endpoint}/api/v1/clusters"
        return httpx.get(target, headers={"X-Auth-Token": secret}, trust_env=False).status_code

    assert asked() == 200
    listed = tenant("user", "list", "--json").ended(0)
    assert made["password"] not in listed.out
    assert [user["role"] for user in listed.json["users"] if user["name"] == "alice"] == ["reader"]
    assert tenant("user", "revoke", "alice", "--json").ended(0).json == {"name": "alice", "revoked": True}
    until(lambda: asked() == 401, seconds=2)
    assert token(served, "alice", made["password"]).status_code == 401
    assert "no user" in tenant("user", "revoke", "alice").ended(2).err
    assert "is or was" in tenant("user", "add", "alice", *PROJECT, "--generate").ended(2).err
    shown = tenant("user", "list").ended(0).out.splitlines()
    assert shown[0].split()[:3] == ["NAME", "PROJECT", "ROLE"]


def test_password_comes_from_the_first_line_of_a_file(tenant: Command, served: Served, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("correct horse\r\nnot this\n")
    made = tenant("user", "add", "bob", *PROJECT, "--password-file", tmp_path / "secret").ended(0)
    assert "correct horse" not in made.out + made.err
    assert token(served, "bob", "correct horse").status_code == 201


def test_password_that_cannot_be_asked_for_or_is_too_short_is_refused(tenant: Command, tmp_path: Path) -> None:
    (tmp_path / "short").write_text("hidden")
    done = tenant("user", "add", "carol", *PROJECT, "--password-file", tmp_path / "short").ended(2)
    assert "8 to 256" in done.err
    assert "hidden" not in done.err
    assert "--password-file" in tenant("user", "add", "carol", *PROJECT).ended(2).err
    assert "not both" in tenant("user", "add", "c", *PROJECT, "--generate", "--password-file", "f").ended(2).err
    assert "letters" in tenant("user", "add", "a b", *PROJECT, "--generate").ended(2).err
    assert "no project" in tenant("user", "add", "c", "--project", "nobody", "--generate").ended(2).err


def test_password_is_asked_for_on_a_terminal(tenant: Command, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    from logkeep.cli import users

    monkeypatch.setattr(users.sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(users.typer, "prompt", lambda *_, **__: "asked for this")
    tenant("user", "add", "dave", *PROJECT).ended(0)
    assert token(served, "dave", "asked for this").status_code == 201


@pytest.mark.parametrize(
    ("arguments", "role", "admin"),
    [((), "operator", False), (("--admin",), "admin", True), (("--role", "reader"), "reader", False)],
)
def test_key_has_a_role(tenant: Command, arguments: tuple[str, ...], role: str, admin: bool) -> None:
    made = tenant("key", "add", *PROJECT, *arguments, "--json").ended(0).json
    assert (made["role"], made["admin"]) == (role, admin)
    listed = tenant("key", "list", "--json").ended(0).json["keys"]
    assert [key["role"] for key in listed if key["ak"] == made["ak"]] == [role]


def test_reader_is_told_which_key_to_use(tenant: Command, opened: str) -> None:
    key = tenant("key", "add", *PROJECT, "--role", "reader", "--json").ended(0).json
    reader = ("--ak", key["ak"], "--sk", key["sk"])
    tenant(*reader, "records", opened).ended(0)
    tenant(*reader, "verify", opened).ended(0)
    assert "--role operator`" in tenant(*reader, "logs", "close", opened).ended(2).err
    assert "give one" in tenant("key", "add", *PROJECT, "--admin", "--role", "reader").ended(2).err


def test_temporary_key_shows_its_security_token(tenant: Command) -> None:
    made = tenant("key", "add", *PROJECT, "--temporary", "0.5", "--json").ended(0).json
    assert len(made["security_token"]) >= 43
    listed = tenant("key", "list", "--json").ended(0)
    (key,) = [key for key in listed.json["keys"] if key["ak"] == made["ak"]]
    assert key["expires_at"] == made["expires_at"] == key["created_at"] + 1_800_000
    assert made["security_token"] not in listed.out
    shown = tenant("key", "add", *PROJECT, "--temporary", "1").ended(0).out
    assert "security token" in shown


def test_commands_take_a_temporary_key(tenant: Command, opened: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tenant("key", "add", *PROJECT, "--temporary", "1", "--json").ended(0).json
    key = ("--ak", made["ak"], "--sk", made["sk"])
    tenant(*key, "records", opened, "--security-token", made["security_token"]).ended(0)
    assert "x-security-token" in tenant(*key, "records", opened).ended(2).err
    monkeypatch.setenv("LOGKEEP_SECURITY_TOKEN", made["security_token"])
    tenant(*key, "records", opened).ended(0)


def test_project_has_a_region(tenant: Command) -> None:
    made = tenant("project", "add", "regional", "--region", "cn-north-9", "--json").ended(0).json
    assert made["region"] == "cn-north-9"
    listed = tenant("project", "list", "--json").ended(0).json["projects"]
    assert {project["name"]: project["region"] for project in listed}["regional"] == "cn-north-9"
    assert "region" in tenant("project", "add", "other", "--region", "a b").ended(2).err


def test_audit_tells_who_changed_what(tenant: Command, opened: str) -> None:
    cluster = tenant("cluster", "show", opened, "--json").ended(0).json["id"]
    found = tenant("audit", "--project", "cn-north-4", "--json").ended(0).json
    (entry,) = [e for e in found["entries"] if (e["clusterId"], e["operation"]) == (cluster, "StartLogs")]
    assert (entry["status"], entry["address"]) == (200, "127.0.0.1")
    limited = tenant("audit", "--limit", "1").ended(0)
    assert limited.out.splitlines()[0].split()[-7:] == [
        "OPERATION", "STATUS", "WHO", "FROM", "PROJECT", "CLUSTER", "REQUEST",
    ]  # fmt: skip
    assert "--limit" in limited.err
    for since in ("2999-01-01", "2999-01-01T00:00:00+08:00"):
        assert tenant("audit", "--since", since, "--json").ended(0).json == {"entries": [], "totalSize": 0}
    assert "--since" in tenant("audit", "--since", "yesterday").ended(2).err
