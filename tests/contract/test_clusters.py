"""What is told of clusters: where they and their nodes are reached, and nothing of the inside of the service."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from huaweicloudsdkcss.v1 import (
    BatchAddOrDeleteTagOnClusterReq,
    CreateClustersTagsRequest,
    DeleteClustersTagsRequest,
    ListClustersDetailsRequest,
    ListClustersTagsRequest,
    ListSnapshotsRequest,
    ShowClusterDetailRequest,
    ShowClusterTagRequest,
    ShowClusterVolumeUsageRequest,
    Tag,
    TagReq,
    UpdateBatchClustersTagsRequest,
)

from tests.contract.service import Service
from tests.contract.test_official_sdk import client_for, refused

NODES = "/api/v1/clusters"


def registered(service: Service, name: str, **given: object) -> str:
    nodes = [{"name": "n1", "source": f"file://{service.logs()}", "ip": "10.0.0.5"}]
    reply = service.call("POST", NODES, {"name": name, "nodes": nodes, **given}, key=service.admin)
    assert reply.status == 200, reply.message
    return reply.json["id"]


def test_endpoint_and_addresses_of_a_cluster_named_by_its_nodes_are_shown(service: Service) -> None:
    cluster = registered(service, "reached", endpoint="es.example.org:9200,[2001:db8::5]:9200")
    shown = service.call("GET", service.path(cluster)).json
    assert shown["endpoint"] == "es.example.org:9200,[2001:db8::5]:9200"
    assert [one["ip"] for one in shown["instances"]] == ["10.0.0.5"]


def test_endpoint_and_address_are_changed_and_forgotten(service: Service) -> None:
    cluster = registered(service, "moved")
    before = service.call("GET", service.path(cluster)).json
    assert before["endpoint"] is None
    change = {"endpoint": "h:1", "nodes": [{"name": "n1", "ip": "::1"}]}
    changed = service.call("PATCH", f"{NODES}/{cluster}", change, key=service.admin).json
    assert (changed["endpoint"], [one["ip"] for one in changed["nodes"]]) == ("h:1", ["::1"])
    shown = service.call("GET", service.path(cluster)).json
    assert shown["instances"] == [before["instances"][0] | {"ip": "::1"}]
    source = {"nodes": [{"name": "n1", "source": f"file://{service.logs()}"}], "endpoint": ""}
    moved = service.call("PATCH", f"{NODES}/{cluster}", source, key=service.admin).json
    assert (moved["endpoint"], moved["nodes"][0]["ip"], moved["nodes"][0]["role"]) == ("", "::1", "ess")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"endpoint": "http://h:9200"}, "endpoint: write it as HOST:PORT"),
        ({"endpoint": "h"}, "endpoint: write it as HOST:PORT"),
        ({"nodes": [{"name": "node-0", "ip": "h"}]}, "nodes.ip: write an address"),
        ({"nodes": [{"name": "n9", "ip": "::1"}]}, "nodes.source: is missing; 'n9' is a new node"),
    ],
)
def test_what_is_no_address_is_refused(service: Service, change: dict[str, object], told: str) -> None:
    cluster = service.add_cluster()
    reply = service.call("PATCH", f"{NODES}/{cluster.id}", change, key=service.admin)
    assert (reply.status, reply.code) == (400, "CSS.0001")
    assert reply.message.startswith(told)


def test_a_tenant_is_told_the_name_of_a_bucket_and_not_where_it_lies(service: Service) -> None:
    bucket, cluster = service.folder / "buckets" / "logs", service.add_cluster()
    body = {"agency": "a", "log_base_path": "css/gone", "log_bucket": "logs"}
    assert service.call("POST", service.path(cluster, "/logs/open"), body).status == 200
    bucket.rename(bucket.with_name("away"))
    try:
        missing = service.call("POST", service.path(cluster, "/logs/open"), body)
        bucket.mkdir()
        other = service.call("POST", service.path(cluster, "/logs/open"), body)
        shutil.rmtree(bucket)
    finally:
        bucket.with_name("away").rename(bucket)
    assert (missing.status, missing.code) == (412, "CSS.0048")
    assert missing.message.startswith("log_bucket: there is no bucket logs. ")
    for reply in (missing, other):
        assert str(service.folder) not in reply.message
        assert "file:" not in reply.message


@pytest.fixture
def client(service: Service) -> Any:
    return client_for(service, project_id=service.project.id)


TYPE = {"resource_type": "css-cluster"}


def tags_of(client: Any, cluster: str) -> dict[str, str]:
    found = client.show_cluster_tag(ShowClusterTagRequest(cluster_id=cluster, **TYPE))
    return {tag.key: tag.value for tag in found.tags}


def test_tags_are_added_shown_and_removed(service: Service, client: Any) -> None:
    cluster = service.add_cluster().id
    body = TagReq(tag=Tag("团队", "搜索"))
    added = client.create_clusters_tags(CreateClustersTagsRequest(cluster_id=cluster, body=body, **TYPE))
    assert added.status_code == 204
    batch = BatchAddOrDeleteTagOnClusterReq("create", [Tag("stage", "prod"), Tag("a", ""), Tag("团队", "日志")])
    client.update_batch_clusters_tags(UpdateBatchClustersTagsRequest(cluster_id=cluster, body=batch, **TYPE))
    assert tags_of(client, cluster) == {"a": "", "stage": "prod", "团队": "日志"}
    shown = client.show_cluster_detail(ShowClusterDetailRequest(cluster_id=cluster))
    assert [tag.key for tag in shown.tags] == ["a", "stage", "团队"]
    listed = client.list_clusters_details(ListClustersDetailsRequest(limit=1000))
    assert [len(one.tags) for one in listed.clusters if one.id == cluster] == [3]
    every = client.list_clusters_tags(ListClustersTagsRequest(**TYPE)).tags
    assert {tag.key: tag.values for tag in every}["stage"] == ["prod"]
    gone = client.delete_clusters_tags(DeleteClustersTagsRequest(cluster_id=cluster, key="团队", **TYPE))
    assert gone.status_code == 204
    batch = BatchAddOrDeleteTagOnClusterReq("delete", [Tag("stage", "prod"), Tag("none", "x")])
    client.update_batch_clusters_tags(UpdateBatchClustersTagsRequest(cluster_id=cluster, body=batch, **TYPE))
    assert tags_of(client, cluster) == {"a": ""}
    again = refused(lambda: client.delete_clusters_tags(DeleteClustersTagsRequest(cluster_id=cluster, key="b", **TYPE)))
    assert (again.status_code, again.error_code) == (404, "CSS.0015")


@pytest.mark.parametrize(
    ("key", "value"), [("", "v"), (" k", "v"), ("_sys_k", "v"), ("k,", "v"), ("k" * 129, "v"), ("k", "v" * 256)]
)
def test_what_is_no_tag_is_refused(service: Service, key: str, value: str) -> None:
    cluster = service.add_cluster()
    path = f"/v1.0/{service.project.id}/css-cluster/{cluster.id}/tags"
    reply = service.call("POST", path, {"tag": {"key": key, "value": value}})
    assert (reply.status, reply.code) == (400, "CSS.0001")
    assert service.call("DELETE", f"{path}/%00").status == 404


def test_a_cluster_has_at_most_20_tags_and_they_are_its_projects(service: Service) -> None:
    cluster = service.add_cluster()
    path = f"/v1.0/{service.project.id}/css-cluster/{cluster.id}/tags"
    many = {"action": "create", "tags": [{"key": f"k{n}", "value": ""} for n in range(20)]}
    assert service.call("POST", f"{path}/action", many).status == 204
    assert "at most 20" in service.call("POST", path, {"tag": {"key": "more", "value": ""}}).message
    assert service.call("POST", path, {"tag": {"key": "k1", "value": "other"}}).status == 204
    other = f"/v1.0/{service.stranger.key.project_id}/css-cluster"
    assert service.call("GET", f"{other}/tags", key=service.stranger).json == {"tags": []}
    assert service.call("GET", f"{other}/{cluster.id}/tags", key=service.stranger).code == "CSS.0015"


def test_a_cluster_whose_api_is_not_known_or_does_not_answer_is_an_error(service: Service, client: Any) -> None:
    cluster = service.add_cluster().id
    for call in (
        lambda: client.show_cluster_volume_usage(ShowClusterVolumeUsageRequest(cluster_id=cluster)),
        lambda: client.list_snapshots(ListSnapshotsRequest(cluster_id=cluster)),
    ):
        unknown = refused(call)
        assert (unknown.status_code, unknown.error_code) == (400, "CSS.5090")
        assert "cluster update" in unknown.error_msg
