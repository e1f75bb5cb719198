"""What the contract publishes as patterns and names is what the service holds requests to."""

from __future__ import annotations

import json
import re

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import fields

from logkeep.contract import parameters
from logkeep.contract.css import requests
from logkeep.contract.css.requests import BASE_PATH, PERIOD
from logkeep.contract.parameters import Number
from logkeep.domain.log_setting import check_agency, check_base_path, parse_period
from logkeep.errors import RequestError

SETTING = {"agency": "css_obs_agency", "log_base_path": "css/log", "log_bucket": "000-words"}
PAGED = (parameters.OFFSET, parameters.START, parameters.LIMIT)


def accepted(check: object, text: str) -> bool:
    try:
        check(text)  # type: ignore[operator]
    except RequestError:
        return False
    return True


two_digits = st.integers(0, 99).map("{:02}".format) | st.integers(0, 9).map(str)
periods = st.builds(
    "{}:{} GMT{}{}{}{}".format,
    two_digits,
    two_digits,
    st.sampled_from("+-"),
    two_digits,
    st.sampled_from([":", ""]),
    two_digits,
)


@given(periods | st.text(max_size=20))
@example("00:00 GMT+08:00")
@example("7:30 GMT-1200")
@example("23:59 GMT+14:00")
@example("23:59 GMT+14:01")
@example("00:00 GMT-12:30")
@example("00:00 UTC")
def test_published_period_is_the_one_that_is_read(text: str) -> None:
    assert bool(re.search(f"^{PERIOD}$", text)) == accepted(parse_period, text)


paths = st.text(st.sampled_from("ab日./\\:*?\"<>|'{}\x00\x1f\x7f\x9f "), max_size=12)


@given(paths)
@example("css/log")
@example("css//log/")
@example("a..b")
@example("a\n")
def test_published_base_path_refuses_nothing_that_is_read(text: str) -> None:
    if accepted(check_base_path, text):
        assert re.search(BASE_PATH, text)
    elif re.search(BASE_PATH, text):  # what a pattern cannot say
        assert any(part in {".", ".."} or part != part.strip() for part in text.split("/"))


@given(st.text(st.sampled_from("aZ0_-. 日\n"), max_size=70))
def test_published_agency_is_the_one_that_is_read(text: str) -> None:
    schema = msgspec.json.schema(requests.StartLogsReq)["$defs"]["StartLogsReq"]
    pattern = schema["properties"]["agency"]["pattern"]
    assert bool(re.search(pattern.replace("$", r"\Z"), text)) == accepted(check_agency, text)


@pytest.mark.parametrize("kind", [requests.StartLogsReq, requests.UpdateLogSettingReq])
def test_every_published_member_of_a_setting_is_read(kind: type[msgspec.Struct]) -> None:
    for member in fields(kind):
        wrong = SETTING | {"period": "00:00 GMT+08:00", member.name: [1]}
        with pytest.raises(RequestError, match=f"^{member.name}: "):
            requests.read_setting_change(b"", json.dumps(wrong).encode())


def test_member_that_must_be_there_is_missed() -> None:
    members = fields(requests.StartLogsReq)
    required = [member.name for member in members if member.required]
    assert required == ["agency", "log_bucket", "log_base_path"]
    for name in required:
        with pytest.raises(RequestError, match=f"^{name}: is missing"):
            requests.read_opening(b"", json.dumps({**SETTING, name: None}).encode())


@pytest.mark.parametrize("number", PAGED)
def test_number_is_read_within_its_published_range(number: Number) -> None:
    schema = number.schema
    assert number.read({}) == schema["default"]
    for value in (schema["minimum"], schema["maximum"]):
        assert number.read({number.name: str(value)}) == value


def test_optional_member_may_be_null() -> None:
    optional = [m for m in fields(requests.StartLogsReq) if not m.required]
    assert {member.name for member in optional} == {"auto_enable", "period"}
    change = requests.read_opening(b"", json.dumps(SETTING | {m.name: None for m in optional}).encode())
    assert (change.auto_enable, change.period) == (None, None)
