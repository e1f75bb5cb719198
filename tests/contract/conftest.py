"""One running service for the whole folder; each test takes a cluster of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from logkeep.domain.cluster import Cluster
from tests.contract.service import SETTING, Service, running_service


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture
def cluster(service: Service) -> Cluster:
    return service.add_cluster()


@pytest.fixture
def opened(service: Service, cluster: Cluster) -> Cluster:
    """A cluster whose log backup is open."""
    assert service.call("POST", service.path(cluster, "/logs/open"), SETTING).status == 200
    return cluster
