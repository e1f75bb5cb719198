"""Asks the service over HTTP, each request signed."""

from __future__ import annotations

import ssl
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar, cast
from urllib.parse import quote, urlencode

import httpx
import msgspec
import typer

from logkeep.cli.access import Access, find_access
from logkeep.cli.errors import CommandFailed, ServiceFault, UsageError
from logkeep.cli.invocation import invocation
from logkeep.contract.codes import find_fault_of
from logkeep.contract.css.responses import GetLogSettingResponse, LogConfiguration
from logkeep.contract.faults import FaultBody
from logkeep.contract.iam.responses import ProjectList
from logkeep.contract.native.job_responses import HeldLine
from logkeep.contract.native.responses import (
    ClusterList,
    ClusterView,
    IndexLine,
    KeptLine,
    VerificationView,
    VerifyLine,
)
from logkeep.contract.native.retention import RetentionPreviewLine, RetentionRunLine
from logkeep.contract.native.search import SearchLine
from logkeep.domain.causes import Cause
from logkeep.domain.cluster import is_cluster_id
from logkeep.errors import ClusterNotFound, NotAuthenticated
from logkeep.signing import sdk_hmac
from logkeep.stores.frames import decode as decode_frames

T = TypeVar("T")

_CLUSTERS = "/api/v1/clusters"
_PAGE = 1000  # the most that one answer lists
_CONNECT_SECONDS, _ANSWER_SECONDS = 10.0, 60.0
_STREAM_SECONDS = 900.0  # between two pieces: one object may be large, and its bucket slow


# What a connection that fails says, and what that means.
_CONNECT_SAYS = (
    ("CERTIFICATE", Cause.SERVICE_CERTIFICATE),
    ("refused", Cause.SERVICE_REFUSED),
    ("SSL", Cause.SERVICE_NO_TLS),
    ("Name or service not known", Cause.SERVICE_HOST),
    ("name resolution", Cause.SERVICE_HOST),
    ("No address associated", Cause.SERVICE_HOST),
)


class ServiceClient:
    """Client with one key; every method raises `ServiceFault`, or `CommandFailed` where the service does not answer."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._base = access.endpoint.rstrip("/")
        self._cluster = "CLUSTER"  # that was asked for last, for commands in messages
        # OpenSSL's own certificates, not a bundle: an operator adds an authority in one place, or by SSL_CERT_FILE.
        verify = ssl.create_default_context() if self._base.startswith("https") else False
        timeout = httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS)
        self._http = httpx.Client(verify=verify, timeout=timeout, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, **query: str | int) -> bytes:
        return self.send("GET", path + (f"?{urlencode(query, quote_via=quote)}" if query else ""))

    def send(self, method: str, path: str, body: object = None) -> bytes:
        """Return the body of the answer; `body` is sent as JSON."""
        with self._answer(method, path, body, _ANSWER_SECONDS) as response:
            return response.read()

    @contextmanager
    def stream(
        self, method: str, path: str, body: object = None, *, encoded: bool = False
    ) -> Generator[Iterator[bytes]]:
        """Yield the body of the answer, piece by piece; it may come `encoded`, which is decoded."""
        with self._answer(method, path, body, _STREAM_SECONDS, accepted="zstd" if encoded else "identity") as response:
            pieces = response.iter_raw()
            yield decode_frames(pieces) if response.headers.get("Content-Encoding") == "zstd" else pieces

    @contextmanager
    def lines(self, method: str, path: str, body: object = None) -> Generator[Iterator[bytes]]:
        """Yield the lines of the answer."""
        with self.stream(method, path, body) as pieces:
            yield _split_lines(pieces)

    @contextmanager
    def _answer(
        self, method: str, path: str, body: object, seconds: float, accepted: str = "identity"
    ) -> Generator[httpx.Response]:
        url = self._base + path
        content = b"" if body is None else msgspec.json.encode(body)
        headers = {"User-Agent": "logkeep"} | ({"Content-Type": "application/json"} if content else {})
        if self.access.security_token:
            headers["X-Security-Token"] = self.access.security_token
        now_ms = time.time_ns() // 1_000_000
        signed = sdk_hmac.sign(
            self.access.ak, self.access.sk, method, url, now_ms=now_ms, headers=headers, body=content
        )
        signed["Accept-Encoding"] = accepted  # not signed, as a proxy may change it
        timeout = httpx.Timeout(seconds, connect=_CONNECT_SECONDS)
        request = self._http.build_request(method, url, content=content or None, headers=signed, timeout=timeout)
        try:
            response = self._http.send(request, stream=True)
            try:
                if response.status_code != 200:
                    self._refuse(response)
                if "html" in response.headers.get("Content-Type", ""):  # a page of a proxy, or of something else
                    self._refuse_stranger(response)
                yield response
            finally:
                response.close()
        except httpx.HTTPError as error:
            raise self._unanswered(error) from error

    def _unanswered(self, error: httpx.HTTPError) -> CommandFailed:
        said = str(error)
        if isinstance(error, httpx.ConnectTimeout):
            return NotAnswering(Cause.SERVICE_UNREACHABLE.tell(where=self._base, said="it did not answer in time"))
        if isinstance(error, httpx.ConnectError):
            cause = next((cause for word, cause in _CONNECT_SAYS if word in said), Cause.SERVICE_UNREACHABLE)
            refused = cause in {Cause.SERVICE_REFUSED, Cause.SERVICE_UNREACHABLE}
            return (NotAnswering if refused else CommandFailed)(cause.tell(where=self._base, said=said))
        if isinstance(error, httpx.TimeoutException):
            return CommandFailed(Cause.SERVICE_SILENT.tell(where=self._base))
        return Broken(Cause.SERVICE_BROKEN.tell(where=self._base))

    def _refuse(self, response: httpx.Response) -> NoReturn:
        code, message = _read_fault(response.read())
        if not code:
            self._refuse_stranger(response)
        if response.status_code == 401:
            message = f"the service at {self._base} refuses the key {self.access.ak}: {_reason(message)}"
        raise ServiceFault(response.status_code, code, message, self._cluster)

    def _refuse_stranger(self, response: httpx.Response) -> NoReturn:
        kind = response.headers.get("Content-Type", "no type").partition(";")[0]
        raise CommandFailed(Cause.SERVICE_OTHER.tell(where=self._base, said=f"status {response.status_code}, {kind}"))

    # What more than one command asks -----------------------------------------------------------------------------

    @property
    def project_id(self) -> str:
        """Project of the key; asked of the service where it is not configured."""
        if self.access.project_id:
            return self.access.project_id
        return decode(self.get("/v3/projects"), ProjectList).projects[0].id

    def find_cluster(self, name_or_id: str) -> ClusterView:
        """Find a cluster by id or by name, as the form says. Raises `UsageError` where there is none."""
        self._cluster = name_or_id
        if is_cluster_id(name_or_id):
            return self.get_cluster(name_or_id)
        found = decode(self.get(_CLUSTERS, name=name_or_id), ClusterList).clusters
        if not found:
            raise UsageError(f"there is no cluster {name_or_id}; `logkeep cluster list` shows those of this project")
        return found[0]

    def get_cluster(self, cluster_id: str) -> ClusterView:
        try:
            return decode(self.get(f"{_CLUSTERS}/{cluster_id}"), ClusterView)
        except ServiceFault as fault:
            if not fault.tells(ClusterNotFound):
                raise
            raise UsageError(
                f"there is no cluster of the id {cluster_id} in this project; see `logkeep cluster list`"
            ) from fault

    def css(self, cluster: ClusterView, path: str) -> str:
        """Return the path of a CSS operation on a cluster."""
        return f"/v1.0/{self.project_id}/clusters/{cluster.id}/{path}"

    def records(self, cluster: ClusterView, **query: str | int) -> bytes:
        """Return the list of records as the API gives it."""
        return self.get(self.css(cluster, "logs/records"), **query)

    def setting(self, cluster: ClusterView) -> tuple[LogConfiguration | None, bytes]:
        """Return the log setting, None before the first open; and the whole answer."""
        document = self.get(self.css(cluster, "logs/settings"))
        return decode(document, GetLogSettingResponse).log_configuration, document

    def list_clusters(self) -> list[ClusterView]:
        """All of them, newest first."""
        found: list[ClusterView] = []
        while True:
            page = decode(self.get(_CLUSTERS, offset=len(found) + 1, limit=_PAGE), ClusterList).clusters
            found += page
            if len(page) < _PAGE:
                return found

    def list_kept(self, cluster: ClusterView, **query: str) -> list[KeptLine]:
        """Every generation in the archive, by node and family, in the order it was written."""
        return self._list(cluster, "archive", query, KeptLine)

    def coverage(self, cluster: ClusterView, **query: str) -> list[HeldLine]:
        """What is held of each log and what is missing."""
        return self._list(cluster, "coverage", query, HeldLine)

    def _list(self, cluster: ClusterView, what: str, query: dict[str, str], kind: type[T]) -> list[T]:
        """A list that comes as lines of JSON; '' in the query asks for nothing."""
        asked = urlencode({name: value for name, value in query.items() if value}, quote_via=quote)
        with self.lines("GET", f"{_CLUSTERS}/{cluster.id}/{what}?{asked}".rstrip("?")) as lines:
            return [decode(line, kind) for line in lines]

    @contextmanager
    def read_kept(
        self,
        cluster: ClusterView,
        kept: KeptLine,
        start: int,
        since: str = "",
        until: str = "",
        *,
        encoded: bool = False,
    ) -> Generator[Iterator[bytes]]:
        """Yield the plain bytes of one generation from `start` to its listed end, or those of records of a span.

        What comes `encoded` is checked frame by frame before it is yielded; raises `StoreCorrupt`.
        """
        query = {"start": start, "end": kept.end, "since": since, "until": until}
        asked = urlencode({name: value for name, value in query.items() if value != ""}, quote_via=quote)
        path = f"{_CLUSTERS}/{cluster.id}/archive/{quote(kept.node, safe='')}/{kept.generation}"
        with self.stream("GET", f"{path}?{asked}", encoded=encoded) as pieces:
            yield pieces

    @contextmanager
    def search(self, cluster: ClusterView, asked: dict[str, Any]) -> Generator[Iterator[SearchLine]]:
        """Yield the lines of a search."""
        with self.lines("POST", f"{_CLUSTERS}/{cluster.id}/search", asked) as lines:
            yield (decode(line, cast("type[SearchLine]", SearchLine)) for line in lines)

    @contextmanager
    def make_index(self, cluster: ClusterView, asked: dict[str, Any]) -> Generator[Iterator[IndexLine]]:
        """Yield the lines of the making of an index."""
        with self.lines("POST", f"{_CLUSTERS}/{cluster.id}/index", asked) as lines:
            yield (decode(line, cast("type[IndexLine]", IndexLine)) for line in lines)

    def last_verification(self, cluster: ClusterView) -> VerificationView:
        return decode(self.get(f"{_CLUSTERS}/{cluster.id}/verification"), VerificationView)

    @contextmanager
    def verify(self, cluster: ClusterView, asked: dict[str, Any]) -> Generator[Iterator[VerifyLine]]:
        """Yield the lines of a verification."""
        with self.lines("POST", f"{_CLUSTERS}/{cluster.id}/verify", asked) as lines:
            yield (decode(line, cast("type[VerifyLine]", VerifyLine)) for line in lines)

    @contextmanager
    def preview_retention(
        self, cluster: ClusterView, asked: dict[str, Any]
    ) -> Generator[Iterator[RetentionPreviewLine]]:
        """Yield the lines of what rules would remove."""
        with self.lines("POST", f"{_CLUSTERS}/{cluster.id}/retention/preview", asked) as lines:
            yield (decode(line, cast("type[RetentionPreviewLine]", RetentionPreviewLine)) for line in lines)

    @contextmanager
    def run_retention(self, cluster: ClusterView, asked: dict[str, Any]) -> Generator[Iterator[RetentionRunLine]]:
        """Yield the lines of a run of the rules."""
        with self.lines("POST", f"{_CLUSTERS}/{cluster.id}/retention/run", asked) as lines:
            yield (decode(line, cast("type[RetentionRunLine]", RetentionRunLine)) for line in lines)


class NotAnswering(CommandFailed):
    """Nobody listens there."""


class Broken(CommandFailed):
    """The answer ended in the middle."""


def decode(document: bytes, kind: type[T]) -> T:
    """Raises `CommandFailed` where the service answers something else."""
    try:
        return msgspec.json.decode(document, type=kind)
    except msgspec.DecodeError as error:
        raise CommandFailed(
            f"the service does not answer as this command expects ({error}); is it of another version?"
        ) from error


def open_client(context: typer.Context) -> ServiceClient:
    """Return the client of this command; it is closed when the command ends."""
    client = ServiceClient(find_access(invocation(context)))
    context.call_on_close(client.close)
    return client


def _read_fault(body: bytes) -> tuple[str, str]:
    """Code and message of an error; '' where it is not one of ours."""
    try:
        found = msgspec.json.decode(body, type=FaultBody)
    except msgspec.DecodeError:
        return "", ""
    return found.error_code, found.error_msg


def _reason(message: str) -> str:
    """Return what is wrong with a key, without the canonical request and the usual words before it."""
    message = message.removeprefix(find_fault_of(NotAuthenticated).prefix)
    if message.startswith("verify aksk signature fail"):
        return "its secret is not the one given"
    if "signature expired" in message:
        return f"the clocks differ by too much; set them ({message.partition(':')[2]})"
    if message.endswith("not exist"):
        return "there is no such key, or it was revoked"
    return message


def _split_lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
    if rest:
        yield rest
