"""/entityMaps and /entityMaps/{entityMapId} (5.14, 6.32, 6.34)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tsunagu.broker.api.answers import document_answer, no_content, path_of
from tsunagu.broker.api.criteria import join_of, query_of
from tsunagu.broker.api.query_body import params_of
from tsunagu.broker.api.requests import context_of, object_of
from tsunagu.broker.api.views import projections
from tsunagu.broker.operations.entity_maps import entity_map
from tsunagu.broker.operations.linked import without_links

if TYPE_CHECKING:
    from tsunagu.broker.api.call import Answer, Call
    from tsunagu.broker.api.services import Services
    from tsunagu.broker.jsonld.context import Context


def map_location(services: Services, map_id: str) -> bytes:
    """Return the value of the NGSILD-EntityMap header for a map."""
    return path_of(services.settings, f"/entityMaps/{map_id}").encode()


def named_map(call: Call) -> str | None:
    """Return the id of the map that the NGSILD-EntityMap header of a request names, by URI or by location."""
    value = call.header(b"ngsild-entitymap")
    return None if value is None else unquote(value.strip().rsplit("/", 1)[-1])


async def create_map(call: Call, services: Services) -> Answer:
    """Create an entity map by a query in the parameters (5.14.4)."""
    context = await context_of(call, services)
    return await answer_with_map(call, services, context, call.params)


async def create_map_by_body(call: Call, services: Services) -> Answer:
    """Create an entity map by a query in the body (5.14.4)."""
    body, context = await object_of(call, services)
    return await answer_with_map(call, services, context, {**call.params, **params_of(body, context)})


async def answer_with_map(call: Call, services: Services, context: Context, params: dict[str, Any]) -> Answer:
    """Create the map of a query and return it. What concerns only how entities are shown is checked, then ignored."""
    join = join_of(params)
    projections(params, context, join)
    query = query_of(params, context, depth=0 if join is None else join.depth)
    query = await without_links(services.entities, call.tenant, query)
    entry = await services.entity_maps.create(call.tenant, query, lifetime=params.get("entityMapLifetime"))
    answer = await document_answer(call, services, context, entity_map(entry), status=201)
    answer.headers.append((b"ngsild-entitymap", map_location(services, entry["id"])))
    return answer


async def retrieve_map(call: Call, services: Services) -> Answer:
    """Return an entity map (5.14.1)."""
    context = await context_of(call, services)
    return await document_answer(
        call, services, context, await services.entity_maps.retrieve(call.tenant, call.path[0])
    )


async def update_map(call: Call, services: Services) -> Answer:
    """Update the expiry of an entity map (5.14.2)."""
    body, _ = await object_of(call, services)
    await services.entity_maps.update(call.tenant, call.path[0], body)
    return no_content()


async def delete_map(call: Call, services: Services) -> Answer:
    """Delete an entity map (5.14.3)."""
    await services.entity_maps.delete(call.tenant, call.path[0])
    return no_content()
