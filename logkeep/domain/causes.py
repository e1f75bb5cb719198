"""Causes that keep Logkeep from starting, or a command from reaching the service, each with its remedy.

`docs/errors.md` has the same table, and a test provokes each cause for real. A remedy fits one cause only: an error
that matches no row is shown as it is, without a remedy.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from enum import Enum


def rebuild_command(buckets: Iterable[str]) -> str:
    """Return the command that rebuilds the database from these buckets, ready to be pasted."""
    return " ".join(["logkeep rebuild", *(f"--from {bucket}" for bucket in tuple(buckets) or ("BUCKET",))])


class Cause(Enum):
    """Code, problem and remedy; names in braces are filled in."""

    KEY_DENIED = (
        "LK-KEY-DENIED",
        "{path} cannot be read: {said}",
        "let the user that Logkeep runs as read it; it is not lost, so put no other in its place",
    )
    KEY_DAMAGED = (
        "LK-KEY-DAMAGED",
        "{path} is no key: {said}",
        "put the one back that `init` made, from your copy of it",
    )
    TRUST_DAMAGED = (
        "LK-TRUST-DAMAGED",
        "{path} does not hold the public keys that manifests may be signed with: {said}",
        "put your copy of it back; what was signed with a key that it lacks would count for nothing",
    )
    DIRECTORY_DENIED = (
        "LK-DIRECTORY-DENIED",
        "{path} cannot be used: {said}",
        "let the user that Logkeep runs as read and write the directory and what is in it",
    )
    DIRECTORY_CLOSED = (
        "LK-DIRECTORY-CLOSED",
        "{path} cannot be looked into: {said}",
        "run the same as the user that it belongs to, by `sudo -u USER` before it; or be a client, by --endpoint, --ak "
        "and --sk",
    )
    DIRECTORY_SERVED = (
        "LK-DIRECTORY-SERVED",
        "{path} is served by another process",
        "stop that one, or use another --dir",
    )
    SETTINGS_DENIED = (
        "LK-SETTINGS-DENIED",
        "{path} cannot be read: {said}",
        "let the user that Logkeep runs as read it",
    )
    DATABASE_DAMAGED = (
        "LK-DATABASE-DAMAGED",
        "database: it is damaged: {said}",
        "stop Logkeep and move the file away, with those of its name that end in -wal and -shm: beside another file "
        "they damage it; then put its copy back, or make it anew from the buckets with "
        "`logkeep rebuild --from BUCKET`; check the disk",
    )
    DATABASE_FULL = (
        "LK-DATABASE-FULL",
        "database: its disk has no space left: {said}",
        "free space; nothing that was kept is lost",
    )
    DATABASE_READ_ONLY = (
        "LK-DATABASE-READ-ONLY",
        "database: it cannot be written: {said}",
        "let the user that Logkeep runs as write the file and its directory; see how its disk is mounted",
    )
    DATABASE_FILE = (
        "LK-DATABASE-FILE",
        "database: its file cannot be opened: {said}",
        "check that its directory exists and that the logkeep user may write there",
    )
    DATABASE_LOCKED = (
        "LK-DATABASE-LOCKED",
        "database: another program holds its lock: {said}",
        "end that program (a shell of sqlite3, a copy under way), and try again",
    )
    DATABASE_DISK = (
        "LK-DATABASE-DISK",
        "database: its disk fails: {said}",
        "check the disk that it lies on",
    )
    DATABASE_PASSWORD = (
        "LK-DATABASE-PASSWORD",
        "database: the server refuses the user: {said}",
        "check user and password in the setting `database`, and the server's pg_hba.conf",
    )
    DATABASE_UNKNOWN = (
        "LK-DATABASE-UNKNOWN",
        "database: the server does not have it: {said}",
        "make it on the server, with `createuser` or `createdb`, or name another in the setting `database`",
    )
    DATABASE_HOST = (
        "LK-DATABASE-HOST",
        "database: the name of its server is not known here: {said}",
        "check the host in the setting `database`, and DNS",
    )
    DATABASE_UNREACHABLE = (
        "LK-DATABASE-UNREACHABLE",
        "database: its server does not answer: {said}",
        "check host and port in the setting `database`, and that the server runs",
    )
    PORT_TAKEN = (
        "LK-PORT-TAKEN",
        "{where} cannot be listened on: another program does",
        "end that one, or choose another with --host and --port",
    )
    PORT_DENIED = (
        "LK-PORT-DENIED",
        "{where} cannot be listened on: {said}",
        "ports below 1024 are for root; choose another with --port",
    )
    PORT_ADDRESS = (
        "LK-PORT-ADDRESS",
        "{where} cannot be listened on: {said}",
        "this machine has no such address; choose another with --host",
    )
    OPEN_FILES = (
        "LK-OPEN-FILES",
        "{path} cannot be opened: this process, or this machine, has too many files open",
        "raise the limit (LimitNOFILE= of systemd, ulimit -n)",
    )
    SERVICE_REFUSED = (
        "LK-SERVICE-REFUSED",
        "the service at {where} does not answer: nobody listens there",
        "start it with `logkeep serve`, or correct --endpoint",
    )
    SERVICE_HOST = (
        "LK-SERVICE-HOST",
        "the service at {where} cannot be found: the name of its host is not known here",
        "correct --endpoint, or check DNS",
    )
    SERVICE_UNREACHABLE = (
        "LK-SERVICE-UNREACHABLE",
        "the service at {where} cannot be reached: {said}",
        "check the network and the firewalls on the way, and --endpoint",
    )
    SERVICE_NO_TLS = (
        "LK-SERVICE-NO-TLS",
        "what listens at {where} does not speak TLS",
        "write http:// in --endpoint, or name the port of the proxy that does",
    )
    SERVICE_CERTIFICATE = (
        "LK-SERVICE-CERTIFICATE",
        "the service at {where} shows a certificate that is not trusted: {said}",
        "trust its authority (SSL_CERT_FILE), renew it, or name the host that it is for in --endpoint",
    )
    SERVICE_OTHER = (
        "LK-SERVICE-OTHER",
        "what answers at {where} is not Logkeep: {said}",
        "correct --endpoint; if a proxy stands before the service, look into its log",
    )
    SERVICE_SILENT = (
        "LK-SERVICE-SILENT",
        "the service at {where} took too long to answer",
        "its log on standard error tells more",
    )
    SERVICE_BROKEN = (
        "LK-SERVICE-BROKEN",
        "the service at {where} broke off its answer",
        "its log, or that of a proxy before it, tells why; where it speaks TLS, write https:// in --endpoint",
    )

    @property
    def code(self) -> str:
        return self.value[0]

    def tell(self, **names: object) -> str:
        """Return the message, with `names` filled in."""
        _, what, remedy = self.value
        return f"{what.format(**names)}; {remedy} ({self.code})"


def listen_cause(error: OSError) -> Cause | None:
    """Return why an address cannot be listened on; None if it is no cause of the table."""
    if error.errno == errno.EADDRINUSE:
        return Cause.PORT_TAKEN
    if error.errno in {errno.EACCES, errno.EPERM}:
        return Cause.PORT_DENIED
    return (
        Cause.PORT_ADDRESS if error.errno == errno.EADDRNOTAVAIL or (error.errno or 0) < 0 else None
    )  # < 0: of the resolver


# Text in an error of the database or its driver, and its cause; the first match counts.
_SAYS = (
    ("not a database", Cause.DATABASE_DAMAGED),
    ("malformed", Cause.DATABASE_DAMAGED),
    ("unsupported file format", Cause.DATABASE_DAMAGED),
    ("is full", Cause.DATABASE_FULL),
    ("No space left", Cause.DATABASE_FULL),
    ("readonly database", Cause.DATABASE_READ_ONLY),
    ("read-only", Cause.DATABASE_READ_ONLY),
    ("open database file", Cause.DATABASE_FILE),
    ("is locked", Cause.DATABASE_LOCKED),
    ("disk I/O error", Cause.DATABASE_DISK),
    ("password", Cause.DATABASE_PASSWORD),
    ("pg_hba.conf", Cause.DATABASE_PASSWORD),
    ("does not exist", Cause.DATABASE_UNKNOWN),
    ("resolve host", Cause.DATABASE_HOST),
    ("Name or service not known", Cause.DATABASE_HOST),
    ("refused", Cause.DATABASE_UNREACHABLE),
    ("timeout", Cause.DATABASE_UNREACHABLE),
    ("timed out", Cause.DATABASE_UNREACHABLE),
    ("No route to host", Cause.DATABASE_UNREACHABLE),
    ("unreachable", Cause.DATABASE_UNREACHABLE),
    ("closed the connection", Cause.DATABASE_UNREACHABLE),
)


def explain_database(said: str) -> str:
    """Return the message for a database that cannot be used; `said` is the error of the database or its driver."""
    for word, cause in _SAYS:
        if word in said:
            return cause.tell(said=said)
    return f"database: it cannot be used: {said}"
