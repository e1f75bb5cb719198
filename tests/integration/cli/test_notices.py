"""`notify` and `notices` as a tenant and as an operator call them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.integration.cli.installed import CONFIGURATION, Done, called, init
from tests.support.notices import SECRET, is_signed
from tests.support.receivers import receiving, respond

Command = Callable[..., Done]
NOWHERE = "https://127.0.0.1:9/a-secret-place"  # which no tenant may reach


@pytest.fixture
def hook(tenant: Command) -> Iterator[str]:
    name = f"hook-{uuid4().hex[:8]}"
    told = tenant("notify", "add", name, "--url", NOWHERE, "--cluster", "prod-*").ended(0)
    assert "whsec_" in told.out
    assert "keep it now" in told.err
    yield name
    tenant("notify", "remove", name)


def test_a_webhook_is_listed_tried_and_removed(tenant: Command, hook: str) -> None:
    listed = tenant("notify", "list").out
    assert hook in listed
    assert "https://127.0.0.1" in listed
    assert "clusters prod-*" in listed
    tried = tenant("notify", "test", hook).ended(1)
    assert f"logkeep: {hook}: the notice did not arrive: its name leads to an address" in tried.err
    for said in (listed, tried.err):
        assert "a-secret-place" not in said
    assert "nothing is sent there any more" in tenant("notify", "remove", hook).ended(0).out
    assert "there is no target of notices of this name" in tenant("notify", "test", hook).ended(2).err.lower()


def test_a_secret_may_come_from_a_file(tenant: Command, tmp_path: Path) -> None:
    file, name = tmp_path / "secret", f"hook-{uuid4().hex[:8]}"
    file.write_text(f"{SECRET}\n")
    told = tenant("notify", "add", name, "--url", NOWHERE, "--secret-file", file, "--json").ended(0).json
    assert told["secret"] == SECRET
    tenant("notify", "remove", name).ended(0)
    file.write_text("whsec_" + base64.b64encode(b"short").decode())
    assert "secret: write whsec_" in tenant("notify", "add", name, "--url", NOWHERE, "--secret-file", file).ended(2).err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--url", "https://user:secret-word@example.com/"), "--url: leave out user and password"),
        (("--url", NOWHERE, "--event", "nonsense"), "--event: are of: backup_failed"),
        (("--url", NOWHERE, "--quiet", "at night"), "--quiet: write it as 22:00-07:00"),
        (("--url", NOWHERE, "--zone", "Nowhere"), "--zone: is no zone"),
        (("--url", NOWHERE, "--cluster", ""), "--cluster: at most"),
    ],
)
def test_what_is_wrong_with_a_webhook_is_told_by_its_option(
    tenant: Command, options: tuple[str, ...], told: str
) -> None:
    said = tenant("notify", "add", "hook", *options).ended(2).err
    assert told in said
    assert "secret-word" not in said


def test_nothing_told_of_a_cluster_is_said_so(tenant: Command, cluster: str) -> None:
    assert tenant("notices", cluster, "--json").ended(0).json["totalSize"] in {0, 1}  # that it was never opened
    assert "there is no cluster nobody" in tenant("notices", "nobody").ended(2).err


def test_targets_of_the_settings_are_listed_and_tried_where_the_service_runs(tmp_path: Path) -> None:
    with receiving() as receiver:
        target = f'[[notify]]\nname = "ops"\nurl = "{receiver.url}"\nsecret = "{SECRET}"\nquiet = "22:00-07:00"\n'
        init(tmp_path / "installation", f"{CONFIGURATION}\n{target}")
        listed = called(tmp_path / "installation", "notify", "list", "--configured").ended(0).out
        assert "waits from 22:00 to 07:00 UTC" in listed
        assert "t0ken-in-path" not in listed
        assert called(tmp_path / "installation", "notify", "test", "ops", "--configured").ended(0).out.startswith("ok:")
        assert is_signed(receiver.received[0])
        receiver.answer = lambda handler: respond(handler, 500)
        failed = called(tmp_path / "installation", "notify", "test", "ops", "--configured").ended(1)
        assert "ops: the notice did not arrive: 500 Internal Server Error" in failed.err
        called(tmp_path / "installation", "notify", "test", "other", "--configured").ended(2)
        audit = called(tmp_path / "installation", "audit", "--json").ended(0).json["entries"]
        assert [one["operation"] for one in audit[:2]] == ["TestNoticeTarget"] * 2
