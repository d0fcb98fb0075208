"""/entityOperations/*: many entities in one request; each stands or falls alone (6.14-6.17, 6.31)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.broker.api.answers import multi_status, no_content, plain
from tsunagu.broker.api.negotiation import is_linked_data, linked_context, refuse_link
from tsunagu.broker.api.requests import array_of, resolved
from tsunagu.broker.errors import BadRequestData, NgsiError
from tsunagu.broker.jsonld.context import CORE
from tsunagu.broker.jsonld.expand import expand_entity, expand_fragment
from tsunagu.schemas.ids import is_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tsunagu.broker.api.call import Answer, Call
    from tsunagu.broker.api.services import Services
    from tsunagu.broker.jsonld.context import Context
    from tsunagu.broker.operations.batch import BatchResult
    from tsunagu.schemas.entity import Expanded

    Expand = Callable[[dict[str, Any], Context], Expanded]
    Failures = list[tuple[str, NgsiError]]


async def create(call: Call, services: Services) -> Answer:
    """Create entities (5.6.7)."""
    entities, failures, ids = await expanded(call, services, expand_entity)
    result = await services.batch.create(call.tenant, entities)
    return answer(result, failures, ids, created=result.success)


async def upsert(call: Call, services: Services) -> Answer:
    """Create entities, or replace those that are there, or update them (5.6.8)."""
    options = call.params.get("options", frozenset())
    if options >= {"replace", "update"}:
        raise BadRequestData("options: replace and update exclude each other; give one of them")
    update = "update" in options
    entities, failures, ids = await expanded(call, services, expand_fragment if update else expand_entity)
    result = await services.batch.upsert(call.tenant, entities, update=update)
    return answer(result, failures, ids, created=result.created)


async def update(call: Call, services: Services) -> Answer:
    """Update attributes of entities (5.6.9)."""
    overwrite = "noOverwrite" not in call.params.get("options", ())

    def updating(body: dict[str, Any], context: Context) -> Expanded:
        return expand_fragment(body, context, allow_null=overwrite)

    entities, failures, ids = await expanded(call, services, updating)
    return answer(await services.batch.update(call.tenant, entities, overwrite=overwrite), failures, ids)


async def merge(call: Call, services: Services) -> Answer:
    """Merge fragments into entities (5.6.20)."""
    simplified = call.params.get("format") == "simplified"

    def merging(body: dict[str, Any], context: Context) -> Expanded:
        return expand_fragment(body, context, allow_null=True, merge=True, simplified=simplified)

    entities, failures, ids = await expanded(call, services, merging)
    observed_at, lang = call.params.get("observedAt"), call.params.get("lang")
    result = await services.batch.merge(call.tenant, entities, observed_at=observed_at, lang=lang)
    return answer(result, failures, ids)


async def delete(call: Call, services: Services) -> Answer:
    """Delete entities by id (5.6.10)."""
    items = await array_of(call, services)
    for index, item in enumerate(items):
        if not isinstance(item, str):
            raise BadRequestData(f"element {index} of the array is not a string; the array holds entity ids")
    failures: Failures = [(item, BadRequestData(f"{item[:200]!r} is not a URI")) for item in items if not is_uri(item)]
    result = await services.batch.delete(call.tenant, [item for item in items if is_uri(item)])
    return answer(result, failures, items)


async def expanded(call: Call, services: Services, expand: Expand) -> tuple[list[Expanded], Failures, list[str]]:
    """Return the elements of a batch in expanded form, those that cannot be, each with its error, and the ids of all.

    Raises InvalidRequest or BadRequestData when the body as a whole is wrong, or an element cannot be reported
    because it has no id.
    """
    linked = is_linked_data(call.headers.get(b"content-type"), call.route.method)
    if linked:
        refuse_link(call)
    url = None if linked else linked_context(call)
    common = CORE if url is None else await resolved(services, url)
    entities: list[Expanded] = []
    failures: Failures = []
    ids: list[str] = []
    for index, body in enumerate(await array_of(call, services)):
        if not isinstance(body, dict):
            raise BadRequestData(f"element {index} of the array is not a JSON object")
        identifier = body.get("id", body.get("@id"))
        if not isinstance(identifier, str):
            raise BadRequestData(f"element {index} of the array has no id, which is a URI")
        ids.append(identifier)
        try:
            context = await own_context(services, body) if linked else common
            if not linked and "@context" in body:
                raise BadRequestData("@context: a body of type application/json has none; name it in a Link header")
            entities.append(expand(body, context))
        except NgsiError as error:
            failures.append((identifier, error))
    return entities, failures, ids


async def own_context(services: Services, body: dict[str, Any]) -> Context:
    """Take the @context out of an element and return it. Raises BadRequestData, LdContextNotAvailable."""
    if body.get("@context") is None:
        raise BadRequestData("@context: in a body of type application/ld+json each entity must have one")
    return await resolved(services, body.pop("@context"))


def answer(result: BatchResult, failures: Failures, ids: Sequence[str], *, created: list[str] | None = None) -> Answer:
    """Return 207 if anything failed, its errors in the order of `ids`; else 201 with what was created, or 204."""
    if failures or result.errors:
        places = {identifier: place for place, identifier in enumerate(ids)}
        errors = sorted([*result.errors, *failures], key=lambda one: places.get(one[0], len(ids)))
        return multi_status(result.success, errors)
    return plain(created, 201) if created else no_content()
