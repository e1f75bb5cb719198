"""The operations of the identity API that clients call (docs/contract.md, "Identity")."""

from __future__ import annotations

from logkeep import errors
from logkeep.contract.iam import requests, responses
from logkeep.contract.operation import Operation, WaitsFor
from logkeep.domain.access import Right

KEYSTONE_LIST_PROJECTS = Operation(
    "KeystoneListProjects",
    "GET",
    "/v3/projects",
    summary="Find the project of the caller, by its name or that of its region",
    right=Right.IDENTIFY,
    query=requests.PROJECTS_QUERY,
    answer=responses.ProjectList,
    raises=(errors.InvalidField,),
)
KEYSTONE_LIST_AUTH_DOMAINS = Operation(
    "KeystoneListAuthDomains",
    "GET",
    "/v3/auth/domains",
    summary="Show the account",
    right=Right.IDENTIFY,
    answer=responses.AccountList,
)
KEYSTONE_CREATE_TOKEN = Operation(
    "KeystoneCreateToken",
    "POST",
    "/v3/auth/tokens",
    status=201,
    summary="Get a token, in X-Subject-Token, for a password or another token",
    right=Right.IDENTIFY,
    body=(requests.CreateTokenReq,),
    answer=responses.TokenAnswer,
    header=("X-Subject-Token", "The token, for X-Auth-Token."),
    raises=(errors.InvalidField, errors.EmptyBody, errors.WrongPassword),
    signed=False,
    waits_for=WaitsFor.SIGN_IN,
)

KEYSTONE_VALIDATE_TOKEN = Operation(
    "KeystoneValidateToken",
    "GET",
    "/v3/auth/tokens",
    summary="Show what a token is good for: the caller's own, or for an administrator one of the project",
    right=Right.IDENTIFY,
    query=(requests.NO_CATALOG,),
    headers=(requests.SUBJECT_TOKEN,),
    answer=responses.TokenAnswer,
    header=("X-Subject-Token", "The token that was asked about."),
    raises=(errors.InvalidField, errors.TokenNotFound),
)
KEYSTONE_LIST_VERSIONS = Operation(
    "KeystoneListVersions",
    "GET",
    "/",
    status=300,
    summary="List the versions of the identity API: there is one",
    right=Right.IDENTIFY,
    answer=responses.VersionList,
    signed=False,
)
KEYSTONE_SHOW_VERSION = Operation(
    "KeystoneShowVersion",
    "GET",
    "/v3",
    summary="Show version 3 of the identity API",
    right=Right.IDENTIFY,
    answer=responses.VersionAnswer,
    signed=False,
)
KEYSTONE_SHOW_CATALOG = Operation(
    "KeystoneShowCatalog",
    "GET",
    "/v3/auth/catalog",
    summary="Show where the services are that the caller's project can use",
    right=Right.IDENTIFY,
    answer=responses.Catalog,
)
KEYSTONE_LIST_AUTH_PROJECTS = Operation(
    "KeystoneListAuthProjects",
    "GET",
    "/v3/auth/projects",
    summary="Show the project of the caller",
    right=Right.IDENTIFY,
    answer=responses.ProjectList,
)
KEYSTONE_LIST_REGIONS = Operation(
    "KeystoneListRegions",
    "GET",
    "/v3/regions",
    summary="Show the region of the caller's project",
    right=Right.IDENTIFY,
    answer=responses.RegionList,
)
CREATE_TEMPORARY_ACCESS_KEY_BY_TOKEN = Operation(
    "CreateTemporaryAccessKeyByToken",
    "POST",
    "/v3.0/OS-CREDENTIAL/securitytokens",
    status=201,
    summary="Get a temporary key with the caller's rights, which ends with the caller's token or key at the latest",
    right=Right.IDENTIFY,
    body=(requests.CreateTemporaryAccessKeyReq,),
    answer=responses.CredentialAnswer,
    raises=(errors.InvalidField, errors.EmptyBody),
    waits_for=WaitsFor.WRITES,
)

OPERATIONS = (
    KEYSTONE_LIST_PROJECTS,
    KEYSTONE_LIST_AUTH_DOMAINS,
    KEYSTONE_CREATE_TOKEN,
    KEYSTONE_VALIDATE_TOKEN,
    KEYSTONE_LIST_VERSIONS,
    KEYSTONE_SHOW_VERSION,
    KEYSTONE_SHOW_CATALOG,
    KEYSTONE_LIST_AUTH_PROJECTS,
    KEYSTONE_LIST_REGIONS,
    CREATE_TEMPORARY_ACCESS_KEY_BY_TOKEN,
)
