"""What handlers read from a call: its @context, its body, the ids in its path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.broker.api.bodies import parse_json, read_body
from tsunagu.broker.api.negotiation import body_context, linked_context
from tsunagu.broker.errors import BadRequestData, InvalidRequest
from tsunagu.broker.jsonld.context import CORE
from tsunagu.schemas.ids import is_uri

if TYPE_CHECKING:
    from tsunagu.broker.api.call import Call
    from tsunagu.broker.api.services import Services
    from tsunagu.broker.jsonld.context import Context


async def context_of(call: Call, services: Services) -> Context:
    """Return the @context that the Link header of a request names, the core if it names none (6.3.5).

    Raises BadRequestData, LdContextNotAvailable.
    """
    url = linked_context(call)
    return CORE if url is None else await resolved(services, url)


async def resolved(services: Services, source: Any) -> Context:
    """Return the @context for what a request names: a URL, a list, an object. Its use is counted (5.13.3.5).

    Raises BadRequestData, LdContextNotAvailable.
    """
    context = await services.resolver.resolve(source)
    services.contexts.hit(source)
    return context


async def json_of(call: Call, services: Services) -> Any:
    """Return the JSON value of the body. Raises InvalidRequest, BadRequestData, PayloadTooLarge."""
    settings = services.settings
    return parse_json(await read_body(call.receive, settings.max_body), settings.max_depth)


async def object_of(call: Call, services: Services) -> tuple[dict[str, Any], Context]:
    """Return the JSON object in the body, without its @context, and the @context that applies to it.

    Raises InvalidRequest, BadRequestData, PayloadTooLarge, LdContextNotAvailable.
    """
    body = await json_of(call, services)
    if not isinstance(body, dict):
        raise InvalidRequest("the body is not a JSON object")
    source = body_context(call, body)
    return body, CORE if source is None else await resolved(services, source)


async def array_of(call: Call, services: Services) -> list[Any]:
    """Return the JSON array in the body of a batch operation, which must not be empty or hold null.

    Raises InvalidRequest, BadRequestData, PayloadTooLarge.
    """
    body = await json_of(call, services)
    if not isinstance(body, list):
        raise BadRequestData("the body is not a JSON array; a batch operation takes an array")
    if not body:
        raise BadRequestData("the array in the body is empty; a batch operation takes at least one element")
    for index, item in enumerate(body):
        if item is None:
            raise BadRequestData(f"element {index} of the array is null")
    return body


def entity_id(call: Call, context: Context) -> str:
    """Return the entity id in the path, with a prefix of the @context resolved. Raises BadRequestData if no URI."""
    value = call.path[0]
    if not is_uri(value):
        raise BadRequestData(f"entityId: {value[:200]!r} is not a URI")
    return context.expand_id(value)


def attribute_name(call: Call, context: Context, *, scope: bool = False) -> str:
    """Return the stored name of the attribute in the path; "scope" stays itself if `scope` allows it.

    Raises BadRequestData if it cannot name an attribute.
    """
    term = call.path[1]
    if term == "scope":
        if scope:
            return term
        raise BadRequestData("attrId: scope is not an attribute that can be updated alone")
    return context.attribute(term)
