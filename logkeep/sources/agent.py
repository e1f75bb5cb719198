"""Log directories that a `logkeep agent` serves, `agent:NAME`, where `[agents.NAME]` tells its address and secrets."""

from __future__ import annotations

import hashlib
import os
import re
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, unquote, urlsplit

import httpx
import msgspec
from cryptography import x509

from logkeep.domain.causes import Cause
from logkeep.errors import SettingError, SourceUnreachable, SourceUnreadable, SourceVanished
from logkeep.sources.base import (
    MOST_FILES,
    Listing,
    LogFile,
    LogSource,
    OpenLog,
    Passed,
    PassedKind,
    is_plausible,
    printable,
)
from logkeep.sources.deadline import DeadlineTransport
from logkeep.sources.names import is_log_name, name_bytes, name_text

_PIECE = 1024 * 1024  # bytes that the agent sends at once
_MOST_LISTED = 16 * 1024 * 1024  # bytes of a listing; a file takes about 100
_LONGEST_WHY = 500  # characters
_TIMEOUT = httpx.Timeout(30.0)
_ANSWER_SECONDS = 120.0  # for all of an answer, however slowly it comes
_LIMITS = httpx.Limits(max_connections=24, max_keepalive_connections=16, keepalive_expiry=60.0)
_NOT_YET, _EXPIRED = 9, 10  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
_FILE = msgspec.json.Decoder(LogFile)


_T = TypeVar("_T")


class _Listed(msgspec.Struct):
    files: list[LogFile]
    passed: list[Passed]
    counts: dict[PassedKind, int]


class _Opened(msgspec.Struct):
    handle: str
    file: LogFile


_LISTED = msgspec.json.Decoder(_Listed)


class _Problem(msgspec.Struct):
    error: str
    message: str


@dataclass(frozen=True, slots=True)
class AgentAccess:
    """Where an agent is, and how both sides know each other."""

    url: str
    token: str
    fingerprint: str = ""  # SHA-256 of its certificate in hex; '' asks `ca`
    ca: Path | None = None  # PEM; None: what this machine trusts


class AgentSources:
    """Opens the agents of the settings."""

    def __init__(self, agents: Mapping[str, AgentAccess]) -> None:
        """Prepare the agents of the settings. Raises `SettingError`."""
        self._calls = {name: _Calls(name, _checked(name, access)) for name, access in agents.items()}

    def open(self, url: str, excluded: Callable[[str], bool] = lambda _name: False) -> AgentSource:
        """Open the source of a URL; connects to nothing yet. Raises `SettingError` if no agent has this name."""
        name = unquote(url.removeprefix("agent:"))
        if name not in self._calls:
            raise SettingError(f"source agent:{name}: there is no [agents.{name}]; add it to logkeep.toml")
        return AgentSource(name, self._calls[name], excluded)

    def close(self) -> None:
        for calls in self._calls.values():
            calls.close()


class AgentSource(LogSource):
    remote = True

    def __init__(self, name: str, calls: _Calls, excluded: Callable[[str], bool]) -> None:
        self.agent = name
        self._calls = calls
        self._excluded = excluded

    def list(self) -> Listing:
        listed = self._calls.ask("GET", "files", _LISTED.decode, _MOST_LISTED)
        listing = Listing()
        listing.passed = [self._checked(one) for one in listed.passed[:MOST_FILES]]
        listing.counts = {kind: min(max(count, 0), MOST_FILES) for kind, count in listed.counts.items()}
        for file in listed.files:
            if self._is_log(file):
                listing.append(file)
            else:
                listing.pass_over(file.name, PassedKind.EXCLUDED)
        return listing

    def _checked(self, one: Passed) -> Passed:
        if not _is_name(name_bytes(one.name.removesuffix("/")), one.name.removesuffix("/")):
            raise self._calls.unreachable(f"lists {one.name[:100]!r}, which is no name")
        return one._replace(why=printable(one.why, _LONGEST_WHY))

    def _is_log(self, file: LogFile) -> bool:
        name = name_bytes(file.name)
        if not _is_name(name, file.name) or not is_log_name(name.split(b"/"), lambda _: False):
            raise self._calls.unreachable(f"lists {file.name[:100]!r}, which is no name of a log")
        return is_log_name(name.split(b"/"), self._excluded)

    def open(self, name: str) -> OpenLog:
        if not is_log_name(name_bytes(name).split(b"/"), self._excluded):
            raise SourceVanished(f"{name} is no log of this directory")
        opened = self._calls.ask("POST", f"open?name={quote(name, safe='')}", msgspec.json.Decoder(_Opened).decode)
        return _OpenAgentLog(self._calls, opened.handle, name)


def _is_name(name: bytes, text: str) -> bool:
    return bool(text) and name_text(os.fsdecode(name)) == text


class _OpenAgentLog(OpenLog):
    def __init__(self, calls: _Calls, handle: str, name: str) -> None:
        self._calls = calls
        self._path = f"open/{quote(handle, safe='')}"
        self._name = name

    def stat(self) -> LogFile:
        file = self._calls.ask("GET", self._path, _FILE.decode)
        if not is_plausible(file):
            raise self._calls.unreachable(f"tells a size, time or inode of {self._name} that no file has")
        return file._replace(name=self._name)

    def read_at(self, offset: int, length: int) -> bytes:
        length = min(length, _PIECE)
        data = self._calls.ask("GET", f"{self._path}/bytes?offset={offset}&length={length}", bytes, length)
        if len(data) > length:
            raise self._calls.unreachable("answers with more than it was asked for")
        return data

    def close(self) -> None:
        with suppress(SourceUnreachable, SourceUnreadable, SourceVanished):  # it closes what nobody reads by itself
            self._calls.ask("DELETE", self._path, bytes)


class _Calls:
    """Calls of one agent; connects when it is first asked. Safe to use from any thread."""

    def __init__(self, name: str, access: AgentAccess) -> None:
        self._name = name
        self._access = access
        self._client: httpx.Client | None = None
        self._connecting = threading.Lock()

    def ask(self, method: str, path: str, decode: Callable[[bytes], _T], most: int = 64 * 1024) -> _T:
        """Send a request and decode the answer; raises a `SourceError`."""
        try:
            status, body = self._send(method, path, most)
        except (httpx.HTTPError, OSError) as error:
            self._forget()
            raise self.unreachable(self._why(error)) from error
        try:
            if status < 300:
                return decode(body)
            problem = msgspec.json.decode(body, type=_Problem)
        except (msgspec.MsgspecError, RecursionError, ValueError) as error:
            raise self.unreachable(f"answers {path.partition('?')[0]} with {status}, but not as an agent") from error
        if problem.error == "vanished":
            raise SourceVanished(printable(problem.message))
        if problem.error == "unreadable":
            raise SourceUnreadable(printable(problem.message))
        if status == 401:
            raise self.unreachable(f"refuses the token; copy that of the node into agents.{self._name}.token")
        raise self.unreachable(printable(problem.message))

    def unreachable(self, what: str) -> SourceUnreachable:
        return SourceUnreachable(f"the agent {self._name} at {self._access.url}: {what}")

    def close(self) -> None:
        with self._connecting:
            client, self._client = self._client, None
        if client:
            client.close()

    def _send(self, method: str, path: str, most: int) -> tuple[int, bytes]:
        end = time.monotonic() + _ANSWER_SECONDS
        with self._connected().stream(method, f"/agent/v1/{path}") as answer:
            body = bytearray()
            for piece in answer.iter_raw():
                body += piece
                if time.monotonic() > end:
                    raise self.unreachable(f"does not answer in full within {_ANSWER_SECONDS:.0f} s")
                if len(body) > max(most, 64 * 1024):
                    raise self.unreachable("answers with more than it was asked for")
            return answer.status_code, bytes(body)

    def _connected(self) -> httpx.Client:
        with self._connecting:
            if self._client is None:
                access = self._access
                headers = {"authorization": f"Bearer {access.token}", "accept-encoding": "identity"}
                self._client = httpx.Client(
                    base_url=access.url,
                    headers=headers,
                    timeout=_TIMEOUT,
                    transport=DeadlineTransport(_ANSWER_SECONDS + 1, self._trusted(), _LIMITS),  # of its head as well
                )
            return self._client

    def _forget(self) -> None:
        """Connect again next time. Reads in progress go on: the client closes with the last of them."""
        with self._connecting:
            self._client = None

    def _why(self, error: Exception) -> str:
        """Explain the error; for a certificate that is not trusted, by the one that the agent presents now."""
        refused = _distrust(error)
        if refused is None:
            return _reason(error)
        try:
            pem = self._shown() if not self._access.fingerprint else self._compared()
            known = x509.load_pem_x509_certificate(pem.encode("ascii"))
        except (OSError, ValueError):
            return _reason(error)
        return _tell_distrust(refused, self._name, known.not_valid_before_utc, known.not_valid_after_utc)

    def _shown(self) -> str:
        """Return the certificate that the agent presents, in PEM, trusted or not. Raises `OSError`."""
        parts = urlsplit(self._access.url)
        address = (parts.hostname or "", parts.port or 443)
        return ssl.get_server_certificate(address, timeout=_TIMEOUT.connect or 30)

    def _compared(self) -> str:
        """Return that certificate; raises `SourceUnreachable` if it has another fingerprint than the setting."""
        pem = self._shown()
        found = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
        if found != self._access.fingerprint:
            raise self.unreachable(
                f"shows a certificate with the fingerprint {found}, not {self._access.fingerprint} of "
                f"agents.{self._name}.fingerprint; either it was made anew: where `openssl x509 -noout -fingerprint "
                "-sha256 -in agent.crt` on the node tells the same, correct it in logkeep.toml and start the service "
                "again; or somebody stands between"
            )
        return pem

    def _trusted(self) -> ssl.SSLContext:
        """Create the TLS context. If a fingerprint is set, only the certificate that has it is trusted."""
        access = self._access
        if not access.fingerprint:
            return ssl.create_default_context(cafile=str(access.ca) if access.ca else None)
        pem = self._compared()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(cadata=pem)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # it need not be signed by itself
        return context


def _checked(name: str, access: AgentAccess) -> AgentAccess:
    where = f"agents.{name}"
    parts = urlsplit(access.url)
    if parts.scheme != "https" or not parts.hostname or parts.path not in {"", "/"} or parts.username:
        raise SettingError(f"{where}.url: is written as https://host:8476")
    if not access.token:
        raise SettingError(f"{where}.token: is that of the node's agent.token")
    fingerprint = access.fingerprint.replace(":", "").lower()
    if fingerprint and not re.fullmatch(r"[0-9a-f]{64}", fingerprint):
        raise SettingError(f"{where}.fingerprint: has 64 hex digits; the agent tells it when it starts")
    if access.ca:
        _check_authority(f"{where}.ca", access.ca)
    return replace(access, fingerprint=fingerprint)


def _check_authority(key: str, path: Path) -> None:
    try:
        path.read_bytes()
        ssl.create_default_context(cafile=str(path))
    except PermissionError as error:
        raise SettingError(f"{key}: {Cause.KEY_DENIED.tell(path=path, said=error.strerror)}") from error
    except ssl.SSLError as error:
        raise SettingError(f"{key}: {path} holds no certificate in PEM form; name the file of the authority") from error
    except OSError as error:
        raise SettingError(f"{key}: {path} cannot be read: {error.strerror}") from error


def _distrust(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """Return why the certificate was not trusted, which the library wraps; None for another error."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error


def _tell_distrust(refused: ssl.SSLCertVerificationError, agent: str, begins: datetime, ends: datetime) -> str:
    if refused.verify_code == _EXPIRED:
        return (
            f"shows a certificate that expired at {ends:%Y-%m-%d %H:%M} UTC; renew it on the node, where the agent "
            "takes it up within seconds (its own: remove agent.crt and agent.key, and start the agent again), "
            f"and where agents.{agent}.fingerprint is set, correct that and start the service again"
        )
    if refused.verify_code == _NOT_YET:
        return (
            f"shows a certificate that is valid from {begins:%Y-%m-%d %H:%M} UTC only; compare the clocks of both "
            "machines"
        )
    return (
        f"shows a certificate that is not trusted: {refused.verify_message}; see agents.{agent}.ca, or name its "
        f"fingerprint in agents.{agent}.fingerprint"
    )


def _reason(error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return "does not answer within 30 s; check that it runs and the network to it"
    return f"cannot be asked: {error or type(error).__name__}; check that it runs and the network to it"
