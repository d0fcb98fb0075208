"""/entities and /entities/{entityId}: create, retrieve, merge, replace, delete, purge (6.4, 6.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import orjson

from tsunagu.broker.api.answers import VARY, created, multi_status, no_content
from tsunagu.broker.api.call import JSON, Answer
from tsunagu.broker.api.criteria import check_type, query_of, stored_names
from tsunagu.broker.api.handlers import query as reading
from tsunagu.broker.api.links import context_link_header
from tsunagu.broker.api.preconditions import etag, required_version
from tsunagu.broker.api.problems import JSON_TYPE
from tsunagu.broker.api.requests import context_of, entity_id, object_of
from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.jsonld.expand import expand_entity, expand_fragment
from tsunagu.broker.representations import View

if TYPE_CHECKING:
    from tsunagu.broker.api.call import Call
    from tsunagu.broker.api.services import Services

PLAIN_VIEW = View()


async def create_entity(call: Call, services: Services) -> Answer:
    """Create an entity (5.6.1)."""
    body, context = await object_of(call, services)
    entity = expand_entity(body, context)
    await services.entities.create(call.tenant, entity)
    return created(services.settings, f"/entities/{quote(entity['id'], safe=PATH_SAFE)}")


PATH_SAFE = ":@!$&'()*+,;=~"


async def retrieve_entity(call: Call, services: Services) -> Answer:
    """Retrieve an entity (5.7.1). The plain case, by far the most frequent, takes a short way."""
    context = await context_of(call, services)
    target = entity_id(call, context)
    if call.params or call.media != JSON or not call.headers.keys().isdisjoint(SPECIAL_HEADERS) or context.url is None:
        return await reading.retrieve(call, services, target, context)
    document = await services.entities.retrieve(call.tenant, target, times=False)
    body = orjson.dumps(PLAIN_VIEW.render(document, context))
    return Answer(200, body, [JSON_TYPE, (b"link", context_link_header(context.url)), etag(document["v"]), VARY])


SPECIAL_HEADERS = frozenset({b"prefer", b"ngsild-entitymap", b"if-none-match"})


async def delete_entity(call: Call, services: Services) -> Answer:
    """Delete an entity (5.6.6)."""
    context = await context_of(call, services)
    target = entity_id(call, context)
    await check_type(call, services, target, context)
    await services.entities.delete(call.tenant, target, if_match=required_version(call))
    return no_content()


async def merge_entity(call: Call, services: Services) -> Answer:
    """Merge a fragment into an entity (5.6.17)."""
    body, context = await object_of(call, services)
    target = entity_id(call, context)
    simplified = call.params.get("format") == "simplified"
    fragment = expand_fragment(body, context, allow_null=True, merge=True, simplified=simplified)
    check_same_id(fragment, target)
    await check_type(call, services, target, context)
    await services.entities.merge(
        call.tenant,
        target,
        fragment,
        observed_at=call.params.get("observedAt"),
        lang=call.params.get("lang"),
        if_match=required_version(call),
    )
    return no_content()


async def replace_entity(call: Call, services: Services) -> Answer:
    """Replace an entity whole (5.6.18)."""
    body, context = await object_of(call, services)
    target = entity_id(call, context)
    entity = expand_entity({"id": target, **body}, context)
    check_same_id(entity, target)
    await check_type(call, services, target, context)
    await services.entities.replace(call.tenant, target, entity, if_match=required_version(call))
    return no_content()


async def purge_entities(call: Call, services: Services) -> Answer:
    """Delete the entities that match a query, or attributes of them (5.6.21)."""
    context = await context_of(call, services)
    if "keep" in call.params and "drop" in call.params:
        raise BadRequestData("keep and drop exclude each other; give one of them")
    query = query_of(call.params, context)
    keep = stored_names(call.params.get("keep"), context, parameter="keep")
    drop = stored_names(call.params.get("drop"), context, parameter="drop")
    failed = await services.entities.purge(call.tenant, query, keep=keep, drop=drop)
    return multi_status([], failed) if failed else no_content()


def check_same_id(entity: dict[str, object], target: str) -> None:
    """Raise BadRequestData if the body names another entity than the path."""
    if entity.get("id", target) != target:
        raise BadRequestData(f"id: it is {target}, as in the path, or left out")
