"""SDK-HMAC-SHA256 and its derived form V11-HMAC-SHA256: how clients sign a request (docs/contract.md, "Signing").

Everything is done on the bytes that went over the wire; nothing is read from a clock or a socket.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes, urlsplit

ALGORITHM = "SDK-HMAC-SHA256"
DERIVED_ALGORITHM = "V11-HMAC-SHA256"
MAX_SKEW_MS = 900_000  # 15 minutes (docs/contract.md, "SDK-HMAC-SHA256")

_EMPTY_SHA256 = sha256(b"").hexdigest().encode()
_UNSIGNED_PAYLOAD = b"UNSIGNED-PAYLOAD"
_CONTENT_SHA256 = b"x-sdk-content-sha256"
_DATE = b"x-sdk-date"
_AUTHORIZATION = re.compile(  # a key is printable ASCII without ',' and '/'
    rb"(?:SDK-HMAC-SHA256 Access=([!-+\-.0-~]{1,128})"
    rb"|V11-HMAC-SHA256 Credential=([!-+\-.0-~]{1,128})/(\d{8}/[^,\s/]{1,128}/[^,\s/]{1,128}))"
    rb", ?SignedHeaders=([^,\s]{1,4096}), ?Signature=([0-9a-f]{64})"
)
_ALGORITHM = re.compile(rb"[!-~]{1,64}")
_SDK_DATE = re.compile(rb"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z")
_PLAIN_PATH = re.compile(rb"[A-Za-z0-9\-._~/]*")
_PLAIN_TEXT = re.compile(rb"[A-Za-z0-9\-._~]*")  # the unreserved set of RFC 3986: encodes to itself
_PLAIN_QUERY = re.compile(rb"[A-Za-z0-9\-._~]*=[A-Za-z0-9\-._~]*(?:&[A-Za-z0-9\-._~]*=[A-Za-z0-9\-._~]*)*")
_SECRET_HEADER = re.compile(rb"token|cookie|auth|secret|password")
# What no name or id of this service has: '/', '\\' and control characters, escaped.
_NAMELESS = re.compile(rb"%(?:2[Ff]|5[Cc]|[01][0-9A-Fa-f]|7[Ff])")
_MAX_SHOWN = 2000  # of the canonical request in a message


class SignatureError(Exception):
    """The request is not signed, or not signed by the owner of the key; says why."""


class SignatureMismatch(SignatureError):
    """The request is whole, but was signed with another secret."""


class Authorization(NamedTuple):
    """What an `Authorization` header says."""

    access_key: str
    scope: bytes  # V11: yyyyMMdd/region/service; empty for SDK-HMAC-SHA256
    signed_headers: bytes  # as listed: host;x-sdk-date
    signature: bytes  # 64 hex digits


def parse_authorization(header: bytes) -> Authorization:
    """Read an `Authorization` header; raises `SignatureError`."""
    found = _AUTHORIZATION.fullmatch(header)
    if not found:
        raise SignatureError(_unreadable(header))
    access, derived_access, scope, signed_headers, signature = found.groups()
    access_key = (access or derived_access).decode()
    return Authorization(access_key, scope or b"", signed_headers, signature)


def _unreadable(header: bytes) -> str:
    wanted = f"Authorization must be '{ALGORITHM} Access=…, SignedHeaders=…, Signature=…'"
    found = _ALGORITHM.match(header)
    algorithm = found[0].decode() if found else ""
    if algorithm in {ALGORITHM, DERIVED_ALGORITHM}:
        return wanted
    return f"{wanted}; the algorithm {algorithm!r} is not offered, {ALGORITHM} and {DERIVED_ALGORITHM} are"


def canonical_path(raw_path: bytes) -> bytes:
    """Decode and re-encode each segment, and end in '/' (docs/contract.md, "SDK-HMAC-SHA256", step 2)."""
    if not _PLAIN_PATH.fullmatch(raw_path):
        raw_path = b"/".join(_encode(unquote_to_bytes(segment)) for segment in raw_path.split(b"/"))
    return raw_path if raw_path.endswith(b"/") else raw_path + b"/"


def canonical_query(raw_query: bytes) -> bytes:
    """Decode, sort and re-encode the parameters (docs/contract.md, "SDK-HMAC-SHA256", step 3).

    A raw '+' is read as a blank, as Go's and Java's form decoding do; clients sign the blank as %20.
    """
    if _PLAIN_QUERY.fullmatch(raw_query):
        return b"&".join(map(b"".join, sorted(parameter.partition(b"=") for parameter in raw_query.split(b"&"))))
    pairs = sorted(_decode_parameter(parameter) for parameter in raw_query.split(b"&") if parameter)
    return b"&".join(_encode(key) + b"=" + _encode(value) for key, value in pairs)


def canonical_request(
    method: str,
    raw_path: bytes,
    raw_query: bytes,
    headers: Mapping[bytes, bytes],
    *,
    signed_headers: bytes,
    payload_hash: bytes,
) -> bytes:
    """Build the text whose hash is signed (docs/contract.md, "SDK-HMAC-SHA256", step 1).

    `headers` has lower-case names. Raises `SignatureError` where a signed header is missing.
    """
    head = canonical_headers(headers, signed_headers)
    return b"\n".join(
        (method.encode(), canonical_path(raw_path), canonical_query(raw_query), head, signed_headers, payload_hash)
    )


def canonical_headers(headers: Mapping[bytes, bytes], signed_headers: bytes) -> bytes:
    """Write a line for each signed header, and an empty one (docs/contract.md, "SDK-HMAC-SHA256", step 4)."""
    lines: list[bytes] = []
    for name in signed_headers.split(b";"):
        value = headers.get(name)
        if value is None:
            raise SignatureError(f"signed header {_shown(name)} is missing")
        lines.append(name + b":" + value.strip())
    lines.append(b"")
    return b"\n".join(lines)


def other_forms(
    method: str,
    raw_path: bytes,
    raw_query: bytes,
    headers: Mapping[bytes, bytes],
    *,
    signed_headers: bytes,
    payload_hash: bytes,
) -> Iterator[bytes]:
    """Yield the canonical requests of clients that deviate from the common form: at most 17, mostly one.

    Two requests may share such a form, but never two that mean different things:

    - Slashes at the start of a path count as one, so `//v1.0` and `/v1.0` are the same resource.
    - If `%2F` is decoded before a path is split, or an escape is escaped again, different paths have the same form.
      Such forms are tried only for paths with an escape that no name or id of this service contains. They name
      nothing, so a valid signature only gets the answer that there is no such resource.
    - Names of parameters are read in any case, and a name that comes twice with different values is refused.
    - The values of a header are the same on one line or on several, in any order. None tells path, query or body.
    """
    path, query, head = canonical_path(raw_path), canonical_query(raw_query), canonical_headers(headers, signed_headers)
    rests = [(query, head)]
    if (lower := _lower_names(raw_query)) != query:
        rests.append((lower, head))
    if (split := _split_headers(headers, signed_headers)) != head:
        rests.append((query, split))
    for form in (path, *_nameless_paths(raw_path)):
        for either in (form, _other_slash(form)):
            for query_form, head_form in rests:
                if (either, query_form, head_form) != (path, query, head):
                    lines = (method.encode(), either, query_form, head_form, signed_headers, payload_hash)
                    yield b"\n".join(lines)


def _other_slash(path: bytes) -> bytes:
    """Add or drop a leading '/'.

    With an endpoint that ends in '/', Node signs `//v1.0` and sends `/v1.0`; Go and Python do the opposite.
    """
    return path[1:] if path.startswith(b"//") else b"/" + path


def _nameless_paths(raw_path: bytes) -> Iterator[bytes]:
    if not _NAMELESS.search(raw_path):
        return
    # Python and .NET decode the whole path before they split it.
    decoded = b"/".join(_encode(segment) for segment in unquote_to_bytes(raw_path).split(b"/"))
    # Java, Node and C++ escape what was escaped already.
    again = b"/".join(_encode(segment) for segment in raw_path.split(b"/"))
    for path in (decoded, again):
        yield path if path.endswith(b"/") else path + b"/"


def _lower_names(raw_query: bytes) -> bytes:
    """Return the query as Go signs it: names lower-cased before they are sorted, though sent as they are."""
    pairs = [_decode_parameter(parameter) for parameter in raw_query.split(b"&") if parameter]
    pairs = sorted((key.lower(), value) for key, value in pairs)
    return b"&".join(_encode(key) + b"=" + _encode(value) for key, value in pairs)


def _split_headers(headers: Mapping[bytes, bytes], signed_headers: bytes) -> bytes:
    """Return the headers as Go and .NET sign them: a line for each value of a header, sorted."""
    lines: list[bytes] = []
    for name in signed_headers.split(b";"):
        values = sorted(value.strip() for value in headers[name].split(b","))
        lines += [name + b":" + value for value in values]
    lines.append(b"")
    return b"\n".join(lines)


def verify(
    authorization: Authorization,
    secret: str,
    *,
    method: str,
    raw_path: bytes,
    raw_query: bytes,
    headers: Mapping[bytes, bytes],
    body: bytes,
    now_ms: int,
    max_skew_ms: int = MAX_SKEW_MS,
) -> None:
    """Raise `SignatureError` unless the owner of `secret` signed this very request within the window.

    `headers` has lower-case names and one value for each; the caller refuses signed headers that come twice.
    """
    signed_headers = authorization.signed_headers
    date = headers.get(_DATE)
    if date is None or _DATE not in signed_headers.split(b";"):
        raise SignatureError("x-sdk-date must be sent and signed")
    _check_date(date, authorization.scope, now_ms, max_skew_ms)
    payload_hash = _payload_hash(headers, body)
    request = method, raw_path, raw_query, headers
    canonical = canonical_request(*request, signed_headers=signed_headers, payload_hash=payload_hash)
    if _is_signed(authorization, secret, date, canonical):
        return
    for form in other_forms(*request, signed_headers=signed_headers, payload_hash=payload_hash):
        if _is_signed(authorization, secret, date, form):
            return
    raise SignatureMismatch(f"verify aksk signature fail, canonicalRequest:{_shown_canonical(canonical)}")


def sign(
    access_key: str,
    secret: str,
    method: str,
    url: str,
    *,
    now_ms: int,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    region: str = "",
    service: str = "css",
) -> dict[str, str]:
    """Return the headers to send with the request: `headers`, Host, X-Sdk-Date and Authorization.

    All given headers are signed. With a `region` the derived form V11-HMAC-SHA256 is used.
    """
    parts = urlsplit(url)
    date = datetime.fromtimestamp(now_ms // 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    sent = {"Host": parts.netloc.rpartition("@")[2], **(headers or {}), "X-Sdk-Date": date}
    lowered = {name.lower().encode(): value.encode() for name, value in sent.items()}
    signed_headers = b";".join(sorted(lowered))
    raw_path, raw_query = parts.path.encode() or b"/", parts.query.encode()
    payload_hash = _payload_hash(lowered, body)
    canonical = canonical_request(
        method, raw_path, raw_query, lowered, signed_headers=signed_headers, payload_hash=payload_hash
    )
    scope = f"{date[:8]}/{region}/{service}" if region else ""
    signature = _signature(access_key, secret, date.encode(), scope.encode(), canonical)
    who = f"{DERIVED_ALGORITHM} Credential={access_key}/{scope}" if scope else f"{ALGORITHM} Access={access_key}"
    sent["Authorization"] = f"{who}, SignedHeaders={signed_headers.decode()}, Signature={signature.decode()}"
    return sent


def _is_signed(authorization: Authorization, secret: str, date: bytes, canonical: bytes) -> bool:
    expected = _signature(authorization.access_key, secret, date, authorization.scope, canonical)
    return hmac.compare_digest(expected, authorization.signature)


def _signature(access_key: str, secret: str, date: bytes, scope: bytes, canonical: bytes) -> bytes:
    """Compute the signature; with a `scope` by V11-HMAC-SHA256, without by SDK-HMAC-SHA256."""
    digest = sha256(canonical).hexdigest().encode()
    if not scope:
        return hmac.digest(secret.encode(), b"SDK-HMAC-SHA256\n" + date + b"\n" + digest, "sha256").hex().encode()
    text = b"\n".join((b"V11-HMAC-SHA256", date, scope, digest))
    return hmac.digest(_derived_key(access_key, secret, scope), text, "sha256").hex().encode()


def _derived_key(access_key: str, secret: str, scope: bytes) -> bytes:
    """Derive the key by one round of HKDF-SHA256, as hex text (docs/contract.md, "V11-HMAC-SHA256")."""
    extracted = hmac.digest(access_key.encode(), secret.encode(), "sha256")
    return hmac.digest(extracted, scope + b"\x01", "sha256").hex().encode()


def _check_date(date: bytes, scope: bytes, now_ms: int, max_skew_ms: int) -> None:
    try:
        signed_at_ms = _read_date(date)
    except ValueError:
        raise SignatureError("x-sdk-date must be written yyyyMMddTHHmmssZ") from None
    if abs(now_ms - signed_at_ms) > max_skew_ms:
        now = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
        raise SignatureError(
            f"calc aksk signature fail:signature expired, signature time:{date.decode()},server time:{now}"
        )
    if scope and scope[:8] != date[:8]:
        raise SignatureError("the date of the credential and x-sdk-date differ")


@lru_cache(maxsize=64)  # many requests of one second share their date
def _read_date(date: bytes) -> float:
    """Return Unix time in ms; raises `ValueError`."""
    found = _SDK_DATE.fullmatch(date)
    if not found:
        raise ValueError
    year, month, day, hour, minute, second = map(int, found.groups())
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp() * 1000


def _payload_hash(headers: Mapping[bytes, bytes], body: bytes) -> bytes:
    """Return the hash that the client signed (docs/contract.md, "SDK-HMAC-SHA256", step 5).

    Raises `SignatureError` where X-Sdk-Content-Sha256 does not match the body.
    """
    computed = sha256(body).hexdigest().encode() if body else _EMPTY_SHA256
    given = headers.get(_CONTENT_SHA256)
    if given is None:
        return computed
    if given == _UNSIGNED_PAYLOAD:
        # Every body here is JSON, whatever its content type says, so none may go unsigned.
        if body or b"json" in headers.get(b"content-type", b"json").lower():
            raise SignatureError("UNSIGNED-PAYLOAD is not accepted for JSON")
        return given
    if not hmac.compare_digest(given.lower(), computed):
        raise SignatureError("x-sdk-content-sha256 is not the hash of the body")
    return given


def _decode_parameter(parameter: bytes) -> tuple[bytes, bytes]:
    key, _, value = parameter.replace(b"+", b" ").partition(b"=")
    return unquote_to_bytes(key), unquote_to_bytes(value)


def _encode(text: bytes) -> bytes:
    return text if _PLAIN_TEXT.fullmatch(text) else quote_from_bytes(text, safe="~").encode()


def _shown(text: bytes) -> str:
    return text[:100].decode("utf-8", "replace")


def _shown_canonical(canonical: bytes) -> str:
    """Write the canonical request on one line (docs/contract.md, "Gateway codes"), with secret headers masked."""
    lines = [
        name + b":***" if colon and _SECRET_HEADER.search(name.lower()) else line
        for line in canonical.split(b"\n")
        for name, colon, _ in (line.partition(b":"),)
    ]
    return b"|".join(lines)[:_MAX_SHOWN].decode("utf-8", "replace")
