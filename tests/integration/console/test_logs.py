"""Logs in the console: a line is found, kept or live, with what is around it; and hostile lines are only text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest

from logkeep.backup.segment import Sizes
from logkeep.console import logs
from logkeep.console.rendering import show_plainly
from logkeep.domain.cluster import Cluster
from logkeep.service import backup_run, search_steps
from tests.support.console import Browser
from tests.support.hostile import HOSTILE
from tests.support.installation import Installation

LEVELS = ("INFO ", "WARN ", "ERROR")
Shown = Callable[..., httpx.Response]


@pytest.fixture(autouse=True)
def _small_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup_run, "SIZES", Sizes(4096, 20_000))


def line(number: int, text: str = "") -> str:
    clock = f"{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}"
    return f"[2026-11-24T{clock},000][{LEVELS[number % 3]}][o.o.n.Node] [n1] {text or f'line {number}.'}\n"


@pytest.fixture
def node(tmp_path: Path) -> Path:
    folder = tmp_path / "n1"
    folder.mkdir()
    (folder / "prod.log").write_text("".join(line(number) for number in range(300)))
    return folder


@pytest.fixture
def cluster(installation: Installation, node: Path) -> Cluster:
    """300 lines that are kept, and 20 that are not."""
    cluster = installation.add_cluster(n1=node)
    installation.back_up(cluster)
    with (node / "prod.log").open("a") as file:
        file.write("".join(line(number) for number in range(300, 320)))
    return cluster


@pytest.fixture
def search(browser: Browser, cluster: Cluster) -> Shown:
    """Ask for a page of logs, or a part of one; without script where it is a whole page."""

    def ask(part: str = "", **values: str | int) -> httpx.Response:
        asked = ({} if part else {"plain": 1}) | values
        return browser.get(f"/console/clusters/{cluster.id}/logs{part}?{urlencode(asked)}")

    return ask


def lines(page: httpx.Response) -> list[str]:
    found = re.findall(r'<p class="line">(.*?)</p>', page.text, re.DOTALL)
    return [unescape(re.sub("</?mark>", "", one)) for one in found]


def link(page: httpx.Response, text: str) -> str:
    """The address behind the last link of this text."""
    return unescape(re.findall(rf'<a [^>]*href="([^"]*)"[^>]*>{re.escape(text)}</a>', page.text)[-1])


def loader(page: httpx.Response) -> str:
    """What the script asks for next."""
    [found] = re.findall(r'<li class="step" hx-get="([^"]*)"', page.text)
    return unescape(found)


def test_kept_and_live_lines_are_found_newest_first(search: Shown) -> None:
    page = search(q="line 3")
    assert lines(page)[0] == line(319).rstrip()
    assert len(lines(page)) == 31  # 3, 30 to 39, 300 to 319
    assert page.text.count(">live</span>") == 20
    assert page.text.count(">kept</span>") == 11
    assert "<mark>line 3</mark>19." in page.text
    assert "These are all: 31 lines." in page.text


def test_one_line_is_told_as_one(search: Shown) -> None:
    assert "This is all: 1 line." in search(q="line 299.").text
    assert "1 line that matches" in search("/plot", q="line 299.").text
    assert "1 record<" in search("/plot", level="ERROR", since="2026-11-24T00:00:02", until="2026-11-24T00:00:03").text


def test_without_a_text_it_tells_what_is_held_and_shows_the_newest(search: Shown) -> None:
    page = search()
    assert "from 2026-11-24 00:00:00 to 2026-11-24 00:04:59" in page.text
    assert lines(page)[0] == line(319).rstrip()
    assert len(lines(page)) == 100


def test_more_goes_on_where_the_page_ended(browser: Browser, search: Shown) -> None:
    page = search(q="line", order="oldest")
    found = lines(page)
    for _ in range(3):
        page = browser.get(link(page, "Show more"))
        found += lines(page)
    assert found == [line(number).rstrip() for number in range(320)]
    assert "These are all: 320 lines." in page.text


def test_level_node_log_and_time_narrow_it(search: Shown) -> None:
    page = search(q="line", level="ERROR", since="2026-11-24T00:01", until="2026-11-24T00:02Z", node="n1")
    assert len(lines(page)) == 20
    assert all("[ERROR]" in one for one in lines(page))
    assert "<option selected>n1</option>" in page.text
    assert not lines(search(q="LINE 7"))
    assert len(lines(search(q="LINE 77", fold=1))) == 1
    assert len(lines(search(q=r"line [12]7\.", regex=1))) == 2


def test_levels_without_a_text_find_the_first_lines_of_records(search: Shown, node: Path) -> None:
    json_line = '{"type": "server", "timestamp": "2026-11-24T02:00:00,000Z", "level": "ERROR", "message": "x"}\n'
    (node / "prod_server.json").write_text(json_line)
    with (node / "prod.log").open("a") as file:
        file.write("[2026-11-24T01:00:00,000][ERROR][x] [n1] failed\n\tat a.b(C.java)\n")
        file.write("[2026-11-24T01:00:01,000][INFO ][x] [n1] told [ERROR] of another\n")
    assert lines(search(level="ERROR", since="2026-11-24T00:30")) == [
        json_line.rstrip(),
        "[2026-11-24T01:00:00,000][ERROR][x] [n1] failed",
    ]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"q": "(a", "regex": "1"}, "the regular expression is not taken"),
        ({"q": "x" * 1025}, "at most 1024 characters"),
        ({"since": "noon"}, "Since: write it as 2026-11-24"),
        ({"since": "2026-11-25", "until": "2026-11-24"}, "is after until"),
        ({"since": "2026-11-24", "until": "2026-11-24"}, "before this moment; write 2026-11-25 for all of 2026-11-24"),
        ({"since": "2026-13-01"}, "Since: the calendar has no 2026-13-01"),
        ({"q": "x", "level": "E R"}, "such as ERROR"),
        ({"q": "x", "node": "n9"}, "nothing is kept of a node"),
        ({"q": "x", "cursor": "?"}, "Place to go on from: it is none"),
    ],
)
def test_what_is_wrong_is_told_above_the_form_that_is_kept(search: Shown, asked: dict[str, str], told: str) -> None:
    page = search(**asked)
    assert page.status_code == 400
    assert told in unescape(page.text)
    assert 'name="q"' in page.text
    assert asked.get("q", "") in unescape(page.text)
    part = search("/hits", **asked)
    assert part.status_code == 400
    assert told in unescape(part.text)


def test_it_is_said_beside_the_field_what_until_means(search: Shown) -> None:
    page = search().text
    assert "Until (not included)" in page
    assert "2026-11-13 for all of the 12th" in page
    assert len(lines(search(q="line 1", since="2026-11-24", until="2026-11-25"))) == 100


def test_the_script_takes_steps_until_a_hundred_are_shown(
    browser: Browser, search: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_STEP_SECONDS", 1e-9)
    monkeypatch.setattr(logs, "_AT_ONCE", 0)
    page = browser.get(loader(search(q="line", kept="1", plain="")))
    assert "Will read" in page.text and not lines(page)
    found, steps = list[str](), 0
    while "Show more" not in page.text:
        page = browser.get(loader(page))
        found, steps = found + lines(page), steps + 1
        assert "Stop" in page.text or "Show more" in page.text
    assert steps >= 2
    assert found == [line(number).rstrip() for number in range(299, 199, -1)]


def test_a_search_that_finds_no_place_to_end_at_is_given_up(search: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_steps, "GIVEN_UP_SECONDS", -1.0)
    page = search("/hits", q="line")
    assert "takes too long to be searched from a page" in page.text
    assert "Search only what is kept" in page.text


def test_around_a_line_is_what_was_written_before_and_after(browser: Browser, search: Shown) -> None:
    for number in (0, 150, 298, 300, 319):  # at the ends, and where what is kept ends
        page = search(q=f"line {number}.")
        around = [line(one).rstrip() for one in range(max(0, number - 5), min(320, number + 6))]
        [part] = re.findall(r'hx-get="([^"]*/around[^"]*)"', page.text)
        assert lines(browser.get(unescape(part))) == around
        shown = browser.get(link(page, "Link"))
        assert f"<mark>line {number}.</mark>" in shown.text
        assert len(lines(shown)) == min(20, number) + 1 + min(20, 319 - number)
        assert lines(browser.get(link(shown, "Back to the search"))) == [line(number).rstrip()]


def test_a_place_that_is_none_is_told(search: Shown) -> None:
    for wrong in ({"generation": 99}, {"start": 7}, {"start": 10**12}, {"at_node": "n9"}):
        values: dict[str, str | int] = {"at_node": "n1", "generation": 1, "start": 0}
        assert search("/line", **(values | wrong)).status_code == 400
        assert search("/around", **(values | wrong)).status_code == 400


def test_new_lines_wait_until_they_are_asked_for(browser: Browser, search: Shown, node: Path) -> None:
    page = search(q="line")
    [place] = re.findall(r'data-place="([^"]+)"', page.text)[:1]
    part = search("/new", q="line", newest=place)
    assert "new line" not in part.text
    assert search("/new", q="line", newest=place).headers["etag"] == part.headers["etag"]
    with (node / "prod.log").open("a") as file:
        file.write(line(319, "line of the same second") + line(320) + line(321, "another"))
    part = search("/new", q="line", newest=place)
    assert "2 new lines" in part.text
    again = browser.get(str(part.url), if_none_match=part.headers["etag"])
    assert again.status_code == 304


def test_the_plot_counts_lines_by_level_and_what_of_them_is_drawn_is_in_the_table(search: Shown) -> None:
    page = search("/plot", q="line 1")
    data = json.loads(re.findall(r"<script[^>]*>(.*?)</script>", page.text)[0])
    assert data["seconds"] == 60
    assert sum(map(sum, data["counts"])) == 111
    assert "111 lines that match" in page.text
    assert page.text.count('<th scope="row">') == len(data["times"]) == 4
    assert '<th scope="row">2026-11-24 00:01</th>' in search(q="line 1", counts=1).text
    page = search("/plot", level="ERROR")
    assert "100 records" in page.text
    assert "as far as it was counted" not in page.text


def test_hits_that_lie_close_together_are_drawn_by_the_minute(
    installation: Installation, node: Path, cluster: Cluster, search: Shown
) -> None:
    (node / "prod_old.log").write_text("[2026-09-01T00:00:00,000][INFO ][x] [n1] long ago\n")
    installation.back_up(cluster)
    data = json.loads(re.findall(r"<script[^>]*>(.*?)</script>", search("/plot", q="line 1").text)[0])
    assert data["seconds"] == 60
    assert len(data["times"]) == 4
    whole = json.loads(re.findall(r"<script[^>]*>(.*?)</script>", search("/plot").text)[0])
    assert whole["seconds"] == 86_400


def test_a_plot_of_nothing_says_that_there_are_no_hits(search: Shown) -> None:
    assert "No hits in what is kept." in search("/plot", q="nowhere").text


def test_all_that_is_found_can_be_downloaded(search: Shown) -> None:
    page = search("/download", q="line 1", order="oldest", format="text")
    assert page.text.splitlines() == [line(n).rstrip() for n in range(320) if str(n).startswith("1")]
    assert re.search(r'filename="prod-lines-\d{4}-\d\d-\d\d\.log"', page.headers["content-disposition"])
    *hits, end = map(json.loads, search("/download", q="line 31", format="ndjson").text.splitlines())
    assert hits[0]["text"] == line(319).rstrip()
    assert end == {"type": "end", "completed": True}


def test_nothing_found_is_offered_before_something_is_searched(search: Shown) -> None:
    assert "All lines found" not in search().text
    assert "All lines found, as text" in search(q="line").text
    assert "All lines found, as text" in search(level="ERROR").text


def test_a_period_of_a_log_can_be_downloaded(search: Shown) -> None:
    page = search("/period", node="n1", family="prod.log", since="2026-11-24T00:01", until="2026-11-24T00:02")
    assert page.text == "".join(line(number) for number in range(60, 120))
    named = 'filename="prod-n1-2026-11-24_2026-11-24-prod.log"'
    assert named in page.headers["content-disposition"]
    assert search("/period", node="n1").status_code == 400
    assert "Choose a node and a log" in search().text


def test_a_node_that_cannot_be_read_is_told_beside_what_is_found(search: Shown, node: Path) -> None:
    node.rename(node.with_name("away"))
    page = search(q="line 29")
    assert len(lines(page)) == 11
    assert "what was written since the last backup was not searched as a whole" in page.text
    assert "LK-SOURCE" in page.text
    assert "11 lines were found in what could be searched." in page.text
    assert "These are all" not in page.text
    assert "Not all could be searched" in page.text
    assert "1 line was found in what could be searched." in search(q="line 299.").text
    assert "No line was found in what could be searched." in search(q="nowhere").text
    assert "not searched as a whole" not in search(q="line 29", kept=1).text


def test_what_is_damaged_is_told_once_with_what_to_do(
    installation: Installation, browser: Browser, cluster: Cluster, search: Shown
) -> None:
    victim = max(installation.objects(), key=lambda path: path.stat().st_size)
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    page, pages = search(q="line", order="oldest"), list[str]()
    while "Show more" in page.text:
        pages.append(page.text)
        page = browser.get(link(page, "Show more"))
    assert sum(one.count("not searched as a whole") for one in [*pages, page.text]) == 1
    assert any(f"logkeep verify {cluster.id} --read-data" in one for one in [*pages, page.text])
    assert "Not all could be searched" in page.text


def test_hostile_lines_are_text(node: Path, search: Shown) -> None:
    (node / "prod_hostile.log").write_bytes(b"".join(line(n, text).encode() for n, text in enumerate(HOSTILE)))
    page = search(family="prod_hostile.log")
    assert len(lines(page)) == len(HOSTILE)
    for number, (text, shown) in enumerate(zip(reversed(HOSTILE), lines(page), strict=True)):
        whole = line(len(HOSTILE) - 1 - number, text).rstrip("\n")
        assert shown == show_plainly(whole) or (len(whole) > 1200 and shown == str(show_plainly(whole[:1200])) + " …")
    for forbidden in ("<script>alert", "<img src=x", "<svg/on", "\x1b", "\x00", "\u202e", "\u2066", "<b id=hostile"):
        assert forbidden not in page.text
    assert len(page.text) < 300_000


def test_hostile_texts_can_be_looked_for(node: Path, search: Shown) -> None:
    texts = [one for one in HOSTILE if len(one) < 1024 and not {"\r", "\0"} & {*one}]
    (node / "prod_hostile.log").write_bytes(
        b"".join(line(n, f"before {text} after").encode() for n, text in enumerate(texts))
    )
    for text in texts:
        page = search(q=text)
        assert page.status_code == 200
        assert show_plainly(text) in [unescape(one) for one in re.findall("<mark>(.*?)</mark>", page.text)]
        assert search(q=text, part="/line", at_node="n1", generation=1, start=0).status_code < 500


def test_many_nodes_are_not_all_read_before_somebody_asks(
    search: Shown, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_FEW_NODES", 0)
    page = search(plain="")
    assert "Choose a node to see its newest lines." in page.text
    assert 'hx-trigger="load' not in page.text
    assert lines(browser.get(loader(search(plain="", node="n1"))))[0] == line(319).rstrip()


def test_steps_that_find_nothing_grow(search: Shown, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_STEP_SECONDS", 1e-9)
    page = search("/hits", q="line 299.", kept="1", order="oldest")
    assert "seconds=1" in loader(page)
    assert lines(browser.get(loader(page))) == [line(299).rstrip()]


def test_logs_of_another_project_are_not_found(browser: Browser) -> None:
    assert browser.get("/console/clusters/00000000-0000-0000-0000-000000000000/logs").status_code == 404
