"""docs/notices.md names all that there is, and the receivers that it shows take what the service sends, and nothing else."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from logkeep.domain.notice import Event, Notice
from logkeep.notify.webhook import render, sign

PAGE = (Path(__file__).parents[3] / "docs" / "notices.md").read_text("utf-8")
SECRET = "whsec_" + base64.b64encode(bytes(range(200, 232))).decode()
ID = "6b1f0a2c9d7e4b35a8c1d2e3f4a5b6c7"
BODY = '{"type":"backup_failed","text":"Größe 日志"}'.encode()


def shown(language: str) -> str:
    (block,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return block


@pytest.fixture
def verify() -> Callable[[str, dict[str, str], bytes], None]:
    names: dict[str, Any] = {}
    exec(shown("python"), names)
    return names["verify"]


def test_what_was_sent_is_taken(verify: Callable[..., None]) -> None:
    verify(SECRET, sign(SECRET, ID, round(time.time()), BODY), BODY)


def test_a_signature_among_those_of_older_secrets_is_taken(verify: Callable[..., None]) -> None:
    headers = sign(SECRET, ID, round(time.time()), BODY)
    verify(SECRET, headers | {"webhook-signature": f"v1,AAAA {headers['webhook-signature']}"}, BODY)


@pytest.mark.parametrize("changed", ["secret", "id", "timestamp", "body", "signature"])
def test_what_was_changed_is_refused(verify: Callable[..., None], changed: str) -> None:
    headers = sign(SECRET, ID, round(time.time()), BODY)
    others = {
        "id": {"webhook-id": ID[::-1]},
        "timestamp": {"webhook-timestamp": str(round(time.time()) - 1)},
        "signature": {"webhook-signature": "v1,"},
    }
    secret = "whsec_" + base64.b64encode(bytes(32)).decode() if changed == "secret" else SECRET
    with pytest.raises(ValueError, match="the signature is wrong"):
        verify(secret, headers | others.get(changed, {}), BODY + b" " if changed == "body" else BODY)


def test_what_is_old_is_refused(verify: Callable[..., None]) -> None:
    with pytest.raises(ValueError, match="the notice is old"):
        verify(SECRET, sign(SECRET, ID, round(time.time()) - 301, BODY), BODY)


def test_openssl_makes_the_same_signature(tmp_path: Path) -> None:
    (tmp_path / "body.json").write_bytes(BODY)
    headers = sign(SECRET, ID, 1_764_536_400, BODY)
    given = {"SECRET": SECRET, "ID": ID, "TIMESTAMP": headers["webhook-timestamp"], "PATH": os.environ["PATH"]}
    said = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", shown("bash")],
        check=True, cwd=tmp_path, env=given, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert f"v1,{said.stdout.strip()}" == headers["webhook-signature"]


def test_every_event_is_documented() -> None:
    section = PAGE.partition("## Events")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(Event)


def test_every_member_of_a_webhook_is_shown_and_documented() -> None:
    notice = Notice(id=ID, event=Event.BACKUP_FAILED, at=1, since=1, project_id="p", cluster_id="c", cause="it failed")
    sent, example = json.loads(render(notice)), json.loads(shown("json"))
    assert (example.keys(), example["data"].keys()) == (sent.keys(), sent["data"].keys())
    section = PAGE.partition("## The webhook")[2].partition("\n### ")[0]
    documented = {name.removeprefix("data.") for name in re.findall("`([a-z_.]+)`", section)}
    assert {*sent, *sent["data"]} - {"data"} <= documented
