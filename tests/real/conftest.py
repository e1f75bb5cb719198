"""Fixtures over real servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from uuid import uuid4

import pytest

from tests.real.servers import OpenSearchNode, S3Server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """One gateway for the whole run; who kills or stops a server starts one of his own."""
    with S3Server() as server:
        yield server


@pytest.fixture
def s3_bucket(s3_server: S3Server) -> str:
    """The name of a bucket of its own for each test."""
    name = f"logs-{uuid4().hex[:12]}"
    s3_server.client().create_bucket(Bucket=name)
    return name


@pytest.fixture
def start_node() -> Iterator[Callable[..., OpenSearchNode]]:
    """Starts search nodes, with the arguments of `OpenSearchNode`, which end with the test."""
    with ExitStack() as nodes:
        yield lambda *names, **options: nodes.enter_context(OpenSearchNode(*names, **options))
