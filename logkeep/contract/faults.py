"""The body of every error (docs/contract.md, "Bodies of errors")."""

from __future__ import annotations

from http import HTTPStatus

import msgspec

from logkeep.contract.codes import Fault, find_fault

_MAX_MESSAGE = 2500  # characters; the longest is a wrong signature with its canonical request


class FaultBody(msgspec.Struct):
    """Code and message of an error, in a pair for each family of clients."""

    # docs/contract.md, "Errors as clients read them"
    errCode: str
    externalMessage: str
    error_code: str
    error_msg: str
    request_id: str


class KeystoneFault(msgspec.Struct):
    code: int
    message: str
    title: str


class KeystoneFaultBody(FaultBody):
    """The same body with `error`, which identity clients read."""

    error: KeystoneFault


def fault_message(error: BaseException, fault: Fault) -> str:
    """Return the message for the caller, always encodable as UTF-8."""
    message = fault.prefix + (fault.message or str(error))
    return message[:_MAX_MESSAGE].encode("utf-8", "backslashreplace").decode()


def render_fault(error: BaseException, request_id: str) -> tuple[int, bytes]:
    """Return HTTP status and body for an error."""
    fault = find_fault(error)
    message = fault_message(error, fault)
    texts = (fault.code, f"{fault.code} : {message}", fault.code, message, request_id)
    if not fault.keystone:
        return fault.status, msgspec.json.encode(FaultBody(*texts))
    title = HTTPStatus(fault.status).phrase
    return fault.status, msgspec.json.encode(KeystoneFaultBody(*texts, KeystoneFault(fault.status, message, title)))
