"""The URL of a bucket and the credentials beside it as options of opendal; holds the secrets, never shows them."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import opendal

from logkeep.errors import SettingError
from logkeep.stores.names import check_name

# In a URL they would be printed, copied and logged; they belong to the credentials.
_SECRET = re.compile(r"(secret|password|token|credential|key|key_md5|key_sha256|connection_string|delegation)$")
_BUCKET_OPTIONS = ("bucket", "container", "filesystem", "share_name", "repo_id")
_KEYS = {
    "s3": ("access_key_id", "secret_access_key"),
    "obs": ("access_key_id", "secret_access_key"),
    "tos": ("access_key_id", "secret_access_key"),
    "oss": ("access_key_id", "access_key_secret"),
    "cos": ("secret_id", "secret_key"),
}
# These keep opendal from finding credentials of its own in the environment or asking the machine's cloud for them.
_NO_SEARCH = ("disable_config_load", "disable_ec2_metadata", "disable_vm_metadata")


@dataclass(frozen=True, slots=True)
class Location:
    """Where a bucket is and how it is opened."""

    scheme: str  # opendal's
    where: str  # for messages
    options: Mapping[str, str] = field(repr=False)  # opendal's
    secrets: tuple[str, ...] = field(default=(), repr=False)  # what no message may hold
    timeout: float | None = None  # seconds, where the URL has one

    @property
    def place(self) -> str:
        """Return a text that is equal for two URLs of one place, and a prefix of that of a place within it."""
        if self.scheme == "fs":
            return f"fs:{os.path.realpath(self.options['root'])}"
        bucket = next((self.options[name] for name in _BUCKET_OPTIONS if name in self.options), "")
        server = self.options.get("endpoint", "").lower().rstrip("/")
        return f"{self.scheme}:{server}/{bucket}{self.options.get('root', '')}".rstrip("/")

    def called(self, name: str) -> Location:
        """Return the same, told by its name in messages: tenants see them, and shall learn nothing of the inside."""
        endpoint = self.options.get("endpoint", "")
        inside = (endpoint, urlsplit(endpoint).netloc, self.options["root"] if self.scheme == "fs" else "")
        return replace(self, where=f"bucket {name}", secrets=(*self.secrets, *filter(None, inside)))

    @property
    def folder(self) -> Path | None:
        """Return the folder of a `file:` URL."""
        return Path(self.options["root"]) if self.scheme == "fs" else None


def parse_location(url: str, credentials: Mapping[str, str] | None, base: Path) -> Location:
    """Parse the URL of a bucket. Raises `SettingError` that names what is wrong."""
    try:
        parts = urlsplit(url)
        query = (
            parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True, errors="strict") if parts.query else []
        )
        path = unquote(parts.path, errors="strict")
    except ValueError as error:
        raise SettingError("a bucket's URL cannot be read: it is not a URL") from error
    if url.startswith("/"):
        raise SettingError(f"a bucket's URL begins with its kind: write this folder as {Path(url).as_uri()}")
    if parts.fragment or parts.username or parts.password:
        raise SettingError("a bucket's URL has a '#' or a '@': write them as %23 and %40, and secrets as credentials")
    if parts.scheme in ("file", "memory") and credentials:
        raise SettingError("a bucket of this kind takes no credentials; leave them out, or write its URL")
    if parts.scheme == "file":
        return _file(parts.netloc, path, parts.query, base)
    if parts.scheme == "memory":
        return Location("memory", "memory:", {})
    return _remote(parts.scheme, parts.netloc, path.strip("/"), _unique(query), dict(credentials or {}))


def _file(host: str, path: str, query: str, base: Path) -> Location:
    if host not in ("", "localhost") or query or not path or "\0" in path:
        raise SettingError("a bucket's URL is written file:folder or file:///folder, with '?' and '#' as %3F and %23")
    folder = (base / path).absolute()
    return Location("fs", folder.as_uri(), {"root": str(folder)})


def _unique(query: list[tuple[str, str]]) -> dict[str, str]:
    options = dict(query)
    if len(options) < len(query):
        raise SettingError("a bucket's URL has an option twice")
    return options


def _remote(scheme: str, bucket: str, prefix: str, query: dict[str, str], credentials: dict[str, str]) -> Location:
    known = known_options(scheme)
    timeout = _timeout(scheme, query.pop("timeout", None))
    search = query.pop("credentials", "given")
    if search not in ("given", "environment"):
        raise SettingError(f"{scheme}: credentials is 'given' or 'environment', not {search!r}")
    _refuse_unknown(scheme, query, credentials, known)
    options = {name: "true" for name in _NO_SEARCH if name in known and search == "given"}
    options |= query | credentials | _place(scheme, bucket, prefix, known)
    if scheme == "s3":
        options = _s3_defaults(options)
    if search == "given":
        _expect_keys(scheme, options)
    where = f"{scheme}://{bucket}/{prefix}" + (f" at {options['endpoint']}" if "endpoint" in options else "")
    secrets = tuple(value for name, value in credentials.items() if value and _SECRET.search(name))
    return Location(scheme=scheme, where=where, options=options, secrets=secrets, timeout=timeout)


def known_options(scheme: str) -> frozenset[str]:
    """Return the names of the options of one kind of store. Opendal itself ignores unknown ones."""
    for member in vars(opendal.services.Scheme):
        kind = getattr(opendal.services.Scheme, member)
        if isinstance(kind, opendal.services.Scheme) and kind.value == scheme and scheme != "fs":
            return frozenset(getattr(opendal.config, f"{member}Config").__annotations__) - {"scheme"}
    raise SettingError(
        f"a bucket's URL begins with {scheme!r}; write file:, memory:, s3://, obs:// or another known one"
    )


def _timeout(scheme: str, text: str | None) -> float | None:
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,4}(\.\d+)?", text) or float(text) < 0.1:
        raise SettingError(f"{scheme}: timeout is a number of seconds, not {text!r}")
    return float(text)


def _refuse_unknown(scheme: str, query: dict[str, str], credentials: dict[str, str], known: frozenset[str]) -> None:
    for name in (*query, *credentials):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; is it {near[0]!r}?" if near else ""
            raise SettingError(f"{scheme}: there is no option {name!r}{hint}")
    for name, value in query.items():
        if _SECRET.search(name):
            raise SettingError(f"{scheme}: {name} is a secret; write it as a credential, not in the bucket's URL")
        if "@" in value and "://" in value:
            raise SettingError(f"{scheme}: {name} has a user in it; write user and password as credentials")
    if "endpoint" in query and not _is_url(query["endpoint"]):
        raise SettingError(f"{scheme}: endpoint is a URL such as https://host:port, not {query['endpoint']!r}")


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme and parts.hostname) and " " not in text


def _place(scheme: str, bucket: str, prefix: str, known: frozenset[str]) -> dict[str, str]:
    """Return the options that name the bucket, and the prefix in it."""
    option = next((name for name in _BUCKET_OPTIONS if name in known), None)
    if bucket and option is None:
        raise SettingError(f"{scheme}: it has no buckets; write {scheme}:///folder?endpoint=…, not {bucket!r}")
    if option and not bucket:
        raise SettingError(f"{scheme}: the URL names no bucket; write {scheme}://bucket/prefix")
    try:
        if prefix:
            check_name(prefix)
    except ValueError as error:
        raise SettingError(f"{scheme}: the prefix of the bucket is {error}") from error
    return ({option: bucket} if option else {}) | ({"root": f"/{prefix}"} if "root" in known else {})


def _s3_defaults(options: dict[str, str]) -> dict[str, str]:
    """Add what most S3 servers need, unless the URL sets it."""
    if "endpoint" in options:
        chosen = {"region": "us-east-1"}
    else:
        # Amazon's own: only names without a dot fit its certificates.
        chosen = {"enable_virtual_host_style": str("." not in options["bucket"]).lower()}
    # Without TLS nothing else notices a body damaged on its way.
    options = {"checksum_algorithm": "crc32c"} | chosen | options
    if options["checksum_algorithm"] == "none":
        del options["checksum_algorithm"]
    if "region" not in options and options.get("disable_config_load") == "true":
        raise SettingError("s3: the URL needs region=… or endpoint=…")
    return options


def _expect_keys(scheme: str, options: dict[str, str]) -> None:
    if "true" in (options.get("skip_signature"), options.get("allow_anonymous")):
        return
    for name in _KEYS.get(scheme, ()):
        if not options.get(name):
            raise SettingError(
                f"{scheme}: the credentials lack {name}; credentials=environment in the URL looks elsewhere"
            )
