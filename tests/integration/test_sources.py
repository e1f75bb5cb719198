"""Sources of other machines that the settings do not allow."""

from __future__ import annotations

from pathlib import Path

import pytest

from logkeep.bootstrap.runtime import open_runtime
from logkeep.errors import SettingError, SourceRefused
from logkeep.service import identity
from logkeep.service.sources import find_tenant, open_source
from logkeep.settings import load_settings
from tests.integration.cli.installed import CONFIGURATION, init


@pytest.mark.parametrize(
    ("more", "source", "problem"),
    [
        ("", "sftp://logs@n1/var/log", "source sftp: no host is allowed yet; name it in sftp.hosts"),
        ("", "sftp://logs:secret@n1/var/log", "source sftp: no host is allowed yet; name it in sftp.hosts"),
        (
            '[sftp]\nhosts = ["n2"]',
            "sftp://logs@n1/var/log",
            "sftp://logs@n1/var/log: is not allowed by sftp.hosts; add 'n1",
        ),
        ("", "agent:n1", "no agent is known yet; logkeep.toml needs a table [agents.NAME]"),
        ('[agents.n2]\nurl = "https://n2"\ntoken = "t"', "agent:n1", "there is no [agents.n1]; add it to logkeep.toml"),
        ("", "https://n1/logs", "is written as file:///directory, sftp://user@host/directory or agent:NAME"),
        ('[sources]\nroots = ["/var/log"]', "file:///srv/logs", "lies outside sources.roots"),
    ],
)
def test_a_source_that_is_not_allowed_is_refused_by_the_setting(
    tmp_path: Path, more: str, source: str, problem: str
) -> None:
    init(tmp_path / "installation", f"{CONFIGURATION}\n{more}\n")
    runtime = open_runtime(load_settings(tmp_path / "installation", {}))
    [project] = identity.list_projects(runtime)
    with pytest.raises(SourceRefused) as refused:
        open_source(runtime, find_tenant(runtime, project.id), source)
    assert problem in str(refused.value)
    assert "secret" not in str(refused.value)
    runtime.database.dispose()


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ('[sftp]\nhosts = ["n1/x"]', "sftp.hosts: 'n1/x' is not written as"),
        ('[sftp]\nhosts = ["n1"]\nkeys = ["/none/key"]', "sftp.keys: /none/key cannot be used as a private key"),
        ('[sftp]\nhosts = ["n1"]\njump = "bastion"', "sftp.jump: 'bastion' is not written as user@host"),
        ('[sftp]\nhosts = ["n1"]\njump = "ssh://jump@n0"', "sftp.jump: 'ssh://jump@n0' is not written as user@host"),
        ('[agents.n1]\nurl = "http://n1"', "agents.n1.url: is written as https://host:8476"),
    ],
)
def test_wrong_settings_of_sources_are_refused_at_the_start(tmp_path: Path, more: str, problem: str) -> None:
    init(tmp_path / "installation")
    (tmp_path / "installation" / "logkeep.toml").write_text(f"{CONFIGURATION}\n{more}\n")
    with pytest.raises(SettingError) as refused:
        open_runtime(load_settings(tmp_path / "installation", {}))
    assert problem in str(refused.value)
