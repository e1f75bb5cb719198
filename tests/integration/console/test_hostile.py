"""Texts that others chose, wherever a page shows or reads them: they stay texts, and no page fails over them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logkeep.console.routes import Page
from logkeep.service import clusters, log_settings
from tests.support.console import Browser, open_browser
from tests.support.console_pages import GETS, NOBODY, WRITES, injected, parameter_names, path_of
from tests.support.installation import SETTING, Installation, open_installation

HOSTILE = "<b id=hostile><img src=x onerror=alert(1)>\"'&lt;{{7*7}}ww"
TEXTS = (
    HOSTILE,
    "</script><script>alert(1)</script>",
    "\" onfocus=alert(1) autofocus x='",
    "' onfocus=alert(1) x=\"",
    "javascript:alert(1)",
    "//evil.test/",
    "/console/\\evil.test",
    "\0",
    "\x1b[31m\x07\r\nSet-Cookie: a=b",
    "\u202e\u2066\ufeff\u200b",
    "\ud800",
    "é" * 3000,
    "%00%ff%zz",
    "../../../etc/passwd",
    "' OR 1=1 --",
    "-1",
    "0",
    "9" * 15,
    "9" * 400,
    "1e9",
    "٣",
    "2026-11-23T00:00:00Z",
    "0001-01-01",
    "99999-12-31T25:61",
    "25:99 GMT+99:99",
    "(((((a+)+)+)+)+)$",
    "[",
)
values = st.one_of(st.sampled_from(TEXTS), st.text(max_size=20), st.integers().map(str))
queries = st.dictionaries(st.sampled_from(parameter_names()), st.lists(values, max_size=2), max_size=5)
tried = settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
by_path = {"ids": lambda page: page.path}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Browser, dict[str, str]]]:
    """An administrator's browser, where a cluster, its node, its files and their lines are hostile; and their ids."""
    folder = tmp_path_factory.mktemp("hostile")
    with open_installation(folder / "installation") as installation, open_browser(installation) as browser:
        names = _fill(installation, folder / "logs")
        browser.sign_in(installation)
        yield browser, names


def _fill(installation: Installation, logs: Path) -> dict[str, str]:
    logs.mkdir()
    line = f"[2026-11-23T00:00:00,000][WARN ][o.e.n.Node] [n] {' '.join(TEXTS)} {'x' * 100_000}\n"
    (logs / "es.log").write_bytes(line.encode(errors="surrogatepass") * 3)
    (logs / "<b id=hostile>'\"&amp;\u202e.log").write_text("[2026-11-23T00:00:00,000] x\n")
    new = [clusters.NewNode(HOSTILE, logs.as_uri())]
    cluster = clusters.add_cluster(installation.runtime, installation.project.id, HOSTILE, new, version=HOSTILE)
    log_settings.open_backup(installation.runtime, cluster, SETTING)
    job = installation.back_up(cluster)
    logs.rename(logs.with_name("<b id=hostile>"))  # so that the next one fails, and says where
    failed = installation.back_up(cluster)
    return {"cluster_id": cluster.id, "job_id": job.job_id, "failed_job": failed.job_id}


def address(page: Page, names: dict[str, str], query: dict[str, list[str]]) -> str:
    encoded = urlencode(query, doseq=True, errors="surrogatepass")
    return path_of(page, names) + (f"?{encoded}" if encoded else "")


@pytest.mark.parametrize("page", GETS, **by_path)
def test_a_page_shows_hostile_names_as_text(hostile: tuple[Browser, dict[str, str]], page: Page) -> None:
    browser, names = hostile
    for job in ("job_id", "failed_job"):
        answer = browser.get(path_of(page, names | {"job_id": names[job]}))
        assert answer.status_code < 500
        if "html" in answer.headers["content-type"]:
            assert injected(answer.text) == []
            assert "\u202e" not in answer.text
            assert "49ww" not in answer.text


@pytest.mark.parametrize("page", GETS, **by_path)
@given(query=queries)
@tried
def test_no_query_makes_a_page_fail(
    hostile: tuple[Browser, dict[str, str]], page: Page, query: dict[str, list[str]]
) -> None:
    browser, names = hostile
    answer = browser.get(address(page, names, query), follow=False)
    assert answer.status_code < 500, answer.text
    if "html" in answer.headers.get("content-type", ""):
        assert injected(answer.text) == []
    where = answer.headers.get("location", "/console")
    assert where.startswith("/console")


@pytest.mark.parametrize("page", [page for page in (*GETS, *WRITES) if "{" in page.path], **by_path)
def test_no_id_makes_a_page_fail(hostile: tuple[Browser, dict[str, str]], page: Page) -> None:
    browser, _ = hostile
    token = browser.get("/console/clusters").text.partition('name="token" value="')[2].partition('"')[0]
    for text in (*TEXTS, NOBODY.upper()):
        id_ = quote(text, safe="", errors="replace")
        path = path_of(page, dict.fromkeys(("cluster_id", "job_id", "secret", "name", "id", "ak", "bucket"), id_))
        answer = browser.get(path) if page.method == "GET" else browser.post(path, {"token": token})
        assert answer.status_code < 500, (path, answer.text)
        assert injected(answer.text) == []


@pytest.mark.parametrize("page", WRITES, **by_path)
@given(form=queries)
@tried
def test_no_form_makes_a_page_fail(
    hostile: tuple[Browser, dict[str, str]], page: Page, form: dict[str, list[str]]
) -> None:
    browser, names = hostile
    token = browser.get("/console/clusters").text.partition('name="token" value="')[2].partition('"')[0]
    body = urlencode(form | {"token": [token]}, doseq=True, errors="replace")
    made_up = {name: value for name, value in names.items() if name != "cluster_id"}  # the cluster is to stay
    answer = browser.wait(
        browser.http.post(
            path_of(page, made_up), content=body, headers={"content-type": "application/x-www-form-urlencoded"}
        )
    )
    assert answer.status_code < 500, answer.text
    assert injected(answer.text) == []


@given(raw=st.binary(max_size=40), cookie=st.binary(max_size=60))
@tried
def test_no_bytes_make_signing_in_fail(hostile: tuple[Browser, dict[str, str]], raw: bytes, cookie: bytes) -> None:
    browser, _ = hostile
    headers = [(b"host", b"127.0.0.1"), (b"cookie", cookie), (b"accept-language", raw), (b"x-forwarded-for", raw)]
    assert browser.ask_raw("GET", "/console/sign-in", raw, headers) < 500
    assert browser.ask_raw("POST", "/console/sign-in", b"", [*headers, (b"content-length", b"40")], raw) < 500
    assert browser.ask_raw("GET", "/console/sign-in", b"", [(b"host", raw)]) in {200, 421}


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_no_name_makes_signing_in_fail(hostile: tuple[Browser, dict[str, str]], text: str) -> None:
    stranger = hostile[0].open_another()
    form = stranger.get("/console/sign-in")
    sent = text.encode(errors="replace").decode()
    for name, secret in (("user", "password"), ("ak", "sk")):
        answer = stranger.submit(form, "/console/sign-in", **{name: sent, secret: sent})
        assert answer.status_code in {400, 401}, answer.text
        assert injected(answer.text) == []
    stranger.close()


def test_what_steers_a_line_is_shown_by_its_name(hostile: tuple[Browser, dict[str, str]]) -> None:
    browser, _ = hostile
    answer = browser.submit(browser.get("/console/sign-in"), "/console/language", language="en", next="/console/\u202e")
    assert answer.status_code < 500
    answer = browser.get("/console/sign-in?next=" + quote("\u202e"))
    assert "\u202e" not in answer.text
