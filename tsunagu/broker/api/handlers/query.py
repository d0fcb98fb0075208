"""Reading entities: retrieve one, query by parameters, query by body (5.7.1, 5.7.2, 6.4.3.2, 6.5.3.1, 6.23)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tsunagu.broker.api.answers import VARY, add_page, document_answer, path_of
from tsunagu.broker.api.call import GEO_JSON, Answer
from tsunagu.broker.api.criteria import Join, join_of, matches_type, now_ms, query_of
from tsunagu.broker.api.handlers.entity_maps import map_location, named_map
from tsunagu.broker.api.negotiation import NEWEST, preferred_version
from tsunagu.broker.api.pages import page_of
from tsunagu.broker.api.preconditions import etag, unchanged
from tsunagu.broker.api.query_body import params_of
from tsunagu.broker.api.requests import context_of, object_of
from tsunagu.broker.api.sharing import telling
from tsunagu.broker.api.versions import amend_entity
from tsunagu.broker.api.views import view_of
from tsunagu.broker.errors import ResourceNotFound
from tsunagu.broker.operations.linked import linked_documents, without_links
from tsunagu.broker.representations import geojson_collection

if TYPE_CHECKING:
    from tsunagu.broker.api.call import Call
    from tsunagu.broker.api.services import Services
    from tsunagu.broker.changes import Document
    from tsunagu.broker.jsonld.context import Context
    from tsunagu.broker.query.ast import EntityQuery
    from tsunagu.broker.representations import View
    from tsunagu.broker.storage.catalogue import Entry
    from tsunagu.broker.storage.reads import Page


PLANS_KEPT = 1000
PLANS: dict[tuple[bytes, str, int], tuple[Context, Join | None, View, EntityQuery]] = {}


async def retrieve(call: Call, services: Services, target: str, context: Context) -> Answer:
    """Answer a retrieval of one entity that asks for anything out of the ordinary (5.7.1)."""
    params = call.params
    join = join_of(params)
    view = view_of(params, context, media=call.media, join=join)
    document = await services.entities.retrieve(call.tenant, target, times=view.sys_attrs)
    if "type" in params and not matches_type(document, params["type"], context):
        raise ResourceNotFound(f"there is no entity {target} of the type {params['type']}")
    if view.attrs is not None and view.attrs.isdisjoint(document["attrs"]):
        raise ResourceNotFound(f"entity {target} has none of the attributes {', '.join(params['attrs'])}")
    shown = await rendered(call, services, [document], context, view, join)
    if not shown:
        raise ResourceNotFound(f"entity {target} has no member that pick and omit leave")
    if join is None and unchanged(call, document["v"]):
        return Answer(304, None, [etag(document["v"]), VARY])
    # Flat retrieval gives an array (5.7.1.5); with nothing linked the conformance suite (018_14_02) wants the object.
    answer = await entities_answer(call, services, context, shown if len(shown) > 1 else shown[0], view)
    if join is None:
        answer.headers.append(etag(document["v"]))
    entry = await map_for_retrieval(call, services, target)
    if entry is not None:
        answer.headers.append((b"ngsild-entitymap", map_location(services, entry["id"])))
    return answer


async def map_for_retrieval(call: Call, services: Services, target: str) -> Entry | None:
    """Return the entity map that a retrieval names, a new one if it has gone or one was asked for, else None."""
    named = named_map(call)
    if named is None and not call.params.get("entityMap"):
        return None
    entry = None if named is None else await services.entity_maps.find(call.tenant, named)
    lifetime = call.params.get("entityMapLifetime")
    return entry or await services.entity_maps.create_of(call.tenant, target, lifetime=lifetime)


async def query_entities(call: Call, services: Services) -> Answer:
    """Query entities by parameters (5.7.2). Equal queries at the same time are answered as one."""
    context = await context_of(call, services)
    if call.params.get("entityMap") or named_map(call) is not None:
        return await run(call, services, context, call.params, "/entities")
    key = (call.tenant, call.query, call.media, context, telling(call.headers))
    return await services.shared.answer(key, lambda: run(call, services, context, call.params, "/entities"))


async def query_by_body(call: Call, services: Services) -> Answer:
    """Query entities by a Query in the body (5.7.2)."""
    body, context = await object_of(call, services)
    params = {**call.params, **params_of(body, context)}
    return await run(call, services, context, params, "/entityOperations/query")


async def run(call: Call, services: Services, context: Context, params: dict[str, Any], path: str) -> Answer:
    """Run a query and answer with a page of entities."""
    join, view, query = plan_of(call, params, context)
    limit, offset = page_of(call, services)
    query = await without_links(services.entities, call.tenant, query)
    named = named_map(call)
    entry = None if named is None else await services.entity_maps.find(call.tenant, named)
    status = 200
    if entry is None and (named is not None or params.get("entityMap")):
        entry = await services.entity_maps.create(call.tenant, query, lifetime=params.get("entityMapLifetime"))
        status = 201
    wanted = limit + 1 if limit else 0  # one more tells whether another page follows
    page: Page
    if entry is None:
        count = bool(params.get("count"))
        page = await services.entities.query(
            call.tenant, query, limit=wanted, offset=offset, count=count, times=view.sys_attrs
        )
    else:
        page = await services.entity_maps.query(call.tenant, entry, query, limit=wanted, offset=offset)
    shown = await rendered(call, services, page.documents[:limit], context, view, join)
    answer = await entities_answer(call, services, context, shown, view, status=status)
    location = path_of(services.settings, path)
    more = len(page.documents) > limit
    add_page(answer, call, location, limit=limit, offset=offset, more=more, count=page.count)
    if entry is not None:
        answer.headers.append((b"ngsild-entitymap", map_location(services, entry["id"])))
    return answer


def plan_of(call: Call, params: dict[str, Any], context: Context) -> tuple[Join | None, View, EntityQuery]:
    """Return what a request asks for, parsed; the same query string again costs a look-up.

    Raises BadRequestData, TooComplexQuery.
    """
    if call.route.method != "GET":
        return parsed(call, params, context)
    key = (call.query, call.media, id(context))
    plan = PLANS.get(key)
    if plan is None or plan[0] is not context:
        plan = (context, *parsed(call, params, context))
        if len(PLANS) >= PLANS_KEPT:
            PLANS.clear()
        PLANS[key] = plan
    _, join, view, query = plan
    return join, view, replace(query, now=now_ms())


def parsed(call: Call, params: dict[str, Any], context: Context) -> tuple[Join | None, View, EntityQuery]:
    """Return join, view and query of a request's parameters."""
    join = join_of(params)
    view = view_of(params, context, media=call.media, join=join)
    return join, view, query_of(params, context, depth=0 if join is None else join.depth)


async def rendered(
    call: Call, services: Services, documents: list[Document], context: Context, view: View, join: Join | None
) -> list[dict[str, Any]]:
    """Return the entities as the view shows them, with those that they are linked to if the join asks for it."""
    if join is None:
        return present([view.render(document, context) for document in documents])
    linked = await linked_documents(services.entities, call.tenant, documents, depth=join.depth, seen=join.seen)
    if join.form == "inline":
        return present([view.render(one, context, linked=linked, levels=join.depth) for one in documents])
    return present(view.render_flat(documents, context, linked=linked, levels=join.depth))


def present(entities: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the entities of which pick and omit leave anything."""
    return [entity for entity in entities if entity]


async def entities_answer(
    call: Call,
    services: Services,
    context: Context,
    shown: dict[str, Any] | list[dict[str, Any]],
    view: View,
    *,
    status: int = 200,
) -> Answer:
    """Return rendered entities in the negotiated media type, amended to the version that the client prefers."""
    if call.media == GEO_JSON:
        document = geojson_collection(shown) if isinstance(shown, list) else shown
        return await document_answer(call, services, context, document, status=status)
    version = preferred_version(call)
    if version is not None and version < NEWEST and view.format == "normalized":
        listed = shown if isinstance(shown, list) else [shown]
        amended = [amend_entity(entity, version) for entity in listed]
        if amended != listed:
            status = 203
            shown = amended if isinstance(shown, list) else amended[0]
    return await document_answer(call, services, context, shown, status=status)
