"""/temporal/entities, writing: evolutions, their attributes, single instances (5.6.11 to 5.6.16, 6.18 to 6.22)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from tsunagu.broker.api.answers import created, no_content
from tsunagu.broker.api.handlers.attributes import one_dataset
from tsunagu.broker.api.handlers.entities import PATH_SAFE, check_same_id
from tsunagu.broker.api.requests import attribute_name, context_of, entity_id, object_of
from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.jsonld.evolution import expand_evolution, expand_instance
from tsunagu.schemas.ids import is_uri

if TYPE_CHECKING:
    from tsunagu.broker.api.call import Answer, Call
    from tsunagu.broker.api.services import Services


async def upsert_evolution(call: Call, services: Services) -> Answer:
    """Create a temporal evolution, or add to the one that is there (5.6.11)."""
    body, context = await object_of(call, services)
    evolution = expand_evolution(body, context, whole=True)
    if await services.temporal_provision.upsert(call.tenant, evolution):
        return created(services.settings, f"/temporal/entities/{quote(evolution['id'], safe=PATH_SAFE)}")
    return no_content()


async def add_attributes(call: Call, services: Services) -> Answer:
    """Add instances of attributes to an evolution (5.6.12)."""
    body, context = await object_of(call, services)
    target = entity_id(call, context)
    evolution = expand_evolution(body, context, whole=False)
    check_same_id(evolution, target)
    await services.temporal_provision.add(call.tenant, target, evolution)
    return no_content()


async def delete_evolution(call: Call, services: Services) -> Answer:
    """Delete a temporal evolution (5.6.16)."""
    context = await context_of(call, services)
    await services.temporal_provision.delete(call.tenant, entity_id(call, context))
    return no_content()


async def delete_attribute(call: Call, services: Services) -> Answer:
    """Delete an attribute from an evolution, or the instances of it with one datasetId (5.6.13)."""
    context = await context_of(call, services)
    target = entity_id(call, context)
    await services.temporal_provision.delete_attribute(
        call.tenant,
        target,
        attribute_name(call, context, scope=True),
        dataset_id=one_dataset(call),
        delete_all=call.params.get("deleteAll", False),
    )
    return no_content()


async def modify_instance(call: Call, services: Services) -> Answer:
    """Replace one instance of an attribute in an evolution (5.6.14)."""
    body, context = await object_of(call, services)
    target = entity_id(call, context)
    name = attribute_name(call, context)
    instance = instance_name(call)
    told = expand_instance(body, name, context)
    await services.temporal_provision.modify_instance(call.tenant, target, name, instance, told)
    return no_content()


async def delete_instance(call: Call, services: Services) -> Answer:
    """Delete one instance of an attribute from an evolution (5.6.15)."""
    context = await context_of(call, services)
    target = entity_id(call, context)
    name = attribute_name(call, context, scope=True)
    await services.temporal_provision.delete_instance(call.tenant, target, name, instance_name(call))
    return no_content()


def instance_name(call: Call) -> str:
    """Return the instanceId in the path. Raises BadRequestData if it is no URI."""
    value = call.path[2]
    if not is_uri(value):
        raise BadRequestData(f"instanceId: {value[:200]!r} is not a URI")
    return value
