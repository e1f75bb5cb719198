"""Webhooks in the form of the Standard Webhooks specification, and pings: one exchange, within bounds."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ssl
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import msgspec

from logkeep.domain.notice import Notice
from logkeep.domain.notice_target import SECRET_PREFIX, Answer, Destination
from logkeep.notify.addresses import (
    EVERYTHING,
    Address,
    AddressRefused,
    Network,
    Resolve,
    check_addresses,
    lies_in,
    resolve,
)
from logkeep.notify.bounded import run_within
from logkeep.notify.secrecy import hide

SECONDS = 10.0  # for all of it
_CONNECT_SECONDS = 3.0  # of each address
_MOST_ADDRESSES = 3
_MOST_BYTES = 64 * 1024  # of an answer
_LONGEST_WAIT = 3600.0  # that a receiver may ask for


class Webhooks:
    """Sends to URLs."""

    def __init__(self, version: str, allowed: Sequence[Network], *, find: Resolve = resolve, seconds: float = SECONDS):
        """Let tenants reach the `allowed` networks besides public addresses."""
        self._agent = f"Logkeep/{version}"
        self._allowed = allowed
        self._find = find
        self._seconds = seconds

    def send(self, to: Destination, notice: Notice | None) -> Answer:
        """Post a notice, or ask for the URL if there is none."""
        headers, body = {"user-agent": self._agent}, b""
        if notice:
            body = render(notice)
            headers |= {"content-type": "application/json", **sign(to.secret, notice.id, round(time.time()), body)}
        until = time.monotonic() + self._seconds
        try:
            addresses = self._addresses(to)
            return asyncio.run(self._exchange(to, addresses, headers, body if notice else None, until))
        except AddressRefused as error:
            return Answer(error.message)
        except TimeoutError:
            return Answer(f"no whole answer within {self._seconds:.0f} s")
        except (OSError, ValueError) as error:
            return Answer(hide(f"cannot be reached: {_reason(error)}", to.url, to.secret))

    def _addresses(self, to: Destination) -> list[Address]:
        parts = urlsplit(to.url)
        host, plain = parts.hostname or "", parts.scheme == "http"
        found = run_within(self._seconds / 2, lambda: self._find(host, parts.port or (80 if plain else 443)))
        # All of them for who may reach any, too: none is resolved a second time.
        allowed = self._allowed if to.guarded else EVERYTHING
        return check_addresses(found, allowed, plain=plain and to.guarded)[:_MOST_ADDRESSES]

    async def _exchange(
        self,
        to: Destination,
        addresses: Sequence[Address],
        headers: Mapping[str, str],
        body: bytes | None,
        until: float,
    ) -> Answer:
        import httpx  # noqa: PLC0415  slow to import, and many never need it

        failure: Exception | None = None
        async with asyncio.timeout(max(0.0, until - time.monotonic())):
            for address in addresses:
                try:
                    return await self._ask(to, address, headers, body)
                except (httpx.ConnectError, httpx.ConnectTimeout) as error:  # the next address may answer
                    failure = error
                except httpx.TimeoutException as error:
                    raise TimeoutError from error
                except (httpx.HTTPError, httpx.InvalidURL) as error:
                    failure = error
                    break
        return Answer(hide(f"cannot be reached: {_reason(failure)}", to.url, to.secret))

    async def _ask(self, to: Destination, address: Address, headers: Mapping[str, str], body: bytes | None) -> Answer:
        import httpx  # noqa: PLC0415  see above

        url = httpx.URL(to.url)
        timeout = httpx.Timeout(self._seconds, connect=_CONNECT_SECONDS)
        verify = ssl.create_default_context() if url.scheme == "https" else False
        # The name goes into `Host` and into TLS, where the certificate is held against it; the address was checked.
        named = {**headers, "host": url.netloc.decode(), "accept-encoding": "identity"}
        async with (
            httpx.AsyncClient(timeout=timeout, verify=verify, trust_env=False, follow_redirects=False) as client,
            client.stream(
                "GET" if body is None else "POST",
                url.copy_with(host=str(address)),
                headers=named,
                content=body,
                extensions={"sni_hostname": url.host},
            ) as answer,
        ):
            read = bytearray()
            if not answer.is_success:
                async for piece in answer.aiter_raw():
                    read += piece
                    if len(read) >= _MOST_BYTES:
                        break
            said = (
                ""
                if to.guarded and lies_in(address, self._allowed)
                else bytes(read[:_MOST_BYTES]).decode("utf-8", "replace")
            )
            return _judge(to, answer.status_code, answer.headers.get("retry-after", ""), said)


def render(notice: Notice) -> bytes:
    """Return the body of a webhook."""
    return msgspec.json.encode(
        {
            "type": notice.event,
            "timestamp": datetime.fromtimestamp(notice.at / 1000, UTC).isoformat(timespec="milliseconds"),
            "text": notice.text,  # which receivers of chats show
            "data": _data(notice),
        }
    )


def _data(notice: Notice) -> dict[str, Any]:
    of = {"id": notice.cluster_id, "name": notice.cluster} if notice.cluster_id else None
    return {
        "id": notice.id,
        "event": notice.event,
        "at": notice.at,
        "since": notice.since,
        "project": {"id": notice.project_id, "name": notice.project} if notice.project_id else None,
        "cluster": of,
        "clusters": notice.clusters,
        "number": notice.number,
        "state": notice.state,
        "code": notice.code,
        "title": notice.title,
        "cause": notice.cause,
        "remedy": notice.remedy,
        "url": notice.url,
        "may_repeat": notice.may_repeat,
    }


def sign(secret: str, id_: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers of a message, signed where there is a secret; `timestamp` is in seconds."""
    headers = {"webhook-id": id_, "webhook-timestamp": str(timestamp)}
    if secret:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
        mac = hmac.digest(key, f"{id_}.{timestamp}.".encode() + body, hashlib.sha256)
        headers["webhook-signature"] = f"v1,{base64.b64encode(mac).decode()}"
    return headers


def _judge(to: Destination, status: int, retry_after: str, said: str) -> Answer:
    if 200 <= status < 300:
        return Answer(status=status)
    if 300 <= status < 400:
        return Answer(f"{status}: it leads elsewhere, which is not followed; name the URL that it leads to", status)
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "unknown status"
    told = hide(f"{status} {phrase}" + (f": {said}" if said.strip() else ""), to.url, to.secret)
    return Answer(told, status, _wait(retry_after) if status in {429, 503} else 0)


def _wait(text: str) -> float:
    """Return how many seconds a receiver asks to wait, at most an hour; 0 where that is not clear."""
    try:
        seconds = float(text) if text.isdecimal() else parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return 0
    return min(max(0.0, seconds), _LONGEST_WAIT)


def _reason(error: BaseException | None) -> str:
    return str(error) or type(error).__name__
