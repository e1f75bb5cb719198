"""Errors of opendal and of the operating system in our words; the texts are as opendal wrote them."""

from __future__ import annotations

import errno
import re

import opendal
import pytest

from logkeep.errors import (
    BucketMissing,
    StoreCorrupt,
    StoreDenied,
    StoreError,
    StoreFull,
    StoreMissing,
    StoreUnreachable,
)
from logkeep.stores.failures import failure

S3_DENIED = """PermissionDenied (persistent) at read => S3Error { code: "SignatureDoesNotMatch", message: "The request \
signature we calculated does not match the signature you provided.", resource: "", request_id: "GAGS0QQE" }

Context:
   service_operation: GetObject
   uri: http://127.0.0.1:19401/logs/x
   response: Parts { status: 403, version: HTTP/1.1, headers: {"server": "VERSITYGW"} }
   service: s3
"""
NO_BUCKET = 'ConfigInvalid (persistent) at write => S3Error { code: "NoSuchBucket", message: "The specified bucket does not exist.", resource: "", request_id: "C" }'
REFUSED = """Unexpected (persistent) at stat => send http request

Context:
   url: http://127.0.0.1:1/logs/x

Source:
   error sending request: client error (Connect): tcp connect error: Connection refused (os error 111)

Backtrace:
   0: <unknown>
"""
FULL = "Unexpected (persistent) at write, runtime: { service: fs, path: q } => no storage space, source: No space left on device (os error 28)"
BUSY = """Unexpected (persistent) at stat

Context:
   response: Parts { status: 503, version: HTTP/1.1, headers: {} }
"""
QUOTA = 'Unexpected (persistent) at write => S3Error { code: "QuotaExceeded", message: "Bucket quota exceeded", resource: "", request_id: "" }'
SIGNING = "Unexpected (persistent) at stat => signing http request\n\nSource:\n   failed to load signing credential\n"
SHORT = "Unexpected (persistent) at  => reader got too little data\n\nContext:\n   expect: 100\n   actual: 2\n"
TIMED_OUT = "Unexpected (persistent) at stat => operation timeout reached\n\nContext:\n   timeout: 2\n"

CASES: list[tuple[Exception, type[StoreError], str]] = [
    (opendal.exceptions.PermissionDenied(S3_DENIED), StoreDenied, "SignatureDoesNotMatch: The request signature we"),
    (opendal.exceptions.ConfigInvalid(NO_BUCKET), BucketMissing, "there is no bucket s3://logs"),
    (opendal.exceptions.Unexpected(REFUSED), StoreUnreachable, "Connection refused (os error 111)"),
    (opendal.exceptions.Unexpected(BUSY), StoreUnreachable, "the server answered 503"),
    (opendal.exceptions.Unexpected(TIMED_OUT), StoreUnreachable, "operation timeout reached"),
    (opendal.exceptions.RateLimited("RateLimited (persistent) at stat"), StoreUnreachable, "RateLimited"),
    (opendal.exceptions.Unexpected(SIGNING), StoreDenied, "failed to load signing credential"),
    (opendal.exceptions.Unexpected(SHORT), StoreCorrupt, "reader got too little data"),
    (opendal.exceptions.Unexpected(QUOTA), StoreFull, "QuotaExceeded: Bucket quota exceeded"),
    (opendal.exceptions.NotFound("NotFound (persistent) at write"), StoreMissing, "NotFound"),
    (OSError(FULL), StoreFull, "No space left on device (os error 28)"),
    (OSError(errno.ENOSPC, "No space left on device"), StoreFull, "No space left on device"),
    (OSError(errno.EDQUOT, "Disk quota exceeded"), StoreFull, "Disk quota exceeded"),
    (OSError(errno.EACCES, "Permission denied"), StoreDenied, "Permission denied"),
    (OSError(errno.EROFS, "Read-only file system"), StoreDenied, "Read-only file system"),
    (OSError(errno.EIO, "Input/output error"), StoreUnreachable, "Input/output error"),
    (OSError(errno.ESTALE, "Stale file handle"), StoreUnreachable, "Stale file handle"),
]


@pytest.mark.parametrize(("error", "kind", "detail"), CASES)
def test_an_error_says_what_happened_where_and_what_to_do(
    error: Exception, kind: type[StoreError], detail: str
) -> None:
    found = failure(error, "write 'a/b.zst'", "s3://logs")
    assert type(found) is kind
    assert detail in found.message
    assert "s3://logs" in found.message
    assert found.message.endswith(".")
    assert "Backtrace" not in found.message
    assert "\n" not in found.message


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (OSError(errno.EIO, "Input/output error"), "Check the disk that it lies on"),
        (opendal.exceptions.Unexpected(TIMED_OUT), r"Where it is only slow, give it more time with \?timeout="),
        (opendal.exceptions.PermissionDenied(S3_DENIED), "The key is wrong: check the credentials of"),
        (
            opendal.exceptions.PermissionDenied(S3_DENIED.replace("SignatureDoesNotMatch", "RequestTimeTooSkewed")),
            "Set the clock of this machine",
        ),
    ],
)
def test_the_remedy_fits_the_cause(error: Exception, remedy: str) -> None:
    assert re.search(remedy, failure(error, "write 'x'", "s3://logs").message)


def test_a_secret_is_blotted_out_of_a_message() -> None:
    error = opendal.exceptions.Unexpected("Unexpected (persistent) at stat => bad url https://h?sig=very-secret-key")
    assert "very-secret-key" not in str(failure(error, "read 'x'", "azblob://logs", ["very-secret-key"]))


def test_a_page_in_an_answer_is_cut() -> None:
    error = opendal.exceptions.Unexpected("Unexpected (persistent) at stat => " + "<html>" * 1000)
    assert len(failure(error, "read 'x'", "s3://logs").message) < 600
