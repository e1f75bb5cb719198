"""Paths to handlers."""

from __future__ import annotations

import pytest

from logkeep.api import css, iam, native
from logkeep.api.routes import Routes
from logkeep.contract.css.operations import OPERATIONS as CSS_OPERATIONS
from logkeep.contract.iam.operations import OPERATIONS as IAM_OPERATIONS
from logkeep.errors import NoSuchApi, RequestError

ROUTES = Routes([*css.HANDLERS, *iam.HANDLERS, *native.HANDLERS])


def test_every_operation_of_the_contract_has_one_handler() -> None:
    assert [operation for operation, _ in [*css.HANDLERS, *iam.HANDLERS]] == [*CSS_OPERATIONS, *IAM_OPERATIONS]


@pytest.mark.parametrize("operation", [*CSS_OPERATIONS, *IAM_OPERATIONS], ids=lambda operation: operation.id)
def test_path_of_an_operation_leads_to_it(operation: object) -> None:
    path = operation.path.format(project_id="p1", cluster_id="c1", key="k1")  # type: ignore[attr-defined]
    for leading in ("", "/", "//"):
        route, parameters = ROUTES.find(operation.method, (leading + path).encode())  # type: ignore[attr-defined]
        assert route.operation is operation
        assert parameters == {name: f"{name[0]}1" for name in route.names}


def test_segment_is_decoded_after_the_path_is_split() -> None:
    route, parameters = ROUTES.find("GET", b"/api/v1/clusters/c/archive/a%2Fb%20%E6%97%A5%25/7")
    assert route.operation.id == "ReadKept"
    assert parameters == {"cluster_id": "c", "node": "a/b 日%", "generation": "7"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", b""),
        ("PUT", b"/"),
        ("GET", b"/v1.0"),
        ("GET", b"/v1.0/p/clusters/"),
        ("GET", b"/v1.0//clusters"),
        ("GET", b"/v1.0/p/clusters/c/logs/records/"),
        ("GET", b"/v1.0/p/clusters/c/logs"),
        ("GET", b"/v2.0/p/clusters"),
        ("HEAD", b"/v1.0/p/clusters"),
        ("DELETE", b"/v1.0/p/clusters/c/logs/records"),
        ("GET", b"/v3/auth"),
        ("GET", b"*"),
    ],
)
def test_unknown_path_or_method_is_no_api(method: str, path: bytes) -> None:
    with pytest.raises(NoSuchApi):
        ROUTES.find(method, path)


def test_path_that_is_no_utf8_is_refused() -> None:
    with pytest.raises(RequestError, match="UTF-8"):
        ROUTES.find("GET", b"/v1.0/%ff/clusters")
