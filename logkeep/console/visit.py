"""One request to the console: who asks, for what, and in which language."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import parse_qs, urlencode

from logkeep.console.texts import Texts
from logkeep.domain.access import AuditTrail, Caller, Right
from logkeep.domain.cluster import Cluster, Project
from logkeep.errors import InvalidField
from logkeep.service import clusters
from logkeep.service.runtime import Runtime

_MOST_FIELDS = 500  # of a form or query
_REPLACED = "%EF%BF%BD"  # stands for a NUL, as for bytes that are no UTF-8


class Values:
    """What a query or form holds: the last value of each name, or all."""

    def __init__(self, values: Mapping[str, Sequence[str]]) -> None:
        self._values = values

    @classmethod
    def parse(cls, encoded: bytes) -> Values:
        """Parse `name=value&…`; a NUL, which no database holds, is replaced. Raises `InvalidField` for what is none."""
        try:
            text = encoded.decode("ascii").replace("\0", "%00").replace("%00", _REPLACED)
            return cls(parse_qs(text, keep_blank_values=True, errors="replace", max_num_fields=_MOST_FIELDS))
        except ValueError as error:
            raise InvalidField("query", "is no list of names and values, or has too many") from error

    def __getitem__(self, name: str) -> str:
        """Return the last value without spaces around it, '' where there is none."""
        return self._values.get(name, ("",))[-1].strip()

    def raw(self, name: str) -> str:
        """Return the last value as it is, as of a password."""
        return self._values.get(name, ("",))[-1]

    def all(self, name: str) -> list[str]:
        return [value.strip() for value in self._values.get(name, ())]

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """Return a number, kept within its bounds; the default for what is none."""
        text = self[name]
        return min(max(int(text), least), most) if text.isascii() and text.isdigit() and len(text) < 16 else default

    def with_changes(self, **changes: str) -> str:
        """Return the query with these names changed, and without those that are ''; it begins with '?', or is ''."""
        values = {name: list(value) for name, value in self._values.items()} | {
            name: [value] for name, value in changes.items()
        }
        pairs = [(name, one) for name, value in values.items() for one in value if one]
        return f"?{urlencode(pairs)}" if pairs else ""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request whose sender is known; of the pages for signing in, a stranger's."""

    runtime: Runtime
    caller: Caller | None
    project: Project | None  # the caller's
    secret: str = field(repr=False)  # of the session, or of a stranger's cookie
    trail: AuditTrail
    path: str  # of the address, as it was asked for
    parameters: Mapping[str, str]  # of the path
    query: Values
    form: Values
    texts: Texts
    base_url: str  # scheme and host, as the browser names them
    etag: str = ""  # of what the browser has
    is_part: bool = False  # the script asks, for a part of a page
    error: str = ""  # why the form that is shown again was refused
    wrong: str = ""  # name of the input that it was refused for, where it is one

    @property
    def project_id(self) -> str:
        assert self.caller
        return self.caller.project_id

    @property
    def may_operate(self) -> bool:
        return self.caller is not None and self.caller.may(Right.OPERATE)

    @property
    def may_administer(self) -> bool:
        return self.caller is not None and self.caller.may(Right.ADMINISTER)

    def cluster(self) -> Cluster:
        """Return the cluster that the path names. Raises `ClusterNotFound` unless it is one of the caller's project."""
        cluster_id = self.parameters["cluster_id"].lower()
        self.trail.cluster_id = cluster_id
        return clusters.get_cluster(self.runtime, self.project_id, cluster_id)

    def token(self) -> str:
        """Return a token for a form: of this session, and another one each time, so that compression tells nothing."""
        salt = secrets.token_hex(8)
        return f"{salt}.{_mac(self.secret, salt)}"

    def owns(self, token: str) -> bool:
        """Return whether a token was made for this session."""
        salt, _, mac = token.partition(".")
        return hmac.compare_digest(_mac(self.secret, salt[:64]).encode(), mac.encode(errors="replace"))


def _mac(secret: str, salt: str) -> str:
    return hmac.new(secret.encode(errors="replace"), f"form:{salt}".encode(errors="replace"), sha256).hexdigest()
