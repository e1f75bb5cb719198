"""What a real cluster's own API tells, through the official Python SDK."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from huaweicloudsdkcore.exceptions.exceptions import ServerResponseException
from huaweicloudsdkcss.v1 import ListSnapshotsRequest, ShowClusterDetailRequest, ShowClusterVolumeUsageRequest

from logkeep.database import clusters as rows
from logkeep.database.connection import writing
from logkeep.service import clusters
from tests.contract.service import running_service
from tests.contract.test_official_sdk import client_for
from tests.real.servers import OpenSearchNode

pytestmark = pytest.mark.real


def test_disks_and_snapshots_are_those_of_the_cluster(
    tmp_path: Path, start_node: Callable[..., OpenSearchNode]
) -> None:
    node = start_node("os1")
    folder = tmp_path / "installation"
    folder.mkdir()
    with running_service(folder) as service:
        runtime, project = service.runtime, service.project.id
        cluster = clusters.discover_cluster(runtime, project, "prod", node.http, f"file://{service.logs()}")
        client = client_for(service, project_id=project)
        detail = client.show_cluster_detail(ShowClusterDetailRequest(cluster_id=cluster.id))
        assert (detail.https_enable, detail.authority_enable) == (False, False)
        asked = ShowClusterVolumeUsageRequest(cluster_id=cluster.id)
        disk = service.call("GET", service.path(cluster, "/volume")).json["diskInfoList"][0]
        assert (disk["id"], disk["name"]) == (detail.instances[0].id, "os1")
        total = os.statvfs(node.folder)
        assert disk["diskCapacity"] == f"{total.f_blocks * total.f_frsize / 1024**3:.2f}"
        used = float(disk["diskUsed"]) / float(disk["diskCapacity"]) * 100
        assert float(disk["percentage"]) == pytest.approx(used, abs=0.1)
        assert client.show_cluster_volume_usage(asked).status_code == 200

        snapshots = ListSnapshotsRequest(cluster_id=cluster.id)
        assert client.list_snapshots(snapshots).backups == []
        node.request("PUT", "/_snapshot/kept", {"type": "fs", "settings": {"location": "kept"}})
        node.request("PUT", "/books/_doc/1?refresh=true", {"title": "a"})
        node.request("PUT", "/_snapshot/kept/first?wait_for_completion=true", {"indices": "books"})
        kept = client.list_snapshots(snapshots).backups
        assert [(one.name, one.status, one.indices, one.failed_shards) for one in kept] == [
            ("first", "COMPLETED", "books", 0)
        ]
        assert (kept[0].cluster_id, kept[0].datastore.type) == (cluster.id, "opensearch")
        assert 0 < kept[0].start_time <= kept[0].end_time

        node.stop()
        with pytest.raises(ServerResponseException) as gone:
            client.show_cluster_volume_usage(asked)
        assert (gone.value.status_code, gone.value.error_code) == (500, "CSS.9999")
        assert gone.value.error_msg.startswith("LK-SOURCE-UNREACHABLE: the cluster's own API")
        assert str(node.port) not in gone.value.error_msg


def test_a_cluster_that_takes_the_question_and_never_answers_holds_nobody_for_long(
    tmp_path: Path, start_node: Callable[..., OpenSearchNode]
) -> None:
    node = start_node("os1")
    folder = tmp_path / "installation"
    folder.mkdir()
    with running_service(folder) as service, socket.create_server(("127.0.0.1", 0)) as silent:
        runtime, project = service.runtime, service.project.id
        cluster = clusters.discover_cluster(runtime, project, "prod", node.http, f"file://{service.logs()}")
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        moved = clusters.make_discovery(url, "file://{path.logs}", "")
        with writing(runtime.database) as connection:
            rows.save_discovery(connection, cluster.id, moved, None)
        began = time.monotonic()
        reply = service.call("GET", service.path(cluster, "/volume"))
        assert (reply.status, reply.code) == (500, "CSS.9999")
        assert 15 < time.monotonic() - began < 25
        assert "does not answer in full" in reply.message
        assert "127.0.0.1" not in reply.message
