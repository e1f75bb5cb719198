"""SSH connections to nodes: one for each user and host, shared by all that read there; one thread runs them."""

from __future__ import annotations

import asyncio
import atexit
import os
import shlex
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import asyncssh

from logkeep.domain.causes import Cause
from logkeep.errors import SettingError, SourceUnreachable
from logkeep.sources.base import printable
from logkeep.sources.hosts import Address

_IDLE_SECONDS = 60.0  # a connection that nobody uses is closed after this time; a job asks more often
_KEEPALIVES = 3  # unanswered ones, a third of the timeout apart, after which a node is taken for dead
# AES-GCM has hardware on every machine that is likely; asyncssh would take ChaCha20 first.
_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes256-ctr")

_PRINTED_SECONDS = 5.0

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Access:
    """How to log in, and where to believe that it is the right machine."""

    known_hosts: Path
    keys: tuple[Path, ...] = ()  # none: those of the agent
    jump: Address | None = None
    connections: int = 32  # to all nodes at a time
    timeout_seconds: float = 30.0  # for a connection, and for one answer


class _Lost(SourceUnreachable):
    """The connection broke, or was broken before it was asked."""


class Connection:
    """One SSH connection and its SFTP session; belongs to the event loop."""

    def __init__(self, ssh: asyncssh.SSHClientConnection, sftp: asyncssh.SFTPClient, users: int) -> None:
        self.ssh = ssh
        self.sftp = sftp
        self.users = users

    def take(self) -> None:
        self.users += 1


@dataclass(slots=True)
class _Slot:
    """The place of a connection, from before it is made."""

    made: asyncio.Task[Connection]
    waiting: int = 0
    closing: asyncio.TimerHandle | None = field(default=None)

    def connection(self) -> Connection | None:
        done = self.made.done() and not self.made.cancelled() and not self.made.exception()
        return self.made.result() if done else None

    @property
    def idle(self) -> bool:
        connection = self.connection()
        return not self.waiting and connection is not None and not connection.users


class Connections:
    """All connections of this process. Safe to use from any thread."""

    def __init__(self, access: Access) -> None:
        """Load the keys. Raises `SettingError` if one cannot be used."""
        self._access = access
        self._keys = [_read_key(path) for path in access.keys]
        self._slots: dict[Address, _Slot] = {}
        self._room = asyncio.Condition()
        self._thread: _LoopThread | None = None
        self._starting = threading.Lock()

    @property
    def timeout_seconds(self) -> float:
        """Return the time-out of one answer."""
        return self._access.timeout_seconds

    def run(
        self,
        address: Address,
        action: Callable[[Connection], Awaitable[_T]],
        connection: Connection | None = None,
    ) -> _T:
        """Return what `action` returns; it gets a shared connection, or the one that the caller holds.

        Raises `SourceUnreachable` if the node cannot be reached or does not answer in time.
        """
        seconds = self._access.timeout_seconds
        call = self._on_held(address, action, connection) if connection else self._on_shared(address, action)
        future = asyncio.run_coroutine_threadsafe(call, self._running())
        try:
            # The timeouts inside come first; this one is for a loop that does not run any more.
            return future.result(4 * seconds + 10)
        except TimeoutError as error:
            future.cancel()
            raise SourceUnreachable(f"{address} was not asked in time; start the service again") from error

    def give_back(self, connection: Connection, farewell: Callable[[], Awaitable[object]]) -> None:
        """Release a held connection in the background, after a `farewell` to the node."""

        async def give_back() -> None:
            with suppress(asyncssh.Error, OSError, TimeoutError):
                async with asyncio.timeout(self._access.timeout_seconds):
                    await farewell()
            await self._let_go(connection)

        asyncio.run_coroutine_threadsafe(give_back(), self._running())

    def close(self) -> None:
        """Close all connections and end the thread, which restarts when it is needed."""
        with self._starting:
            thread, self._thread = self._thread, None
        if thread:
            thread.stop()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._thread is None:
                self._thread = _LoopThread(self._close_all)
                atexit.register(self.close)
            return self._thread.loop

    # On the loop -------------------------------------------------------------------------------------------------

    async def _on_shared(self, address: Address, action: Callable[[Connection], Awaitable[_T]]) -> _T:
        """Run on a shared connection. If that broke while idle, as when sshd restarted, connect again."""
        slot = self._slots.get(address)
        before = slot.connection() if slot else None
        connection = await self._take(address)
        try:
            return await self._on_held(address, action, connection)
        except _Lost:
            if connection is not before:
                raise
        finally:
            await self._let_go(connection)
        return await self._on_shared(address, action)

    async def _on_held(
        self, address: Address, action: Callable[[Connection], Awaitable[_T]], connection: Connection
    ) -> _T:
        try:
            async with asyncio.timeout(self._access.timeout_seconds):
                return await action(connection)
        except TimeoutError as error:
            connection.ssh.abort()  # all that waits for this node ends at once
            self._forget(connection)
            raise SourceUnreachable(
                f"{address} does not answer within {self._access.timeout_seconds:g} s (sftp.timeout_seconds); "
                "check the machine and the network to it"
            ) from error
        except (asyncssh.Error, OSError) as error:
            self._forget(connection)
            raise _Lost(
                f"{address} broke the connection: {_reason(error)}; check the machine and the network to it, "
                "the next backup goes on from here"
            ) from error

    async def _take(self, address: Address) -> Connection:
        slot = self._slots.get(address)
        if slot and slot.made.done() and slot.connection() is None:  # it failed, and who began it did not wait
            del self._slots[address]
            slot = None
        if slot and (made := slot.connection()) and made.ssh.is_closed():
            self._drop(slot)
            slot = None
        if slot is None:
            await self._make_room(address)
            slot = self._slots.get(address)  # somebody else may have made it meanwhile
        if slot is None:
            slot = self._slots[address] = _Slot(asyncio.ensure_future(self._connect(address)))
        slot.waiting += 1
        try:
            connection = await asyncio.shield(slot.made)
        except BaseException:
            if self._slots.get(address) is slot and slot.made.done():
                del self._slots[address]
            raise
        finally:
            slot.waiting -= 1
        connection.take()
        if slot.closing:
            slot.closing.cancel()
            slot.closing = None
        return connection

    async def _make_room(self, address: Address) -> None:
        """Wait until one more connection is allowed, or close an idle one."""
        async with self._room:
            try:
                async with asyncio.timeout(self._access.timeout_seconds):
                    while address not in self._slots and len(self._slots) >= self._access.connections:
                        idle = next((slot for slot in self._slots.values() if slot.idle), None)
                        if idle:
                            self._drop(idle)
                        else:
                            await self._room.wait()
            except TimeoutError as error:
                raise SourceUnreachable(
                    f"{address} was not asked: all {self._access.connections} connections of sftp.connections are "
                    "in use; raise it, or let fewer backups run at once"
                ) from error

    async def _let_go(self, connection: Connection) -> None:
        connection.users -= 1
        slot = next((slot for slot in self._slots.values() if slot.connection() is connection), None)
        if slot and slot.idle:
            loop = asyncio.get_running_loop()
            slot.closing = loop.call_later(_IDLE_SECONDS, self._drop, slot)
        async with self._room:
            self._room.notify()

    def _forget(self, connection: Connection) -> None:
        for slot in [slot for slot in self._slots.values() if slot.connection() is connection]:
            self._drop(slot)

    def _drop(self, slot: _Slot) -> None:
        for address in [address for address, one in self._slots.items() if one is slot]:
            del self._slots[address]
        if connection := slot.connection():
            connection.ssh.close()
        else:
            slot.made.cancel()

    async def _close_all(self) -> None:
        for slot in list(self._slots.values()):
            self._drop(slot)
            if connection := slot.connection():
                with suppress(Exception):
                    await connection.ssh.wait_closed()

    async def _connect(self, address: Address) -> Connection:
        jump = self._access.jump
        if jump is None:
            return await self._log_in(address, None)
        through = await self._log_in(jump, None)
        try:
            connection = await self._log_in(address, through.ssh)
        except BaseException:
            through.ssh.abort()
            raise
        asyncio.ensure_future(_close_after(connection.ssh, through.ssh))  # noqa: RUF006  ends with the connection
        return connection

    async def _log_in(self, address: Address, through: asyncssh.SSHClientConnection | None) -> Connection:
        known = _read_known_hosts(self._access.known_hosts, address)
        witness = _Witness()
        seconds = self._access.timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                ssh = await asyncssh.connect(
                    address.host,
                    address.port,
                    username=address.user,
                    client_factory=lambda: witness,
                    known_hosts=known,
                    client_keys=self._keys or (),
                    agent_path=None if self._keys else os.environ.get("SSH_AUTH_SOCK"),
                    preferred_auth="publickey",
                    x509_trusted_certs=None,
                    encryption_algs=_CIPHERS,
                    compression_algs=("none",),
                    tunnel=through or (),
                    config=None,
                    connect_timeout=seconds,
                    login_timeout=seconds,
                    keepalive_interval=max(1.0, seconds / _KEEPALIVES),
                    keepalive_count_max=_KEEPALIVES,
                )
        except (asyncssh.Error, OSError, ValueError) as error:
            raise SourceUnreachable(self._why(address, witness, known, error)) from error
        try:
            async with asyncio.timeout(seconds):
                return Connection(ssh, await ssh.start_sftp_client(path_encoding=None), 0)
        except (asyncssh.Error, OSError) as error:
            printed = await _printed(ssh)
            ssh.abort()
            if printed:
                raise SourceUnreachable(
                    f"{address} lets {address.user} in, but prints {printed!r} where SFTP should begin, which breaks "
                    f"it; let what prints that (`.bashrc` and the like of {address.user}, its shell, a forced command) "
                    "print nothing where no terminal is, or use `ForceCommand internal-sftp`, which runs no shell"
                ) from error
            raise SourceUnreachable(
                f"{address} lets {address.user} in, but offers no SFTP: {_reason(error)}; "
                "its sshd_config needs `Subsystem sftp internal-sftp`"
            ) from error

    def _why(self, address: Address, witness: _Witness, known: asyncssh.SSHKnownHosts, error: Exception) -> str:
        """Explain a failed login in one sentence."""
        file = shlex.quote(str(self._access.known_hosts))
        host, port = address.host, address.port
        if witness.refused:
            if any(known.match(host, witness.address, port)):
                return (
                    f"{host} has another host key than {file} says: {witness.refused}; either it was set up anew, "
                    f"then remove the old one with `ssh-keygen -f {file} -R {_bracketed(host, port)}` and add the new "
                    "one, or somebody stands between"
                )
            return (
                f"{host} is not in {file} (sftp.known_hosts), its host key is {witness.refused}; if the node says the "
                "same (`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` there), add it with "
                f"`ssh-keyscan -p {port} {host} >> {file}`"
            )
        if isinstance(error, asyncssh.PermissionDenied):
            offered = "the keys of sftp.keys" if self._keys else "the keys of the agent at SSH_AUTH_SOCK"
            if not self._keys and not os.environ.get("SSH_AUTH_SOCK"):
                offered = "no key, as sftp.keys is empty and SSH_AUTH_SOCK names no agent"
            return f"{address} refuses the login with {offered}; add the public key to the user's authorized_keys there"
        if isinstance(error, TimeoutError):
            seconds = f"{self._access.timeout_seconds:g} s (sftp.timeout_seconds)"
            return f"{address} does not answer within {seconds}; check the machine and the network to it"
        return f"{address} cannot be reached: {_reason(error)}; check that sshd runs there and the network to it"


class _LoopThread:
    """A thread that runs an event loop until it is stopped, and `at_end` then."""

    def __init__(self, at_end: Callable[[], Awaitable[None]]) -> None:
        self._at_end = at_end
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="ssh", daemon=True)
        self._thread.start()
        self._started.wait()

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        self._started.set()
        await self._stopped.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await self._at_end()

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(10)


class _Witness(asyncssh.SSHClient):
    """Is asked only about a host key that the file of known hosts does not have."""

    def __init__(self) -> None:
        self.refused = ""
        self.address = ""

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:  # noqa: ARG002
        self.refused, self.address = key.get_fingerprint(), addr
        return False


def _read_key(path: Path) -> asyncssh.SSHKey:
    try:
        return asyncssh.read_private_key(str(path))
    except (asyncssh.KeyEncryptionError, asyncssh.KeyImportError) as error:
        if "passphrase" not in str(error).lower():
            raise SettingError(f"sftp.keys: {path} cannot be used as a private key: {error}") from error
        raise SettingError(
            f"sftp.keys: {path} has a passphrase; put it into an agent and leave sftp.keys empty"
        ) from error
    except PermissionError as error:
        raise SettingError(f"sftp.keys: {Cause.KEY_DENIED.tell(path=path, said=error.strerror)}") from error
    except OSError as error:
        raise SettingError(f"sftp.keys: {path} cannot be used as a private key: {_reason(error)}") from error


def _read_known_hosts(path: Path, address: Address) -> asyncssh.SSHKnownHosts:
    try:
        return asyncssh.read_known_hosts(str(path)) if path.exists() else asyncssh.import_known_hosts("")
    except (OSError, ValueError) as error:
        raise SourceUnreachable(
            f"{address} was not asked, as {path} (sftp.known_hosts) cannot be read: {_reason(error)}"
        ) from error


async def _printed(ssh: asyncssh.SSHClientConnection) -> str:
    """Return the text that a login shell prints where SFTP should begin; '' for none."""
    try:
        async with asyncio.timeout(_PRINTED_SECONDS), ssh.create_process(subsystem="sftp", encoding=None) as process:
            came = await process.stdout.read(200)  # nothing was asked: SFTP would be silent
            process.close()
    except (asyncssh.Error, OSError):
        return ""
    lines = came.decode("utf-8", "replace").split("\n")
    return next((shown for line in lines if (shown := printable(line.strip(), 80))), "")


async def _close_after(inner: asyncssh.SSHClientConnection, outer: asyncssh.SSHClientConnection) -> None:
    with suppress(Exception):
        await inner.wait_closed()
    outer.close()


def _bracketed(host: str, port: int) -> str:
    return host if port == 22 else f"'[{host}]:{port}'"


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(getattr(error, "reason", "") or error or type(error).__name__)
