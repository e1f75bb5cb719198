"""The schema of `/api/v1`; that of CSS is held against its contract in tests/contract/test_openapi.py."""

from __future__ import annotations

import json
from typing import Any

from logkeep.api import native
from logkeep.contract.openapi import build_document
from tests.conftest import Golden


def test_schema_of_the_native_api_is_this(golden: Golden) -> None:
    document = build_document(operation for operation, _ in native.HANDLERS)
    assert all(path.startswith("/api/v1") for path in document["paths"])
    schema = without_prose({name: document[name] for name in ("paths", "components")})
    golden("api_v1.json", json.dumps(schema, indent=1) + "\n")


def without_prose(value: Any) -> Any:
    """What a program goes by: words may be put better at any time."""
    if isinstance(value, dict):
        words = {"description", "summary"}
        return {k: without_prose(inner) for k, inner in value.items() if not (k in words and isinstance(inner, str))}
    return [without_prose(inner) for inner in value] if isinstance(value, list) else value
