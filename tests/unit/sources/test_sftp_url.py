"""Sources over SFTP as they are written, and which are allowed; nothing is connected."""

from __future__ import annotations

from pathlib import Path

import pytest

from logkeep.errors import InvalidField, SettingError
from logkeep.settings import load_settings
from logkeep.sources.base import FoundNode
from logkeep.sources.hosts import Address, AllowedHost, parse_jump
from logkeep.sources.sftp import SftpSources, parse_url
from logkeep.sources.ssh import Access, Connections


def sources(*hosts: str) -> SftpSources:
    return SftpSources(hosts, Connections(Access(Path("/none"))))


def test_a_source_names_user_host_port_and_directory() -> None:
    assert parse_url("sftp://logs@Node-1/var/log") == (Address("logs", "node-1", 22), b"/var/log")
    assert parse_url("sftp://l%40b@[fe80::1]:2222//var//a%20b/%FF/") == (
        Address("l@b", "fe80::1", 2222),
        b"/var/a b/\xff",
    )


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("sftp://logs:secret@node/var/log", "no password may stand in a source"),
        ("sftp://node/var/log", "write it as sftp://user@host/absolute/directory"),
        ("sftp://logs@/var/log", "write it as"),
        ("sftp://logs@node", "write it as"),
        ("sftp://logs@node:port/var/log", "write it as"),
        ("sftp://logs@node:99999/var/log", "write it as"),
        ("sftp://logs@node/var/log?x=1", "write it as"),
        ("sftp://logs@node/var/log/../../etc", "must not hold '..'"),
        ("sftp://logs@node/var/%2e%2e/etc", "must not hold '..'"),
        ("sftp://logs@node/var%2F..%2Fetc", "must not hold '..'"),
        ("sftp://logs@node/a%00b", "must not hold '..'"),
        ("sftp://lo%0Ags@node/a", "write it as"),
    ],
)
def test_a_wrong_source_is_refused_and_no_password_is_repeated(url: str, problem: str) -> None:
    with pytest.raises(SettingError) as refused:
        sources("*").open(url)
    assert problem in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("hosts", "allowed"),
    [
        (("node-1",), True),
        (("*",), True),
        (("NODE-?",), True),
        (("logs@node-1",), True),
        (("l*@node-*",), True),
        (("node-1:/var/log",), True),
        (("node-2", "node-1:/var/log/opensearch"), True),
        (("root@node-1",), False),
        (("node-1:/var/lo",), False),
        (("node-1:/var/log/opensearch/inner",), False),
        (("node",), False),
        ((), False),
    ],
)
def test_only_hosts_of_the_settings_are_allowed(hosts: tuple[str, ...], allowed: bool) -> None:
    url = "sftp://logs@node-1/var/log/opensearch"
    if allowed:
        sources(*hosts).open(url)
        return
    with pytest.raises(
        SettingError, match=r"source sftp://logs@node-1/var/log/opensearch: is not allowed by sftp\.hosts"
    ):
        sources(*hosts).open(url)


@pytest.mark.parametrize(
    "text", ["", "@node", "node/var", "/var/log", ":/var/log", "node:22", "node:22:/var/log", "no de", "a@b\n", "[::1"]
)
def test_a_wrong_entry_of_the_hosts_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match=r"sftp\.hosts: "):
        AllowedHost.parse(text)


def test_a_jump_host_is_parsed() -> None:
    assert parse_jump("") is None
    assert parse_jump("me@bastion") == Address("me", "bastion", 22)
    assert parse_jump("me@[fe80::1]:2222") == Address("me", "fe80::1", 2222)
    assert parse_jump("me@[fe80::1]") == Address("me", "fe80::1", 22)
    for text in (
        *("bastion", "@bastion", "me@", "me@bastion:port", "@:x", "me@bastion:0", "me@bastion:65536", "me@bastion:"),
        *("me@a:b:22", "me@fe80::1", "me@[bastion]", "me@ba stion", "me@@bastion", "me@bastion\n"),
    ):
        with pytest.raises(SettingError, match=r"sftp\.jump: .* is not written as user@host"):
            parse_jump(text)


def test_a_pattern_is_filled_in_for_each_node() -> None:
    node = FoundNode("node 1", "/var/log/open search", "10.0.0.5", "ess")
    assert node.source_url("sftp://logs@{ip}{path.logs}") == "sftp://logs@10.0.0.5/var/log/open%20search"
    assert node.source_url("agent:{name}") == "agent:node%201"
    six = FoundNode("n1", "/logs", "fe80::1", "ess").source_url("sftp://logs@{ip}:22{path.logs}")
    assert parse_url(six) == (Address("logs", "fe80::1", 22), b"/logs")
    with pytest.raises(InvalidField):
        node.source_url("sftp://{user}@{ip}{path.logs}")


def test_settings_of_sftp_and_agents_are_read(tmp_path: Path) -> None:
    (tmp_path / "logkeep.toml").write_text(
        '[sftp]\nhosts = ["node-*:/var/log"]\nkeys = ["ssh.key"]\ntimeout_seconds = 5\n[agents.n1]\nurl = "https://n1"'
    )
    settings = load_settings(tmp_path, {"LOGKEEP_SFTP_HOSTS": "a, b:/c", "LOGKEEP_SFTP_CONNECTIONS": "7"})
    assert settings.sftp.hosts == ("a", "b:/c")
    assert (settings.sftp.keys, settings.sftp.connections, settings.sftp.timeout_seconds) == (("ssh.key",), 7, 5.0)
    assert settings.agents["n1"].url == "https://n1"
    with pytest.raises(SettingError, match=r"sftp\.connections: from 1 to 1000 is allowed"):
        load_settings(tmp_path, {"LOGKEEP_SFTP_CONNECTIONS": "0"})
