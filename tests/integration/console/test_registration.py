"""Registering a cluster in the browser: by its nodes, or by what its own API tells."""

from __future__ import annotations

import re
from dataclasses import replace
from html import escape
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from logkeep.domain.access import Role
from logkeep.domain.cluster import Cluster
from logkeep.service import audit, clusters, identity
from logkeep.sources.base import FoundCluster, FoundNode
from tests.support.console import Browser, open_browser
from tests.support.installation import Installation

NEW = "/console/clusters/new"
LINE = b"[2026-11-24T00:00:00,000][INFO ] a line\n"


def press(browser: Browser, button: str, **values: str) -> httpx.Response:
    """Fill in the form and press a button that sends it to another address than its own."""
    token = browser.get(NEW).text.partition('name="token" value="')[2].partition('"')[0]
    return browser.post(f"{NEW}{button}", {"token": token, "by": "nodes", "rows": "3"} | values)


def registered(installation: Installation) -> list[Cluster]:
    return clusters.list_clusters(installation.runtime, installation.project.id)[0]


def test_a_cluster_is_registered_and_its_log_backup_comes_next(
    installation: Installation, browser: Browser, logs: Path
) -> None:
    page = browser.submit(browser.get(NEW), NEW, name="prod", name_0="n1", source_0=f"file://{logs}", by="nodes")
    [cluster] = registered(installation)
    assert page.url.path == f"/console/clusters/{cluster.id}/settings"
    assert "Next: where shall its logs be kept?" in page.text
    assert "Open log backup" in page.text
    assert [(node.name, node.source) for node in cluster.nodes] == [("n1", f"file://{logs.resolve()}")]
    entry = audit.list_entries(installation.runtime)[0][0]
    assert (entry.operation, entry.cluster_id, entry.status) == ("AddCluster", cluster.id, 200)


def test_a_check_shows_what_is_there_and_registers_nothing(
    installation: Installation, browser: Browser, logs: Path, tmp_path: Path
) -> None:
    (logs / "prod.log").write_bytes(LINE)
    values = {"name": "prod", "name_0": "n1", "source_0": f"file://{logs}"}
    page = press(browser, "/check", **values, name_1="n2", source_1=f"file://{tmp_path}/away")
    assert "1 of 2 nodes can be read:" in page.text
    assert "1 file, 40 B" in page.text
    assert "LK-SOURCE-UNREACHABLE" in page.text
    assert page.text.index("<bdi>n2</bdi>") < page.text.index("<bdi>n1</bdi>"), "those with a problem come first"
    assert 'value="prod"' in page.text
    assert f'value="file://{logs}"' in page.text
    assert registered(installation) == []


def test_a_plain_path_is_a_directory_of_this_machine(installation: Installation, browser: Browser, logs: Path) -> None:
    folder = logs / "a b%20c"
    folder.mkdir()
    checked = press(browser, "/check", name="prod", name_0="n1", source_0=str(folder))
    assert "1 of 1 nodes can be read:" in checked.text
    assert f'value="{folder}"' in checked.text, "as it was typed"
    press(browser, "", name="prod", name_0="n1", source_0=str(folder))
    [cluster] = registered(installation)
    assert cluster.nodes[0].source == f"file://{quote(str(folder.resolve()))}"


def test_more_rows_keep_what_was_typed(browser: Browser) -> None:
    page = press(browser, "/rows", name="prod", kind="logstash", name_2="third", source_2="file:///x")
    assert 'name="source_7"' in page.text
    assert 'name="source_8"' not in page.text
    assert 'value="third"' in page.text
    assert '<option value="logstash" selected>' in page.text
    assert 'name="source_50"' not in press(browser, "/rows", rows="9999999").text


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"name": "a/b", "name_0": "n1", "source_0": "file:///var/log/x"}, "must not contain"),
        ({"name": "prod"}, "1 to 1000 nodes are allowed"),
        ({"name": "prod", "name_0": "n1", "source_0": "nothing"}, "Log directory, row 1: "),
        ({"name": "prod", "name_0": "n1", "source_0": "file:///etc"}, "Log directory, row 1: "),
        ({"name": "prod", "by": "api", "url": "http://u:p@host:9200"}, "no user and no password may stand in it"),
    ],
)
@pytest.mark.parametrize("button", ["", "/check"])
def test_a_refusal_is_told_and_what_was_typed_is_kept(
    installation: Installation, browser: Browser, values: dict[str, str], told: str, button: str
) -> None:
    page = press(browser, button, **values)
    assert page.status_code == 400
    assert told in page.text
    for name in ("name", "source_0", "url"):
        assert f'value="{values.get(name, "")}"' in page.text
    assert registered(installation) == []


def test_a_refusal_tells_the_row_and_marks_it(browser: Browser, logs: Path) -> None:
    page = press(browser, "", name="prod", name_0="n1", source_0=f"file://{logs}", name_2="a/b", source_2="file:///x")
    assert "Name of the node, row 3: must not contain" in page.text
    assert "nodes.name" not in page.text
    assert re.findall(r'name="(\w+)" aria-invalid="true"', page.text) == ["name_2"]
    page = press(browser, "", name="prod", name_1="n1", source_1=f"file://{logs}", name_2="n2", source_2="nowhere")
    assert "Log directory, row 3: " in page.text
    page = press(browser, "", name="prod", name_0="n1", source_0=str(logs), name_2="n2", source_2=str(logs))
    assert "Log directory, row 3: n1 and n2 have the same directory" in page.text


def test_a_check_clears_the_refusal_before_it_and_tells_its_own_once(browser: Browser, logs: Path) -> None:
    assert '<div id="refusal"><p class="notice bad"' in press(browser, "", name="").text
    typed = {"token": browser.get(NEW).text.partition('name="token" value="')[2].partition('"')[0], "name": "prod"}
    page = browser.post(f"{NEW}/check", typed | {"name_0": "n1", "source_0": str(logs)}, hx_request="true")
    assert '<div id="refusal"></div>' in page.text
    assert 'hx-select-oob="#refusal"' in page.text
    page = browser.post(f"{NEW}/check", typed | {"name_0": "n1", "source_0": "nowhere"}, hx_request="true")
    assert page.text.count("Log directory, row 1: ") == 1
    assert 'data-wrong="source_0"' in page.text


def test_a_kind_that_there_is_not_is_refused(browser: Browser, logs: Path) -> None:
    page = press(browser, "", name="prod", kind="solr", name_0="n1", source_0=f"file://{logs}")
    assert page.status_code == 400
    assert "Kind: is one of elasticsearch" in page.text


def test_a_name_that_is_taken_is_told(installation: Installation, browser: Browser, logs: Path) -> None:
    for _ in range(2):
        page = press(browser, "", name="prod", name_0="n1", source_0=f"file://{logs}")
    assert page.status_code == 400
    assert "there is a cluster named prod" in page.text


def test_a_directory_outside_the_roots_says_which_line_allows_it(
    installation: Installation, browser: Browser, logs: Path
) -> None:
    identity.add_project(installation.runtime, "another")
    page = press(browser, "/check", name="prod", name_0="n1", source_0=f"file://{logs}")
    assert "lies outside sources.roots" in page.text
    assert "[sources.projects.cn-north-4]" in page.text


def test_a_cluster_tells_its_own_nodes(installation: Installation, logs: Path) -> None:
    asked: list[tuple[str, str, str]] = []

    def describe(url: str, user: str, password: str) -> FoundCluster:
        asked.append((url, user, password))
        node = FoundNode("n1", str(logs), "10.0.0.1", "ess", "instance-1")
        return FoundCluster("elasticsearch", "7.10.2", "10.0.0.1:9200", (node,))

    told = replace(installation, runtime=replace(installation.runtime, describe_cluster=describe))
    typed = {"by": "api", "name": "prod", "url": "http://es:9200", "user": "ada", "password": " secret "}
    with open_browser(told) as browser:
        browser.sign_in(told)
        page = press(browser, "/check", **typed)
        assert "1 of 1 nodes" in page.text
        assert "secret" not in page.text
        page = press(browser, "", **typed)
    [cluster] = registered(installation)
    assert asked == [("http://es:9200", "ada", " secret ")] * 2
    assert cluster.discovery
    assert cluster.kind == "elasticsearch"
    assert "asked for them before each backup" in page.text


@pytest.mark.parametrize("role", [Role.READER, Role.OPERATOR])
def test_only_an_administrator_registers(installation: Installation, stranger: Browser, role: Role) -> None:
    stranger.sign_in(installation, role)
    assert stranger.get(NEW).status_code == 403
    token = stranger.get("/console/clusters").text.partition('name="token" value="')[2].partition('"')[0]
    for button in ("", "/check", "/rows"):
        assert stranger.post(NEW + button, {"token": token, "name": "x"}).status_code == 403


def test_a_form_loaded_again_leads_back(browser: Browser) -> None:
    assert browser.get(f"{NEW}/check").url.path == NEW


HOSTILE = "<script>alert(1)</script>'\"&\u202e\x1b[31m`$(id)`{{7*7}}"


def test_hostile_text_is_kept_as_text(browser: Browser) -> None:
    page = press(browser, "/rows", name=HOSTILE, name_0=HOSTILE, source_0=HOSTILE, url=HOSTILE, kind=HOSTILE, by="api")
    assert "<script>alert" not in page.text
    assert escape(HOSTILE, quote=True).replace("&quot;", "&#34;").replace("&#x27;", "&#39;") in page.text
    assert "{{7*7}}" in page.text


def test_a_form_that_is_too_long_is_refused(browser: Browser) -> None:
    assert press(browser, "/check", name="x" * 20_000).status_code in {400, 413}


def test_the_same_call_is_shown_without_the_password(browser: Browser) -> None:
    page = press(browser, "/rows", name="o'clock", by="api", url="http://es:9200", user="ada", password="hidden-word")
    assert "/api/v1/clusters" in page.text
    assert "hidden-word" not in page.text
