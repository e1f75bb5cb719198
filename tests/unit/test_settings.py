"""Settings: defaults, the file, variables, and how a wrong one is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from logkeep.errors import SettingError
from logkeep.settings import Settings, load_settings


def load(tmp_path: Path, text: str = "", **variables: str) -> Settings:
    (tmp_path / "logkeep.toml").write_text(text, encoding="utf-8")
    return load_settings(tmp_path, variables)


def refusal(tmp_path: Path, text: str = "", **variables: str) -> str:
    with pytest.raises(SettingError) as caught:
        load(tmp_path, text, **variables)
    return caught.value.message


def test_nothing_need_be_set(tmp_path: Path) -> None:
    settings = load_settings(tmp_path / "empty", {})
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8475)
    assert settings.records.running_visible_seconds == 5
    assert settings.database_url == f"sqlite:///{tmp_path / 'empty' / 'logkeep.db'}"
    assert settings.buckets == {}


def test_the_file_says_otherwise(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        """
        log_level = "debug"
        database = "sqlite:////var/lib/x.db"
        [server]
        port = 9000
        [sources]
        roots = ["/var/log"]
        [buckets.logs]
        [buckets.far]
        url = "s3://far"
        credentials = { access_key_id = "a", secret_access_key = "b" }
        [agencies.css_obs_agency]
        """,
    )
    assert (settings.log_level, settings.database_url, settings.server.port) == (
        "debug", "sqlite:////var/lib/x.db", 9000,
    )  # fmt: skip
    assert settings.sources.roots == ("/var/log",)
    assert settings.buckets["far"].credentials["access_key_id"] == "a"
    assert set(settings.agencies) == {"css_obs_agency"}


def test_a_variable_outdoes_the_file(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        "[server]\nport = 9000\n",
        LOGKEEP_SERVER_PORT="9001",
        LOGKEEP_RECORDS_RUNNING_VISIBLE_SECONDS="0.5",
        LOGKEEP_SOURCES_ROOTS="/a, /b,",
        LOGKEEP_LOG_LEVEL="error",
        LOGKEEP_DATABASE="postgresql://x",
    )
    assert settings.server.port == 9001
    assert settings.records.running_visible_seconds == 0.5
    assert settings.sources.roots == ("/a", "/b")
    assert (settings.log_level, settings.database_url) == ("error", "postgresql://x")


def test_variables_of_the_command_line_are_no_settings(tmp_path: Path) -> None:
    names = ("DIR", "ENDPOINT", "AK", "SK", "PROJECT_ID")
    assert load(tmp_path, **{f"LOGKEEP_{name}": "x" for name in names}) == load(tmp_path)
    assert load(tmp_path, PATH="/bin") == load(tmp_path)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[server]\nport = 65536", "server.port"),
        ("[server]\nport = 'http'", "server.port"),
        ("[server]\nmax_clock_skew_seconds = 0", "server.max_clock_skew_seconds"),
        ("[records]\nrunning_visible_seconds = -1", "records.running_visible_seconds"),
        ("[backup]\njobs_at_once = 0", "backup.jobs_at_once"),
        ("[backup]\npoll_seconds = 0", "backup.poll_seconds"),
        ("[backup]\npoll = 1", "poll"),
        ("[nonsense]", "nonsense"),
        ("log_level = 'loud'", "log_level"),
        ("[buckets.'a b']", "buckets.a b"),
        ("[sources]\nroots = '/var/log'", "sources.roots"),
        ('[sources]\nroots = ["/var/log", "/srv\\u0000x"]', "sources.roots: holds a NUL"),
        ('[sources.projects."a.b"]\nroots = ["/srv\\u0000x"]', "sources.projects.a.b.roots: holds a NUL"),
        ('[sftp]\nknown_hosts = "a\\u0000b"', "sftp.known_hosts: holds a NUL"),
        (
            '[sources.projects.one]\nroots = ["/srv"]\n[sources.projects."a.b"]\nroot = []',
            "sources.projects.a.b: object",
        ),
        ("[sources.projects.one]\nroots = ['/srv', 1]", "sources.projects.one.roots[1]: expected"),
        ("[agencies.a.credentials.b]\nkey = 'k'\nsecret = 1", "agencies.a.credentials.b.secret: expected"),
        ("[buckets.one]\n[buckets.two]\nulr = ''", "buckets.two: object"),
        ("[backup]\nbandwidth_mib = -1", "backup.bandwidth_mib: from 0 to 1000000 is allowed"),
        ("[backup]\npoll_seconds = 61", "backup.poll_seconds: from 0.01 to 60 is allowed"),
        ("server", "logkeep.toml"),
    ],
)
def test_a_wrong_value_is_refused_by_its_key(tmp_path: Path, text: str, named: str) -> None:
    assert named in refusal(tmp_path, text)


@pytest.mark.parametrize("name", ["LOGKEEP_SERVER_PROT", "LOGKEEP_NONSENSE", "LOGKEEP_BUCKETS_LOGS"])
def test_a_variable_that_means_nothing_is_refused(tmp_path: Path, name: str) -> None:
    assert name in refusal(tmp_path, **{name: "1"})


def test_a_variable_with_a_wrong_value_names_the_key(tmp_path: Path) -> None:
    assert "server.port" in refusal(tmp_path, LOGKEEP_SERVER_PORT="many")
    assert "server.port" in refusal(tmp_path, LOGKEEP_SERVER_PORT="70000")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "logkeep.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingError, match="no valid TOML"):
        load_settings(tmp_path, {})
