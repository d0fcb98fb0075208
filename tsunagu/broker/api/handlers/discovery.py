"""/types and /attributes: what there is (6.25-6.28)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tsunagu.broker.api.answers import document_answer
from tsunagu.broker.api.requests import context_of

if TYPE_CHECKING:
    from tsunagu.broker.api.call import Answer, Call
    from tsunagu.broker.api.services import Services
    from tsunagu.broker.jsonld.context import Context
    from tsunagu.broker.operations.discovery import AttributeDetails, TypeDetails


async def list_types(call: Call, services: Services) -> Answer:
    """Return the available entity types, with details if asked for (5.7.5, 5.7.6)."""
    context = await context_of(call, services)
    if call.params.get("details"):
        details = await services.discovery.type_details(call.tenant)
        return await document_answer(call, services, context, [entity_type(one, context) for one in details])
    names = [context.compact_iri(iri) for iri in await services.discovery.types(call.tenant)]
    document = {"id": f"urn:ngsi-ld:EntityTypeList:{uuid4()}", "type": "EntityTypeList", "typeList": names}
    return await document_answer(call, services, context, document)


async def retrieve_type(call: Call, services: Services) -> Answer:
    """Return one entity type with its attributes (5.7.7)."""
    context = await context_of(call, services)
    information = await services.discovery.type_information(call.tenant, context.expand_type(call.path[0]))
    document = {
        "id": information.iri,
        "type": "EntityTypeInfo",
        "typeName": context.compact_iri(information.iri),
        "entityCount": information.entities,
        "attributeDetails": [
            {
                "id": iri,
                "type": "Attribute",
                "attributeName": context.compact_iri(iri),
                "attributeTypes": list(kinds),
            }
            for iri, kinds in information.attributes.items()
        ],
    }
    return await document_answer(call, services, context, document)


async def list_attributes(call: Call, services: Services) -> Answer:
    """Return the available attributes, with details if asked for (5.7.8, 5.7.9)."""
    context = await context_of(call, services)
    if call.params.get("details"):
        details = await services.discovery.attribute_details(call.tenant)
        return await document_answer(call, services, context, [attribute(one, context) for one in details])
    names = [context.compact_iri(iri) for iri in await services.discovery.attributes(call.tenant)]
    document = {"id": f"urn:ngsi-ld:AttributeList:{uuid4()}", "type": "AttributeList", "attributeList": names}
    return await document_answer(call, services, context, document)


async def retrieve_attribute(call: Call, services: Services) -> Answer:
    """Return one attribute with the types that have it, its kinds and its number (5.7.10)."""
    context = await context_of(call, services)
    information = await services.discovery.attribute_information(call.tenant, context.expand_term(call.path[0]))
    document = attribute(information, context)
    document["attributeCount"] = information.instances
    document["attributeTypes"] = list(information.kinds)
    return await document_answer(call, services, context, document)


def entity_type(details: TypeDetails, context: Context) -> dict[str, Any]:
    """Return an EntityType (5.2.25)."""
    return {
        "id": details.iri,
        "type": "EntityType",
        "typeName": context.compact_iri(details.iri),
        "attributeNames": [context.compact_iri(iri) for iri in details.attributes],
    }


def attribute(details: AttributeDetails, context: Context) -> dict[str, Any]:
    """Return an Attribute (5.2.28), restricted to id, type, attributeName and typeNames."""
    return {
        "id": details.iri,
        "type": "Attribute",
        "attributeName": context.compact_iri(details.iri),
        "typeNames": [context.compact_iri(iri) for iri in details.types],
    }
