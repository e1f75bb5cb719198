"""The identity calls, by clients that were made for other servers: keystoneauth and the official IAM SDK."""

from __future__ import annotations

from typing import Any

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials, GlobalCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkcore.http.http_config import HttpConfig
from huaweicloudsdkcss.v1 import CssClient, ListClustersDetailsRequest
from huaweicloudsdkiam.v3 import (
    CreateTemporaryAccessKeyByTokenRequest,
    CreateTemporaryAccessKeyByTokenRequestBody,
    IamClient,
    IdentityToken,
    KeystoneListAuthDomainsRequest,
    KeystoneListAuthProjectsRequest,
    KeystoneListRegionsRequest,
    KeystoneListVersionsRequest,
    KeystoneShowCatalogRequest,
    KeystoneShowVersionRequest,
    KeystoneValidateTokenRequest,
    TokenAuth,
    TokenAuthIdentity,
)
from keystoneauth1 import discover, session
from keystoneauth1.identity import v3

from logkeep.domain.cluster import Cluster
from tests.contract.service import Service
from tests.contract.test_identity_api import PASSWORD, add_user, sign_in, token_of


@pytest.fixture
def iam(service: Service) -> Any:
    credentials = GlobalCredentials(service.admin.key.ak, service.admin.sk, "default")
    return (
        IamClient.new_builder()
        .with_http_config(HttpConfig.get_default_config())
        .with_credentials(credentials)
        .with_endpoints([f"http://127.0.0.1:{service.port}"])
        .build()
    )


@pytest.mark.parametrize("path", ["", "/", "/v3", "/v3/"])
def test_keystoneauth_discovers_and_signs_in(service: Service, path: str) -> None:
    url = f"http://127.0.0.1:{service.port}"
    password = v3.Password(
        auth_url=url + path,
        username=add_user(service),
        password=PASSWORD,
        user_domain_name="default",
        project_id=service.project.id,
    )
    with_password = session.Session(auth=password)
    assert with_password.get_project_id() == service.project.id
    assert with_password.get_endpoint(service_type="css") == f"{url}/v1.0/{service.project.id}"
    assert with_password.get("/auth/projects", endpoint_filter={"service_type": "identity"}).json()["projects"][0][
        "id"
    ] == (service.project.id)


def test_keystoneauth_reads_the_versions(service: Service) -> None:
    for path in ("/", "/v3"):
        found = discover.Discover(session.Session(), f"http://127.0.0.1:{service.port}{path}")
        assert [version["version"] for version in found.version_data()] == [(3, 6)]


def test_official_sdk_reads_versions_catalog_projects_and_regions(service: Service, iam: Any) -> None:
    url = f"http://127.0.0.1:{service.port}"
    (version,) = iam.keystone_list_versions(KeystoneListVersionsRequest()).versions.values
    assert (version.id, version.links[0].href) == ("v3.6", f"{url}/v3/")
    assert iam.keystone_show_version(KeystoneShowVersionRequest()).version.status == "stable"
    entries = {entry.type: entry for entry in iam.keystone_show_catalog(KeystoneShowCatalogRequest()).catalog}
    assert entries["css"].endpoints[0].url == f"{url}/v1.0/{service.project.id}"
    (project,) = iam.keystone_list_auth_projects(KeystoneListAuthProjectsRequest()).projects
    assert project.id == service.project.id
    (region,) = iam.keystone_list_regions(KeystoneListRegionsRequest()).regions
    assert (region.id, region.type) == (entries["css"].endpoints[0].region, "public")
    assert iam.keystone_list_auth_domains(KeystoneListAuthDomainsRequest()).domains[0].id == "default"


def test_official_sdk_validates_a_token(service: Service, iam: Any) -> None:
    name = add_user(service)
    token = token_of(sign_in(service, name))
    found = iam.keystone_validate_token(KeystoneValidateTokenRequest(x_subject_token=token))
    assert (found.token.user.name, found.token.project.id) == (name, service.project.id)
    with pytest.raises(ClientRequestException) as refused:
        iam.keystone_validate_token(KeystoneValidateTokenRequest(x_subject_token="x" + token))
    assert refused.value.status_code == 404


def test_temporary_key_of_the_official_sdk_lists_clusters(service: Service, iam: Any, cluster: Cluster) -> None:
    identity = TokenAuthIdentity(methods=["token"], token=IdentityToken(duration_seconds=900))
    body = CreateTemporaryAccessKeyByTokenRequestBody(auth=TokenAuth(identity=identity))
    got = iam.create_temporary_access_key_by_token(CreateTemporaryAccessKeyByTokenRequest(body=body)).credential
    credentials = BasicCredentials(got.access, got.secret, service.project.id).with_security_token(got.securitytoken)
    css: Any = (
        CssClient.new_builder()
        .with_http_config(HttpConfig.get_default_config())
        .with_credentials(credentials)
        .with_endpoints([f"http://127.0.0.1:{service.port}"])
        .build()
    )
    assert cluster.id in [found.id for found in css.list_clusters_details(ListClustersDetailsRequest()).clusters]
