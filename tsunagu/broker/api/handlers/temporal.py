"""/temporal/entities, reading: retrieve one evolution, query by parameters or by body (5.7.3, 5.7.4)."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tsunagu.broker.api.answers import add_page, document_answer, path_of
from tsunagu.broker.api.criteria import matches_type, query_of
from tsunagu.broker.api.handlers.entity_maps import map_location, named_map
from tsunagu.broker.api.handlers.query import map_for_retrieval
from tsunagu.broker.api.pages import page_of
from tsunagu.broker.api.query_body import params_of
from tsunagu.broker.api.requests import context_of, entity_id, object_of
from tsunagu.broker.api.temporal_criteria import aggregating_of, is_descending, temporal_view_of, wish_of
from tsunagu.broker.errors import InvalidRequest, ResourceNotFound
from tsunagu.broker.operations.entity_maps import entity_map
from tsunagu.broker.representations.aggregation import Aggregation
from tsunagu.broker.representations.temporal import Head
from tsunagu.schemas.times import short_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tsunagu.broker.api.call import Answer, Call
    from tsunagu.broker.api.services import Services
    from tsunagu.broker.api.temporal_criteria import Aggregating
    from tsunagu.broker.jsonld.context import Context
    from tsunagu.broker.query.ast import EntityQuery
    from tsunagu.broker.representations.temporal import TemporalView
    from tsunagu.broker.storage.catalogue import Entry
    from tsunagu.broker.storage.history import Evolution, Fact, Wish

LARGEST_PAGE = 20_000


async def retrieve_evolution(call: Call, services: Services) -> Answer:
    """Retrieve the temporal evolution of an entity (5.7.3)."""
    context = await context_of(call, services)
    target = entity_id(call, context)
    params = call.params
    wish = wish_of(params, context, limit=services.settings.temporal_limit, required=False)
    view = temporal_view_of(params, context, wish)
    aggregating = aggregating_of(params)
    evolution = await services.temporal.retrieve(call.tenant, target, wish)
    if "type" in params and not matches_type({"type": evolution.types}, params["type"], context):
        raise ResourceNotFound(f"there is no temporal evolution of an entity {target} of the type {params['type']}")
    if "attrs" in params and not evolution.names:
        raise ResourceNotFound(f"the evolution of {target} has none of the attributes {', '.join(params['attrs'])}")
    shown = (await rendered(call, services, [evolution], context, view, wish, aggregating))[0]
    if not shown:
        raise ResourceNotFound(f"the evolution of {target} has no member that pick and omit leave")
    answer = await document_answer(call, services, context, shown)
    add_range(answer, [evolution], wish, aggregating)
    entry = await map_for_retrieval(call, services, target)
    if entry is not None:
        answer.headers.append((b"ngsild-entitymap", map_location(services, entry["id"])))
    return answer


async def query_evolutions(call: Call, services: Services) -> Answer:
    """Query temporal evolutions by parameters (5.7.4)."""
    context = await context_of(call, services)
    return await run(call, services, context, call.params, "/temporal/entities")


async def query_evolutions_by_body(call: Call, services: Services) -> Answer:
    """Query temporal evolutions by a Query in the body (5.7.4)."""
    body, context = await object_of(call, services)
    params = {**call.params, **params_of(body, context, temporal=True)}
    return await run(call, services, context, params, "/temporal/entityOperations/query")


async def create_map(call: Call, services: Services) -> Answer:
    """Create an entity map by a query in the parameters (5.14.5)."""
    context = await context_of(call, services)
    return await answer_with_map(call, services, context, call.params)


async def create_map_by_body(call: Call, services: Services) -> Answer:
    """Create an entity map by a query in the body (5.14.5)."""
    body, context = await object_of(call, services)
    return await answer_with_map(call, services, context, {**call.params, **params_of(body, context, temporal=True)})


async def answer_with_map(call: Call, services: Services, context: Context, params: dict[str, Any]) -> Answer:
    """Create the map of a query and return it. What concerns only how evolutions are shown is checked, then ignored."""
    query, wish = asked(call, services, context, params)
    temporal_view_of(params, context, wish)
    aggregating_of(params)
    entry = await new_map(call, services, params, query, wish)
    answer = await document_answer(call, services, context, entity_map(entry), status=201)
    answer.headers.append((b"ngsild-entitymap", map_location(services, entry["id"])))
    return answer


async def new_map(call: Call, services: Services, params: dict[str, Any], query: EntityQuery, wish: Wish) -> Entry:
    """Make the map of the evolutions that match a query."""
    ids = services.temporal.matching(call.tenant, query, wish)
    return await services.entity_maps.create_of_ids(call.tenant, ids, lifetime=params.get("entityMapLifetime"))


def asked(call: Call, services: Services, context: Context, params: dict[str, Any]) -> tuple[EntityQuery, Wish]:
    """Return the query and the wish of a query for evolutions. Raises BadRequestData."""
    query = query_of(params, context)
    limit = call.params.get("limit", services.settings.default_limit)
    most = min(services.settings.temporal_limit, max(LARGEST_PAGE // max(limit, 1), 1))
    wish = wish_of(params, context, limit=most, required=True)
    return query, replace(wish, carry_scope=query.scope is not None)


async def run(call: Call, services: Services, context: Context, params: dict[str, Any], path: str) -> Answer:
    """Run a query and answer with a page of evolutions."""
    query, wish = asked(call, services, context, params)
    view = temporal_view_of(params, context, wish)
    aggregating = aggregating_of(params)
    descending = is_descending(query)
    limit, offset = page_of(call, services)
    entry, status = await map_of(call, services, params, query, wish)
    if entry is not None:
        mapped = entry["entities"]
        query = replace(query, ids=tuple(mapped if query.ids is None else set(query.ids) & set(mapped)))
    page = await services.temporal.query(
        call.tenant,
        query,
        wish,
        limit=limit,
        offset=offset,
        count=bool(params.get("count")),
        descending=descending,
    )
    shown = await rendered(call, services, page.evolutions, context, view, wish, aggregating)
    answer = await document_answer(call, services, context, [one for one in shown if one], status=status)
    location = path_of(services.settings, path)
    add_page(answer, call, location, limit=limit, offset=offset, more=page.more, count=page.count)
    if status == HTTPStatus.OK:
        add_range(answer, page.evolutions, wish, aggregating)
    if entry is not None:
        answer.headers.append((b"ngsild-entitymap", map_location(services, entry["id"])))
    return answer


async def map_of(
    call: Call, services: Services, params: dict[str, Any], query: EntityQuery, wish: Wish
) -> tuple[Entry | None, int]:
    """Return the entity map that a query uses, a new one if asked for or if the named one has gone; and the status."""
    named = named_map(call)
    entry = None if named is None else await services.entity_maps.find(call.tenant, named)
    if entry is not None or (named is None and not params.get("entityMap")):
        return entry, 200
    return await new_map(call, services, params, query, wish), 201


async def rendered(
    call: Call,
    services: Services,
    evolutions: Sequence[Evolution],
    context: Context,
    view: TemporalView,
    wish: Wish,
    aggregating: Aggregating | None,
) -> list[dict[str, Any]]:
    """Return evolutions as the view shows them."""
    if aggregating is not None:
        return [
            await aggregated(call, services, one, context, view, wish=wish, aggregating=aggregating)
            for one in evolutions
        ]
    cut = boundary(evolutions, wish)
    shown = []
    for evolution in evolutions:
        facts = [fact for fact in evolution.facts if cut is None or not beyond(fact, wish, cut)]
        empty = () if cut is None else sorted(evolution.names)
        shown.append(view.render(head_of(evolution), facts, shown_scopes(evolution, wish), context, empty=empty))
    return shown


def head_of(evolution: Evolution) -> Head:
    """Return what an evolution shows besides attributes."""
    return Head(evolution.id, evolution.types, evolution.created, evolution.modified, evolution.deleted)


def shown_scopes(evolution: Evolution, wish: Wish) -> list[Fact]:
    """Return the instances of the scope to show: those within the time asked for.

    After a scope query also the one that was valid when that time began (C.5.16).
    """
    found = [fact for fact in evolution.scopes if replace(wish, spans=None).takes(fact)]
    if wish.carry_scope and wish.window is not None and wish.window.start is not None:
        start = wish.window.start
        before = [fact for fact in evolution.scopes if (fact.moment(None) or 0) < start]
        found = [*before[-1:], *found]
    return found if wish.last is None else found[-wish.last :]


async def aggregated(
    call: Call,
    services: Services,
    evolution: Evolution,
    context: Context,
    view: TemporalView,
    *,
    wish: Wish,
    aggregating: Aggregating,
) -> dict[str, Any]:
    """Return an evolution with aggregated values (4.5.19).

    Raises InvalidRequest if an attribute that was asked for by name is eligible for none of the methods (5.7.4.4).
    """
    window = wish.window
    start = None if window is None or window.start is None else window.start
    aggregation = Aggregation(
        aggregating.methods, aggregating.period, start=start, end=None if window is None else window.end
    )
    async for fact in services.temporal.every_fact(call.tenant, evolution, wish):
        if "d" not in fact.times:
            aggregation.add(fact.attribute, fact.instance, fact.moment(wish.member) or 0)
    found = aggregation.result()
    for (name, _), aggregate in found.items():
        if wish.attrs is not None and not aggregate.rows:
            raise InvalidRequest(
                f"aggrMethods: the values of {context.compact_name(name)} are not eligible for "
                f"{', '.join(aggregating.methods)} (4.5.19)"
            )
    return view.render_aggregates(head_of(evolution), found, context)


def boundary(evolutions: Sequence[Evolution], wish: Wish) -> int | None:
    """Return the time at which the answer ends, the same for all attributes and evolutions; None if whole (6.3.10)."""
    cuts = [one.facts for one in evolutions if not one.whole]
    if not cuts:
        return None
    if wish.last is not None:
        return max(facts[0].moment(wish.member) or 0 for facts in cuts)
    return min(facts[-1].moment(wish.member) or 0 for facts in cuts)


def beyond(fact: Fact, wish: Wish, cut: int) -> bool:
    """Return whether an instance lies beyond the time at which the answer ends."""
    moment = fact.moment(wish.member) or 0
    return moment < cut if wish.last is not None else moment > cut


def add_range(answer: Answer, evolutions: Sequence[Evolution], wish: Wish, aggregating: Aggregating | None) -> None:
    """Make an answer that had to leave instances out a partial one, and say which time it covers (6.3.10)."""
    cut = boundary(evolutions, wish)
    if cut is None or aggregating is not None:
        return
    window = wish.window
    moments = [fact.moment(wish.member) or 0 for one in evolutions for fact in one.facts if not beyond(fact, wish, cut)]
    if wish.last is not None:
        start = max(moments) if window is None or window.end is None else window.end
        end, size = min(moments), str(wish.last)
    else:
        start = min(moments) if window is None or window.start is None else window.start
        end, size = max(moments), "*"
    answer.status = 206
    answer.headers.append((b"content-range", f"date-time {short_text(start)}-{short_text(end)}/{size}".encode()))
