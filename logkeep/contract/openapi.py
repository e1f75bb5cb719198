"""The service's own OpenAPI document, made from the operations, the models and the table of faults."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from logkeep import errors
from logkeep.contract.faults import HEAD_TOO_LARGE, Fault, FaultBody, find_fault_of
from logkeep.contract.models import Readiness
from logkeep.contract.operations import JSON, NDJSON, READY, Link, Operation
from logkeep.contract.requests import PATH_PARAMETERS, Body, Member, Parameter, Schema

_REFERENCE = "#/components/schemas/{name}"
_Texts = dict[str, list[str]]  # when each code of a status comes
_REQUEST_ID = {"$ref": "#/components/headers/X-Request-Id"}

# What any signed call may be answered, besides what its own row says (docs/contract.md, "Gateway codes").
_EVERYWHERE: tuple[type[BaseException], ...] = (
    errors.RequestError,
    errors.NotAuthenticated,
    errors.NotAuthorized,
    errors.ClusterNotFound,
    errors.NoSuchApi,
    errors.BodyTooLarge,
    errors.Overloaded,
    BaseException,
)
_SPELLINGS = (
    "Names of members are matched after dropping '_' and lower-casing, so `log_base_path`, `logBasePath` and "
    "`log_Base_Path` are one; two spellings in one body must have the same value. Members of other names are ignored."
)
_INFO = {
    "title": "Log management API V1, as Logkeep serves it",
    "version": "1.0.0",
    "description": (
        "The log-management and cluster-reading operations of the CSS API V1, the identity call that its SDKs make, "
        f"and `/api/v1`, what that API lacks.\n\n{_SPELLINGS}\n\nUnknown parameters of a query are ignored; one that "
        "comes twice must have one value. Errors carry their code and text twice, once for each family of clients."
    ),
}
_SECURITY_SCHEMES = {
    "aksk": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": (
            "`SDK-HMAC-SHA256 Access=…, SignedHeaders=…, Signature=…` over the request, with its time in `X-Sdk-Date`; "
            "of the headers, only that one has to be signed."
        ),
    },
    "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token", "description": "A token of this service."},
}


def build_document(operations: Iterable[Operation]) -> dict[str, Any]:
    """Build the OpenAPI 3.1 document of these operations."""
    operations = list(operations)
    answers = [operation.answer for operation in operations]
    schemas, components = msgspec.json.schema_components([*answers, FaultBody, Readiness], ref_template=_REFERENCE)
    bodies = {operation.body.name: _body_schema(operation.body) for operation in operations if operation.body}
    paths: dict[str, dict[str, Any]] = {}
    for operation, schema in zip(operations, schemas, strict=False):
        item = paths.setdefault(operation.path, _path_item(operation.path))
        item[operation.method.lower()] = _operation(operation, schema)
    return {
        "openapi": "3.1.0",
        "info": _INFO,
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "servers": [{"url": "/"}],
        "security": [{name: []} for name in _SECURITY_SCHEMES],
        "paths": paths,
        "components": {
            "schemas": {name: components[name] for name in sorted(components)} | bodies,
            "responses": {str(status): _failure(texts) for status, texts in _by_status(_EVERYWHERE).items()},
            "headers": {"X-Request-Id": {"description": "32 hex digits.", "schema": {"type": "string"}}},
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


def _path_item(path: str) -> dict[str, Any]:
    names = re.findall(r"\{(\w+)\}", path)
    return {"parameters": [_path_parameter(name) for name in names]} if names else {}


def _path_parameter(name: str) -> Schema:
    known = PATH_PARAMETERS[name]
    return {"name": name, "in": "path", "required": True, "description": known.about, "schema": known.schema}


def _query_parameter(parameter: Parameter) -> Schema:
    return {"name": parameter.name, "in": "query", "description": parameter.about, "schema": parameter.schema}


def _operation(operation: Operation, answer: Schema) -> dict[str, Any]:
    document: dict[str, Any] = {"operationId": operation.id, "summary": operation.summary}
    if not operation.signed:
        document["security"] = []
    if operation.query:
        document["parameters"] = [_query_parameter(parameter) for parameter in operation.query]
    if operation.body:
        content = {JSON: {"schema": {"$ref": _REFERENCE.format(name=operation.body.name)}}}
        document["requestBody"] = {"required": operation.body.required, "content": content}
    document["responses"] = {str(operation.status): _success(operation, answer)} | _failures(operation)
    return document


def _success(operation: Operation, answer: dict[str, Any]) -> dict[str, Any]:
    description = "Done."
    if operation.content_type == NDJSON:
        answer, description = {"type": "string"}, f"One JSON object a line: {_names(answer)}."
    elif operation.content_type != JSON:
        answer, description = {}, "The bytes."
    response = _response(description, answer, operation.content_type)
    if operation.header:
        name, about = operation.header
        response["headers"] |= {name: {"description": about, "required": True, "schema": {"type": "string"}}}
    if operation.links:
        response["links"] = {link.operation: _link(link) for link in operation.links}
    return response


def _names(answer: dict[str, Any]) -> str:
    """Return the type's name in a reference, or `Line or OtherLine` for a choice."""
    choices: Any = answer.get("anyOf", [answer])
    return " or ".join(str(choice["$ref"]).rpartition("/")[2] for choice in choices)


def _link(link: Link) -> Schema:
    return {"operationId": link.operation, "parameters": link.parameters}


def _response(description: str, schema: dict[str, Any], content_type: str = JSON) -> dict[str, Any]:
    content = {content_type: {"schema": schema}}
    return {"description": description, "headers": {"X-Request-Id": _REQUEST_ID}, "content": content}


def _failures(operation: Operation) -> dict[str, Any]:
    """Return one response for each status, with its codes and when each occurs."""
    if not operation.signed and not operation.raises:
        return _unready() if operation is READY else {}
    everywhere = _by_status(_EVERYWHERE)
    found = _by_status((*_EVERYWHERE, *operation.raises))
    return {
        str(status): {"$ref": f"#/components/responses/{status}"}
        if texts == everywhere.get(status)
        else _failure(texts)
        for status, texts in found.items()
    }


def _by_status(kinds: Iterable[type[BaseException]]) -> dict[int, _Texts]:
    status, text = HEAD_TOO_LARGE
    found: dict[int, _Texts] = {status: {find_fault_of(errors.RequestError).code: [text]}}
    for error in kinds:
        fault = find_fault_of(error)
        texts = found.setdefault(fault.status, {}).setdefault(fault.code, [])
        if (text := _text(error, fault)) not in texts:
            texts.append(text)
    return dict(sorted(found.items()))


def _text(error: type[BaseException], fault: Fault) -> str:
    return fault.message or (error.__doc__ or "").strip()


def _failure(texts: _Texts) -> dict[str, Any]:
    description = "\n".join(f"- `{code}`: {' '.join(lines)}" for code, lines in texts.items())
    codes: Sequence[str] = list(texts)
    members: Schema = {"errCode": {"enum": codes}, "error_code": {"enum": codes}}
    fault: Schema = {"$ref": _REFERENCE.format(name=FaultBody.__name__)}
    return _response(description, {"allOf": [fault, {"properties": members}]})


def _unready() -> dict[str, Any]:
    reference: Schema = {"$ref": _REFERENCE.format(name=Readiness.__name__)}
    return {
        "500": _failure({find_fault_of(BaseException).code: ["Server error."]}),
        "503": _response("Not ready; `problems` says why.", reference),
    }


# Bodies


def _body_schema(body: Body) -> Schema:
    choices = [schema for members in body.alternatives for schema in _spelled(members)]
    schema: Schema = choices[0] if len(choices) == 1 else {"type": "object", "anyOf": choices}
    return schema | {"description": _SPELLINGS}


def _spelled(members: tuple[Member, ...]) -> list[Schema]:
    """Return the schema of a body in snake_case, and in camelCase where that differs."""
    snake = _object(members, camel=False)
    camel = _object(members, camel=True)
    return [snake] if snake == camel else [snake, camel]


def _object(members: tuple[Member, ...], *, camel: bool) -> Schema:
    """Require one spelling of each member, but describe both: the service reads either."""

    def spell(name: str) -> str:
        return _camel(name) if camel else name

    properties = {name: _member(member) for member in members for name in (member.name, _camel(member.name))}
    required = [spell(member.name) for member in members if member.required]
    schema: Schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    for member in members:
        if member.needs:
            name, needed = spell(member.name), spell(member.needs)
            schema["if"] = {"properties": {name: {"const": True}}, "required": [name]}
            schema["then"] = {"properties": {needed: {"type": "string", "minLength": 1}}, "required": [needed]}
    return schema


def _camel(name: str) -> str:
    return re.sub("_(.)", lambda found: found[1].upper(), name)


def _member(member: Member) -> Schema:
    schema = member.schema if member.required else _or_null(member.schema)
    return schema | {"description": member.about} if member.about else schema


def _or_null(schema: Schema) -> Schema:
    return schema if schema["type"] == "null" else schema | {"type": [schema["type"], "null"]}
