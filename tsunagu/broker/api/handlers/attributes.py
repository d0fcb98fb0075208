"""/entities/{entityId}/attrs and /entities/{entityId}/attrs/{attrId} (6.6, 6.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsunagu.broker.api.answers import no_content, plain
from tsunagu.broker.api.criteria import check_type
from tsunagu.broker.api.preconditions import required_version
from tsunagu.broker.api.requests import attribute_name, context_of, entity_id, object_of
from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.jsonld.expand import expand_attribute, expand_fragment
from tsunagu.schemas.entity import iri_of

if TYPE_CHECKING:
    from tsunagu.broker.api.call import Answer, Call
    from tsunagu.broker.api.services import Services
    from tsunagu.broker.operations.patch import UpdateResult


def update_answer(result: UpdateResult) -> Answer:
    """Return 204 when all attributes were updated, else 207 with an UpdateResult of fully qualified names (5.2.18)."""
    if not result.not_updated:
        return no_content()
    rejected = [{"attributeName": iri_of(name), "reason": reason} for name, reason in result.not_updated]
    return plain({"updated": [iri_of(name) for name in result.updated], "notUpdated": rejected}, 207)


async def append_attributes(call: Call, services: Services) -> Answer:
    """Append attributes to an entity (5.6.3)."""
    body, context = await object_of(call, services)
    target = entity_id(call, context)
    fragment = expand_fragment(body, context, allow_null=False)
    await check_type(call, services, target, context)
    overwrite = "noOverwrite" not in call.params.get("options", ())
    if_match = required_version(call)
    return update_answer(
        await services.entities.append(call.tenant, target, fragment, overwrite=overwrite, if_match=if_match)
    )


async def update_attributes(call: Call, services: Services) -> Answer:
    """Update attributes of an entity (5.6.2)."""
    body, context = await object_of(call, services)
    target = entity_id(call, context)
    fragment = expand_fragment(body, context, allow_null=True)
    await check_type(call, services, target, context)
    return update_answer(await services.entities.update(call.tenant, target, fragment, if_match=required_version(call)))


async def partial_update(call: Call, services: Services) -> Answer:
    """Update members of one attribute (5.6.4)."""
    body, context = await object_of(call, services)
    target = entity_id(call, context)
    name = attribute_name(call, context)
    value = expand_attribute(body, context, partial=True, allow_null=True, name=name)
    await check_type(call, services, target, context)
    await services.entities.partial_update(call.tenant, target, name, value, if_match=required_version(call))
    return no_content()


async def replace_attribute(call: Call, services: Services) -> Answer:
    """Replace one attribute (5.6.19)."""
    body, context = await object_of(call, services)
    target = entity_id(call, context)
    name = attribute_name(call, context)
    value = expand_attribute(body, context, partial=False, allow_null=False, name=name)
    await check_type(call, services, target, context)
    await services.entities.replace_attribute(call.tenant, target, name, value, if_match=required_version(call))
    return no_content()


async def delete_attribute(call: Call, services: Services) -> Answer:
    """Delete an attribute or one instance of it (5.6.5); "scope" can be deleted, too."""
    context = await context_of(call, services)
    target = entity_id(call, context)
    name = attribute_name(call, context, scope=True)
    await check_type(call, services, target, context)
    await services.entities.delete_attribute(
        call.tenant,
        target,
        name,
        dataset_id=one_dataset(call),
        delete_all=call.params.get("deleteAll", False),
        if_match=required_version(call),
    )
    return no_content()


def one_dataset(call: Call) -> str | None:
    """Return the datasetId parameter, None for the default instance. Raises BadRequestData if it names several."""
    ids = call.params.get("datasetId", ("@none",))
    if len(ids) > 1:
        raise BadRequestData("datasetId: name one instance to delete; deleteAll=true deletes all of them")
    return None if ids[0] == "@none" else str(ids[0])
