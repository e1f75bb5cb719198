"""Any query and any body ends as a value or as an error that names the field."""

from __future__ import annotations

import json
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from logkeep.contract import fields
from logkeep.contract.bodies import member, read_struct
from logkeep.errors import EmptyBody, InvalidField


class Asked(Struct):
    a: str = ""
    auto_enable: Annotated[bool | None, member(says="true or false is allowed")] = None


NAMES = frozenset({"offset", "status"})


@pytest.mark.parametrize("key", ["log_bucket", "logBucket", "log_Bucket", "LOGBUCKET", "_log__bucket_"])
def test_every_spelling_of_a_key_is_one_key(key: str) -> None:
    assert fields.read_object(json.dumps({key: "b"}).encode()) == {"logbucket": "b"}


def test_two_spellings_with_one_value_are_accepted() -> None:
    assert fields.read_object(b'{"log_bucket": "b", "logBucket": "b"}') == {"logbucket": "b"}


@pytest.mark.parametrize("body", [b'{"log_bucket": "b", "logBucket": "c"}', b'{"a": true, "A": 1}'])
def test_two_spellings_with_different_values_are_refused(body: bytes) -> None:
    with pytest.raises(InvalidField, match="two spellings"):
        fields.read_object(body)


@pytest.mark.parametrize("body", [b'{"a": 1, "a": 2}', b'{"x": {"a": 1, "a": "1"}}', b'{"a": 1, "a": true}'])
def test_key_that_comes_twice_with_different_values_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidField, match=r"^a: came twice"):
        fields.read_object(body)


@pytest.mark.parametrize("body", [b"", b" \r\n\t"])
def test_no_body_is_an_empty_body(body: bytes) -> None:
    with pytest.raises(EmptyBody, match="needs a JSON object"):
        fields.read_object(body)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nul",
        b"[]",
        b"null",
        b"1",
        b'"text"',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": "\xff"}',
        b"\xff\xfe{\x00}\x00",
        b"\xef\xbb\xbf{}",
        b'{"a": "\x00"}',
        b'{"a": 1}}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b"[" * 20 + b"]" * 20,
    ],
)
def test_what_is_no_json_object_is_refused_as_such(body: bytes) -> None:
    with pytest.raises(EmptyBody, match="JSON"):
        fields.read_object(body)


@pytest.mark.parametrize("depth", [33, 900, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_deep_nesting_is_refused(opening: bytes, closing: bytes, depth: int) -> None:
    inner = opening * (depth - 1) + b"1" + closing * (depth - 1)
    with pytest.raises(InvalidField, match="body: is nested too deep"):
        fields.read_object(b'{"a":' + inner + b"}")


def test_nesting_up_to_the_limit_is_read() -> None:
    assert fields.read_object(b'{"a":' + b"[" * 31 + b"]" * 31 + b"}")
    assert fields.read_object(b'{"a":[' + b"[]," * 100 + b"[]]}")


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b"", {}),
        (b"offset=1", {"offset": "1"}),
        (b"offset=1&offset=1", {"offset": "1"}),
        (b"unknown=1&unknown=2&offset", {"offset": ""}),
        (b"off%73et=%31", {"offset": "1"}),
        (b"status=a+b%2Bc&&=", {"status": "a b+c"}),
        (b"status=%E6%97%A5&%ff=1", {"status": "日"}),
        (b"Offset=1&sTATUS=a", {"offset": "1", "status": "a"}),
    ],
)
def test_query_is_read_by_name(raw: bytes, found: dict[str, str]) -> None:
    assert fields.read_query(raw, NAMES) == found


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"offset=1&offset=2", 'offset: came twice, as "1" and "2"'),
        (b"status=%FF", "status: is not valid UTF-8"),
        (b"status=%00", "status: .* NUL"),
        (b"status=%ED%A0%80", "status: is not valid UTF-8"),
    ],
)
def test_query_that_cannot_be_meant_is_refused(raw: bytes, text: str) -> None:
    with pytest.raises(InvalidField, match=text):
        fields.read_query(raw, NAMES)


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "+1", " 1", "1.0", "1e3", "1_0", "١", "9223372036854775808", "9" * 5000, "0x1", "None"]
)
def test_number_outside_the_range_or_in_another_form_is_refused(text: str) -> None:
    with pytest.raises(InvalidField, match=r"offset: .* came; a whole number from 1 to 9223372036854775807 is allowed"):
        fields.query_integer({"offset": text}, "offset", 1)


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("0007", 7), ("9223372036854775807", 2**63 - 1)])
def test_number_within_the_range_is_read(text: str, number: int) -> None:
    assert fields.query_integer({"offset": text}, "offset", 1) == number
    assert fields.query_integer({}, "offset", 5) == 5


@pytest.mark.parametrize("value", [1, 1.5, True, [], {}, ["a"], float("inf"), 2**63])
def test_text_of_another_type_is_refused(value: object) -> None:
    with pytest.raises(InvalidField, match=r"log_bucket: .* a string is allowed"):
        fields.text_field({"logbucket": value}, "log_bucket")


@pytest.mark.parametrize("value", ["a\x00b", "\ud800", "x" * 4097])
def test_text_that_no_database_holds_is_refused(value: str) -> None:
    with pytest.raises(InvalidField, match=r"^log_bucket: "):
        fields.text_field({"logbucket": value}, "log_bucket")


def test_missing_null_and_empty_text_are_the_same() -> None:
    assert fields.text_field({}, "a") == fields.text_field({"a": None}, "a") == fields.text_field({"a": ""}, "a") == ""
    with pytest.raises(InvalidField, match="a: is missing; give a name"):
        fields.required_text({"a": ""}, "a", "a name")


def test_what_may_be_a_secret_is_not_repeated() -> None:
    for value in ("hidden\x00", ["hidden"]):
        with pytest.raises(InvalidField) as caught:
            fields.text_field({"url": value}, "url", secret=True)
        assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("value", [0, 1, "true", "", [], 1.0])
def test_boolean_of_another_type_is_refused(value: object) -> None:
    with pytest.raises(InvalidField, match=r"auto_enable: .* true or false is allowed"):
        read_struct({"autoenable": value}, Asked)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(value=json_values)
def test_what_came_is_shown_short_and_writable(value: Any) -> None:
    text = fields.shown(value)
    assert len(text) <= 1200  # 200 characters, at worst each written as an escape
    assert text.encode()


@settings(deadline=None)
@given(body=st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    try:
        members = fields.read_object(body)
        read_struct(members, Asked)
    except (InvalidField, EmptyBody) as error:
        assert str(error).encode()


@settings(deadline=None)
@given(raw=st.binary(max_size=60) | st.binary(max_size=20).map(lambda value: b"offset=" + value))
def test_any_query_is_read_or_refused(raw: bytes) -> None:
    try:
        fields.query_integer(fields.read_query(raw, NAMES), "offset", 1)
    except InvalidField as error:
        assert str(error).encode()
