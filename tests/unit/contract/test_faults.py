"""Every error of the domain has its place in the table, and every body both pairs."""

from __future__ import annotations

import inspect
import json

import pytest

from logkeep import errors
from logkeep.contract.codes import FAULTS, find_fault
from logkeep.contract.css.operations import OPERATIONS as CSS_OPERATIONS
from logkeep.contract.faults import render_fault
from logkeep.contract.iam.operations import OPERATIONS as IAM_OPERATIONS

REQUEST_ID = "0fb688fc238981ea543d7b2e35891a10"
TABLE = [
    (errors.ClusterNotFound(), 403, "CSS.0015"),
    (errors.InvalidField("limit", "is wrong"), 400, "CSS.0001"),
    (errors.EmptyBody(), 400, "CSS.0006"),
    (errors.InvalidAgency(), 400, "CSS.5130"),
    (errors.UnknownBucket(), 400, "CSS.0048"),
    (errors.BucketNotWritable(), 412, "CSS.0048"),
    (errors.InvalidPeriod(), 400, "CSS.5020"),
    (errors.InvalidZone(), 400, "CSS.5178"),
    (errors.BackupClosed(), 415, "CSS.0004"),
    (errors.BackupRunning(), 409, "CSS.3004"),
    (errors.NothingToRetry(), 409, "CSS.0001"),
    (errors.TargetNotFound(), 404, "CSS.0015"),
    (errors.TooManyTargets(), 409, "CSS.0001"),
    (errors.NotAuthenticated(), 401, "APIGW.0301"),
    (errors.NotAuthorized(), 403, "APIGW.0302"),
    (errors.NoSuchApi(), 404, "APIGW.0101"),
    (errors.NameTaken(), 409, "CSS.0031"),
    (errors.BodyTooLarge(), 413, "APIGW.0201"),
    (errors.RequestError(), 400, "APIGW.0201"),
    (errors.SettingError("bad"), 400, "CSS.0001"),
    (errors.StoreUnreachable(), 500, "CSS.9999"),
    (errors.SourceUnreachable(), 500, "CSS.9999"),
    (errors.CatalogueError(), 500, "CSS.9999"),
    (RuntimeError("inside"), 500, "CSS.0005"),
]


@pytest.mark.parametrize(("error", "status", "code"), TABLE, ids=lambda value: type(value).__name__)
def test_error_has_its_status_and_both_pairs(error: Exception, status: int, code: str) -> None:
    found, body = render_fault(error, REQUEST_ID)
    members = json.loads(body)
    assert (found, members["errCode"], members["error_code"]) == (status, code, code)
    assert members["externalMessage"] == f"{code} : {members['error_msg']}"
    assert members["request_id"] == REQUEST_ID
    assert set(members) == {"errCode", "externalMessage", "error_code", "error_msg", "request_id"}


def test_every_error_of_the_domain_that_a_caller_can_cause_has_a_row() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.RequestError)]
    assert {kind for kind in kinds if kind not in FAULTS} == set()


def test_no_error_is_202_or_429() -> None:
    assert not {fault.status for fault in FAULTS.values()} & {202, 429}
    assert {operation.status for operation in (*CSS_OPERATIONS, *IAM_OPERATIONS)} == {200, 201, 204, 300}


def test_subclass_takes_the_row_of_its_parent() -> None:
    class Special(errors.InvalidField):
        """A subclass without a row."""

    assert find_fault(Special("a", "b")) == FAULTS[errors.InvalidField]


def test_unexpected_error_tells_nothing_of_the_inside() -> None:
    _, body = render_fault(RuntimeError("password=hidden in /srv/logkeep"), REQUEST_ID)
    assert json.loads(body)["error_msg"] == "Server error."


def test_refused_signature_has_the_words_of_the_gateway() -> None:
    _, body = render_fault(errors.NotAuthenticated(), REQUEST_ID)
    assert json.loads(body)["error_msg"] == "Incorrect IAM authentication information: x-auth-token not found"


def test_message_is_cut_and_always_writable() -> None:
    _, body = render_fault(errors.InvalidField("a", "\ud800" + "x" * 100_000), REQUEST_ID)
    assert len(body) < 6000
    assert "\\ud800" in json.loads(body)["error_msg"]
