"""The OpenAPI 3.1 description of the NGSI-LD API, made from the route table and the parameter table."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tsunagu.broker.api.call import JSON, LD_JSON, MERGE_PATCH
from tsunagu.broker.api.dispatch import ROOT
from tsunagu.broker.api.params import PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tsunagu.broker.api.route import Route

Schema = dict[str, Any]

URI: Schema = {"type": "string", "format": "uri"}
MOMENT: Schema = {"type": "string", "format": "date-time"}
CONTEXT: Schema = {"description": "A JSON-LD @context: a URL, an object, or an array of these"}
ATTRIBUTE: Schema = {"description": "An NGSI-LD Attribute, normalized or concise, or an array of its instances"}


def thing(kind: str | None, required: tuple[str, ...] = (), **properties: Schema) -> Schema:
    """Return the schema of an object; `kind` is the fixed value of its member type."""
    if kind is not None:
        properties = {"type": {"const": kind}, **properties}
    return {"type": "object", "required": list(required), "properties": properties}


def array(name: str) -> Schema:
    """Return the schema of an array of a named schema."""
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}


NAMES: Schema = {"type": "array", "items": {"type": "string"}}
ENTITY: Schema = {
    "id": URI,
    "type": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]},
    "scope": {"oneOf": [{"type": "string"}, NAMES]},
    "@context": CONTEXT,
}

TEMPORAL_QUERY: Schema = {
    "timerel": {"enum": ["before", "after", "between"]},
    "timeAt": MOMENT,
    "endTimeAt": MOMENT,
    "timeproperty": {"enum": ["observedAt", "createdAt", "modifiedAt", "deletedAt"]},
    "lastN": {"type": "integer", "minimum": 1},
}

SCHEMAS: dict[str, Schema] = {
    "ProblemDetails": thing(
        None,
        ("type", "title", "detail", "status"),
        type=URI,
        title={"type": "string"},
        detail={"type": "string"},
        status={"type": "integer"},
    ),
    "Entity": {"type": "object", "required": ["id", "type"], "properties": ENTITY, "additionalProperties": ATTRIBUTE},
    "EntityFragment": {"type": "object", "properties": ENTITY, "additionalProperties": ATTRIBUTE},
    "Attribute": {"type": "object"},
    "AttributeFragment": {"type": "object"},
    "BatchOperationResult": thing(
        None,
        ("success", "errors"),
        success={"type": "array", "items": URI},
        errors={
            "type": "array",
            "items": thing(
                None,
                ("entityId", "error"),
                entityId={"type": "string"},
                error={"$ref": "#/components/schemas/ProblemDetails"},
            ),
        },
    ),
    "UpdateResult": thing(
        None,
        ("updated", "notUpdated"),
        updated=NAMES,
        notUpdated={
            "type": "array",
            "items": thing(
                None, ("attributeName", "reason"), attributeName={"type": "string"}, reason={"type": "string"}
            ),
        },
    ),
    "Ids": {"type": "array", "items": URI, "minItems": 1},
    "Query": thing(
        "Query",
        ("type",),
        entities={"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/EntitySelector"}},
        q={"type": "string"},
        geoQ={"type": "object"},
        scopeQ={"type": "string"},
        attrs={**NAMES, "minItems": 1},
        pick={**NAMES, "minItems": 1},
        omit={**NAMES, "minItems": 1},
        lang={"type": "string"},
        join={"enum": ["flat", "inline", "@none"]},
        joinLevel={"type": "integer", "minimum": 1},
        ordering={"type": "object"},
        temporalQ={"type": "object", "required": ["timerel", "timeAt"], "properties": TEMPORAL_QUERY},
        aggrParams={"type": "object"},
    ),
    "EntityTemporal": {
        "type": "object",
        "required": ["id", "type"],
        "properties": {**ENTITY, "scope": {}},
        "additionalProperties": {"description": "The instances of an Attribute, each at its time (4.5.7)"},
    },
    "EntityTemporalFragment": {
        "type": "object",
        "properties": {**ENTITY, "scope": {}},
        "additionalProperties": {"description": "The instances of an Attribute, each at its time (4.5.7)"},
    },
    "EntitySelector": thing(
        None, ("type",), type={"type": "string"}, id={"oneOf": [URI, {"type": "array", "items": URI}]},
        idPattern={"type": "string"},
    ),
    "EntityTypeList": thing("EntityTypeList", ("id", "type", "typeList"), id=URI, typeList=NAMES),
    "EntityTypeInfo": thing("EntityTypeInfo", ("id", "type"), id=URI, typeName={"type": "string"}),
    "AttributeList": thing("AttributeList", ("id", "type", "attributeList"), id=URI, attributeList=NAMES),
    "AttributeInfo": thing("Attribute", ("id", "type"), id=URI, attributeName={"type": "string"}),
    "Subscription": thing(
        "Subscription",
        ("type", "notification"),
        id=URI,
        entities={"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/EntitySelector"}},
        watchedAttributes={**NAMES, "minItems": 1},
        q={"type": "string"},
        notification={"type": "object", "required": ["endpoint"]},
        **{"@context": CONTEXT},
    ),
    "SubscriptionFragment": {"type": "object"},
    "Registration": {"type": "object"},
    "LocalContext": {"type": "object", "required": ["@context"], "properties": {"@context": CONTEXT}},
    "ContextList": {"type": "array"},
    "EntityMap": thing(
        "EntityMap", ("id", "type", "expiresAt"), id=URI, expiresAt=MOMENT, entityMap={"type": "object"}
    ),
    "EntityMapFragment": thing(None, (), expiresAt=MOMENT),
    "ContextSourceIdentity": thing(
        "ContextSourceIdentity",
        ("id", "type", "contextSourceAlias", "contextSourceUptime", "contextSourceTimeAt"),
        id=URI,
        contextSourceAlias={"type": "string"},
        contextSourceUptime={"type": "string"},
        contextSourceTimeAt=MOMENT,
    ),
}  # fmt: skip

TENANT: Schema = {
    "name": "NGSILD-Tenant",
    "in": "header",
    "description": "The tenant; none is the default tenant. Fiware-Service is another name of it.",
    "schema": {"type": "string"},
}
LINK: Schema = {
    "name": "Link",
    "in": "header",
    "description": 'The @context: <URL>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"',
    "schema": {"type": "string"},
}
IF_MATCH: Schema = {
    "name": "If-Match",
    "in": "header",
    "description": "Write only if the entity still has this entity tag, as ETag returned it (extension)",
    "schema": {"type": "string"},
}
IF_NONE_MATCH: Schema = {
    "name": "If-None-Match",
    "in": "header",
    "description": "Answer 304 without a body if the entity still has this entity tag (extension)",
    "schema": {"type": "string"},
}
BARE = (411, 415)  # without a body (6.3.4)


def describe(routes: Iterable[Route]) -> dict[str, Any]:
    """Return the members `paths` and `components` of an OpenAPI 3.1 document for a route table."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(ROOT + route.path, {})[route.method.lower()] = operation(route)
    return {"paths": paths, "components": {"schemas": SCHEMAS}}


def operation(route: Route) -> dict[str, Any]:
    """Return the OpenAPI operation of one row."""
    described: dict[str, Any] = {
        "operationId": route.operation,
        "summary": route.summary,
        "description": f"ETSI GS CIM 009 v1.9.1, clauses {route.clause}",
        "tags": [route.path.split("/")[1]],
        "parameters": [*path_parameters(route), *query_parameters(route), *header_parameters(route)],
        "responses": responses(route),
    }
    if route.takes is not None:
        media = (JSON, LD_JSON, MERGE_PATCH) if route.method == "PATCH" else (JSON, LD_JSON)
        content = {"schema": reference(route.takes)}
        described["requestBody"] = {"required": True, "content": dict.fromkeys(media, content)}
    return described


def path_parameters(route: Route) -> list[Schema]:
    """Return the parameters in the path of a row."""
    names = [part.strip("{}") for part in route.path.split("/") if part.startswith("{")]
    return [
        {"name": name, "in": "path", "required": True, "schema": URI if name.endswith("Id") else {"type": "string"}}
        for name in names
    ]


def query_parameters(route: Route) -> list[Schema]:
    """Return the query parameters of a row."""
    described = []
    for name in sorted(route.allowed):
        entry: Schema = {"name": name, "in": "query"}
        if name == "options":
            entry |= {"description": "Comma-separated: " + ", ".join(route.words), "schema": {"type": "string"}}
        elif name == "format":
            entry |= {"description": "Representation of the entities", "schema": {"enum": list(route.formats)}}
        else:
            row = PARAMETERS[name]
            entry |= {"description": row.about, "schema": row.schema, "deprecated": row.deprecated}
        described.append(entry)
    return described


def header_parameters(route: Route) -> list[Schema]:
    """Return the request headers of a row."""
    headers = [TENANT, LINK]
    if route.path.startswith("/entities/"):
        headers.append(IF_NONE_MATCH if route.method == "GET" else IF_MATCH)
    return headers


def responses(route: Route) -> dict[str, Any]:
    """Return the answers of a row: its successes, and a problem for everything else."""
    described: dict[str, Any] = {}
    for status in route.statuses:
        entry: dict[str, Any] = {"description": HTTPStatus(status).phrase}
        schema = schema_of(route, status)
        if schema is not None:
            media = route.produces if route.produces and status != HTTPStatus.MULTI_STATUS else (JSON,)
            entry["content"] = {one: {"schema": schema} if one in {JSON, LD_JSON} else {} for one in media}
        described[str(status)] = entry
    if route.takes is not None:
        described |= {str(status): {"description": HTTPStatus(status).phrase} for status in BARE}
    problem = {"description": "Problem", "content": {JSON: {"schema": reference("ProblemDetails")}}}
    described["4XX"] = described["5XX"] = problem
    return described


def schema_of(route: Route, status: int) -> Schema | None:
    """Return the schema of an answer's body, None if it has none."""
    if status == HTTPStatus.MULTI_STATUS:
        return reference("UpdateResult" if "/attrs" in route.path else "BatchOperationResult")
    if status in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED} or route.gives is None or "details" in route.allowed:
        return None
    if route.method in {"GET", "POST"} and route.gives in {"Entity", "Entity[]"}:
        entities: Schema = {"type": "array", "items": {"type": "object"}}
        return entities if route.gives == "Entity[]" else {"type": ["object", "array"]}
    return reference(route.gives)


def reference(name: str) -> Schema:
    """Return a reference to a named schema, or the schema of an array of it for "Name[]"."""
    if name.endswith("[]"):
        return {**array(name.removesuffix("[]")), "minItems": 0}
    return {"$ref": f"#/components/schemas/{name}"}
