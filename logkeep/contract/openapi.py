"""The service's own OpenAPI document, made from the operations, the models and the table of faults."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from msgspec import Struct

from logkeep import errors
from logkeep.contract.bodies import rule_of
from logkeep.contract.codes import HEAD_TOO_LARGE, Fault, find_fault_of
from logkeep.contract.faults import FaultBody
from logkeep.contract.native.operations import READY
from logkeep.contract.native.responses import Readiness
from logkeep.contract.operation import JSON, NDJSON, Link, Operation
from logkeep.contract.parameters import PATH_PARAMETERS, Parameter, Schema

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
    bodies = _body_schemas(kind for operation in operations for kind in operation.body)
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


def _parameter(parameter: Parameter, place: str) -> Schema:
    return {"name": parameter.name, "in": place, "description": parameter.about, "schema": parameter.schema}


def _operation(operation: Operation, answer: Schema) -> dict[str, Any]:
    document: dict[str, Any] = {"operationId": operation.id, "summary": operation.summary}
    if not operation.signed:
        document["security"] = []
    parameters = [_parameter(parameter, "query") for parameter in operation.query]
    parameters += [_parameter(parameter, "header") | {"required": True} for parameter in operation.headers]
    if parameters:
        document["parameters"] = parameters
    if operation.body:
        document["requestBody"] = _request_body(operation)
    document["responses"] = {str(operation.status): _success(operation, answer)} | _failures(operation)
    return document


def _request_body(operation: Operation) -> Schema:
    choices = [{"$ref": _REFERENCE.format(name=kind.__name__)} for kind in operation.body]
    content = {JSON: {"schema": choices[0] if len(choices) == 1 else {"anyOf": choices}}}
    return {"required": operation.body_needed, "content": content}


def _success(operation: Operation, answer: dict[str, Any]) -> dict[str, Any]:
    description = "Done."
    if operation.status == HTTPStatus.NO_CONTENT:
        return {"description": description, "headers": {"X-Request-Id": _REQUEST_ID}}
    if operation.content_type == NDJSON:
        answer, description = {"type": "string"}, f"One JSON object a line: {_names(answer)}."
    elif operation.content_type != JSON:
        answer, description = {}, "The bytes."
    response = _response(description, answer, operation.content_type)
    if operation.other_type:
        response["content"] |= {operation.other_type: {"schema": {"type": "string"}}}
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


def _body_schemas(kinds: Iterable[type[Struct]]) -> dict[str, Schema]:
    """Return the schema of each body by the name of its struct, and those of the objects inside them."""
    kinds = list(dict.fromkeys(kinds))
    _, components = msgspec.json.schema_components(kinds, ref_template=_REFERENCE)
    inner = {
        name: schema | {"properties": _properties(schema)} if "properties" in schema else schema
        for name, schema in components.items()
    }
    return inner | {kind.__name__: _body_schema(kind, components[kind.__name__]) for kind in kinds}


def _body_schema(kind: type[Struct], schema: dict[str, Any]) -> Schema:
    """Return the schema of a body in snake_case, or in camelCase where that differs."""
    snake, camel = _object(kind, schema, lambda name: name), _object(kind, schema, _camel)
    found: Schema = snake if snake == camel else {"type": "object", "anyOf": [snake, camel]}
    return found | {"description": _SPELLINGS}


def _object(kind: type[Struct], schema: dict[str, Any], spell: Callable[[str], str]) -> Schema:
    """Require one spelling of each member, but describe both: the service reads either."""
    required: list[str] = schema["required"]
    properties = {name: one for member, one in _properties(schema).items() for name in (member, _camel(member))}
    found: Schema = {"type": "object", "properties": properties}
    if required:
        found["required"] = [spell(name) for name in required]
    for member in msgspec.structs.fields(kind):
        if needs := rule_of(member).needs:
            found["if"] = _has(member.name, {"const": True})
            found["then"] = _has(needs, {"type": "string", "minLength": 1})
    return found


def _has(member: str, schema: Schema) -> Schema:
    """Require a member with this schema, in either spelling."""
    found: list[Schema] = [
        {"properties": {name: schema}, "required": [name]} for name in dict.fromkeys((member, _camel(member)))
    ]
    return found[0] if len(found) == 1 else {"anyOf": found}


def _properties(schema: dict[str, Any]) -> dict[str, Schema]:
    """Return the members of an object; one that may be missing may also be null."""
    members: dict[str, Schema] = schema["properties"]
    return {name: one if name in schema["required"] else _or_null(one) for name, one in members.items()}


def _camel(name: str) -> str:
    return re.sub("_(.)", lambda found: found[1].upper(), name)


def _or_null(schema: dict[str, Any]) -> Schema:
    """Return the schema of a member, or null."""
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], None]}
    kind = schema.get("type") or schema["anyOf"][0]["type"]
    found: Schema = {name: value for name, value in schema.items() if name not in {"default", "anyOf"}}
    return found | {"type": kind if kind == "null" else [kind, "null"]}
