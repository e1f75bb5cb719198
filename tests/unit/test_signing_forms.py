"""What clients sign where that differs from what they send; and that no such form lets a request pass for another."""

from __future__ import annotations

import hmac
import json
from hashlib import sha256
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from logkeep.signing import sdk_hmac
from logkeep.signing.sdk_hmac import SignatureError, SignatureMismatch, parse_authorization, verify

DATA = json.loads((Path(__file__).parents[1] / "data" / "signing_forms.json").read_text("utf-8"))
FORMS = {form["name"]: form for form in DATA["forms"]}
SECRET = DATA["sk"]
NOW = 1_755_831_845_000  # the date of the vectors
CLUSTER = "/v1.0/p1/clusters/c1"


def check(form: dict[str, Any], **changes: Any) -> None:
    path, _, query = form["target"].partition("?")
    headers = {name.encode(): value.encode() for name, value in form["headers_sent"].items()}
    request: dict[str, Any] = {
        "method": form["method"],
        "raw_path": path.encode(),
        "raw_query": query.encode(),
        "headers": headers,
        "body": form["body"].encode(),
        "now_ms": NOW,
    }
    verify(parse_authorization(headers[b"authorization"]), SECRET, **(request | changes))


def signed_as(canonical_path: str, canonical_query: str = "", body: bytes = b"") -> dict[bytes, bytes]:
    """The headers of a client that signs this path and query, whatever it sends."""
    lines = ["GET", canonical_path, canonical_query, "x-sdk-date:20250822T030405Z", "", "x-sdk-date"]
    canonical = "\n".join([*lines, sha256(body).hexdigest()])
    text = f"SDK-HMAC-SHA256\n20250822T030405Z\n{sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(SECRET.encode(), text.encode(), "sha256").hexdigest()
    authorization = f"SDK-HMAC-SHA256 Access=AK, SignedHeaders=x-sdk-date, Signature={signature}"
    return {b"x-sdk-date": b"20250822T030405Z", b"authorization": authorization.encode()}


def accepts(headers: dict[bytes, bytes], path: str, query: str = "", body: bytes = b"") -> bool:
    request: dict[str, Any] = {"method": "GET", "raw_path": path.encode(), "raw_query": query.encode(), "body": body}
    try:
        verify(parse_authorization(headers[b"authorization"]), SECRET, headers=headers, now_ms=NOW, **request)
    except SignatureMismatch:
        return False
    return True


@pytest.mark.parametrize("name", FORMS)
def test_what_a_client_signs_is_accepted(name: str) -> None:
    form = FORMS[name]
    text = f"SDK-HMAC-SHA256\n{DATA['x_sdk_date']}\n{sha256(form['canonical_request'].encode()).hexdigest()}"
    signature = hmac.new(SECRET.encode(), text.encode(), "sha256").hexdigest()
    assert form["headers_sent"]["authorization"].endswith(signature), "the vector is right in itself"
    check(form)


@pytest.mark.parametrize("name", FORMS)
def test_another_request_is_not_accepted_for_it(name: str) -> None:
    form = FORMS[name]
    path, _, query = form["target"].partition("?")
    others = [
        {"raw_path": path.replace("/clusters", "/cluster").encode()},
        {"raw_path": path.encode() + b"/more"},
        {"raw_path": path.rpartition("/")[0].encode()},
        {"raw_path": path.replace("6204a5bd", "6204a5be").encode()},
        {"raw_query": f"{query}&limit=11".lstrip("&").encode()},
        {"raw_query": query.replace("10", "11").encode() + b"&x=1"},
        {"method": "DELETE"},
        {"body": form["body"].encode() + b" "},
    ]
    for other in others:
        with pytest.raises(SignatureError):
            check(form, **other)


def test_paths_that_name_different_things_never_share_a_signature() -> None:
    """Whatever is signed as a client would: of all names that may exist here, and of all ways to write them."""
    names = ["a", "b", "a b", "a%20b", "a%2520b", "100%", "a+b", "a%2Bb", "节点", "%E8%8A%82%E7%82%B9", "..", "a~b"]
    wires = {
        name: f"/api/v1/clusters/c1/archive/{sdk_hmac.quote_from_bytes(name.encode(), safe='')}/1" for name in names
    }
    for (one, signed), (other, sent) in product(wires.items(), repeat=2):
        headers: dict[bytes, bytes] = {}
        paths = [sdk_hmac.canonical_path(signed.encode())]
        rest = {"signed_headers": b"", "payload_hash": b""}
        for form in sdk_hmac.other_forms("GET", signed.encode(), b"", {b"": b""}, **rest):
            paths.append(form.split(b"\n")[1])
        for path in paths:
            headers = signed_as(path.decode())
            assert accepts(headers, sent) == (one == other), (one, other, path)


@pytest.mark.parametrize(
    ("signed", "sent"),
    [
        (f"{CLUSTER}/logs/records/", "/v1.0/p1/clusters/c2/logs/records"),
        (f"{CLUSTER}%2Flogs/", f"{CLUSTER}/logs"),
        (f"{CLUSTER}%252Flogs/", f"{CLUSTER}/logs"),
        (f"{CLUSTER}%2520x/", f"{CLUSTER}%20x"),  # the escape of a name that may exist is not escaped twice
        (f"/x/{CLUSTER}/", CLUSTER),
        (f"//x{CLUSTER}/", CLUSTER),
        (f"//{CLUSTER}/", CLUSTER),
        (CLUSTER.upper() + "/", CLUSTER),
    ],
)
def test_a_signature_of_one_resource_is_not_taken_for_another(signed: str, sent: str) -> None:
    assert not accepts(signed_as(signed), sent)


@pytest.mark.parametrize(
    ("signed", "sent", "accepted"),
    [
        ("limit=1", "limit=2", False),
        ("limit=1", "Limit=1", True),  # the same parameter, see `fields.read_query`
        ("limit=a", "limit=A", False),
        ("limit=1&limit=2", "limit=1", False),
        ("a=1&b=2", "a=2&b=1", False),
        ("a=1%26b%3D2", "a=1&b=2", False),
        ("a=", "", False),
    ],
)
def test_a_query_is_not_taken_for_another(signed: str, sent: str, accepted: bool) -> None:
    assert accepts(signed_as(f"{CLUSTER}/", signed), CLUSTER, sent) == accepted


def test_a_path_with_a_slash_in_a_name_is_accepted_in_each_form_and_names_nothing() -> None:
    sent = "/v1.0/p1/clusters/a%2Fb"
    for signed in ("/v1.0/p1/clusters/a%2Fb/", "/v1.0/p1/clusters/a/b/", "/v1.0/p1/clusters/a%252Fb/"):
        assert accepts(signed_as(signed), sent)
        assert accepts(signed_as(f"/{signed}"), sent)


def test_at_most_17_other_forms_are_tried_and_mostly_one() -> None:
    plain = {"signed_headers": b"x-sdk-date", "payload_hash": b"-"}
    date = {b"x-sdk-date": b"d"}
    assert len(list(sdk_hmac.other_forms("GET", b"/v1.0/p1", b"limit=1", date, **plain))) == 1
    headers = {b"x-sdk-date": b"d", b"accept": b"b, a"}
    worst = sdk_hmac.other_forms(
        "GET", b"/a%2Fb", b"A=1", headers, signed_headers=b"accept;x-sdk-date", payload_hash=b"-"
    )
    assert len(set(worst)) == 17


def test_the_common_form_costs_what_it_did() -> None:
    form = FORMS["common"]
    best = min(_seconds_of(form) for _ in range(20))
    assert best < 60e-6


def _seconds_of(form: dict[str, Any]) -> float:
    began = perf_counter()
    for _ in range(100):
        check(form)
    return (perf_counter() - began) / 100


@pytest.mark.parametrize(
    ("header", "named"),
    [
        (b"SDK-HMAC-SM3 Access=AK, SignedHeaders=x, Signature=0", "SDK-HMAC-SM3"),
        (b"AWS4-HMAC-SHA256 Credential=AK", "AWS4-HMAC-SHA256"),
        (b"Bearer abc", "Bearer"),
        (b"\xff\xfe", ""),
    ],
)
def test_an_algorithm_that_is_not_offered_is_named_with_those_that_are(header: bytes, named: str) -> None:
    with pytest.raises(SignatureError) as refused:
        parse_authorization(header)
    said = f"the algorithm {named!r} is not offered, SDK-HMAC-SHA256 and V11-HMAC-SHA256 are"
    assert said in str(refused.value)
