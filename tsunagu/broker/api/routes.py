"""The route table: every operation of the API, one row each, relative to /ngsi-ld/v1.

Long, flat and dull on purpose: search it and you find any operation, who handles it, and what it takes. 405 with
Allow, the check of parameters, content negotiation and the OpenAPI document all follow from these rows.
"""

from __future__ import annotations

from tsunagu.broker.api.handlers import (
    attributes,
    batch,
    contexts,
    discovery,
    entities,
    entity_maps,
    query,
    source_identity,
    subscriptions,
    temporal,
    temporal_provision,
    unsupported,
)
from tsunagu.broker.api.negotiation import DOCUMENTS, ENTITIES
from tsunagu.broker.api.route import Route

REPRESENTATIONS = ("normalized", "concise", "simplified", "keyValues")
SIMPLIFIED = ("simplified", "keyValues")
SYSTEM = ("sysAttrs",)

LOCAL = ("local",)
SELECT = ("type", "local")
PAGE = ("count", "limit", "offset")
GEO = ("coordinates", "geometry", "geoproperty", "georel")
PROJECT = ("attrs", "datasetId", "geometryProperty", "lang", "omit", "pick")
LINKED = ("containedBy", "join", "joinLevel")
MAPPED = ("entityMap", "entityMapLifetime")
MATCH = (*GEO, "csf", "id", "idPattern", "q", "scopeQ", "type")
ORDER = ("collation", "orderBy", "orderFrom", "orderGeometry")
RETRIEVE = (*PROJECT, *LINKED, *MAPPED, *SELECT)
QUERY = (*MATCH, *PROJECT, *LINKED, *MAPPED, *ORDER, *PAGE, "expandValues", "jsonKeys", "local", "splitEntities")
PURGE = (*MATCH, "attrs", "drop", "expandValues", "geometryProperty", "jsonKeys", "keep", "local")
QUERY_BY_BODY = (*PAGE, "geometryProperty", "lang", "local")

TEMPORAL = ("endTimeAt", "lastN", "timeAt", "timeproperty", "timerel")
AGGREGATED = ("aggrMethods", "aggrPeriodDuration")
TEMPORAL_FORMATS = ("temporalValues", "aggregatedValues")
RETRIEVE_TEMPORAL = ("attrs", "datasetId", "lang", "omit", "pick", *TEMPORAL, *AGGREGATED, *MAPPED, *SELECT)
QUERY_TEMPORAL = (
    *MATCH, "attrs", "collation", "datasetId", "lang", "omit", "orderBy", "pick", *TEMPORAL, *AGGREGATED, *MAPPED,
    *PAGE, "expandValues", "jsonKeys", "local", "splitEntities",
)  # fmt: skip
REGISTRATIONS = (*MATCH, "attrs", "geometryProperty", "lang", "omit", "pick", *TEMPORAL, *PAGE)

ENTITY = "/entities/{entityId}"
ATTRIBUTES = "/entities/{entityId}/attrs"
ATTRIBUTE = "/entities/{entityId}/attrs/{attrId}"
SUBSCRIPTION = "/subscriptions/{subscriptionId}"
CONTEXT = "/jsonldContexts/{contextId}"
ENTITY_MAP = "/entityMaps/{entityMapId}"
INSTANCE = "/entities/{entityId}/attrs/{attrId}/{instanceId}"
REGISTRATION = "/csourceRegistrations/{registrationId}"
REGISTRATION_SUBSCRIPTION = "/csourceSubscriptions/{subscriptionId}"

ROUTES: tuple[Route, ...] = (
    # --- entities -----------------------------------------------------------------------------------------------
    Route(
        "GET", ENTITY, entities.retrieve_entity, "5.7.1, 6.5.3.1", "retrieveEntity", "Retrieve an entity",
        parameters=RETRIEVE, options=SYSTEM, formats=REPRESENTATIONS, gives="Entity", produces=ENTITIES,
        statuses=(200, 203, 304),
    ),
    Route(
        "GET", "/entities", query.query_entities, "5.7.2, 6.4.3.2", "queryEntities", "Query entities",
        parameters=QUERY, options=SYSTEM, formats=REPRESENTATIONS, gives="Entity[]", produces=ENTITIES,
        statuses=(200, 201, 203),
    ),
    Route(
        "POST", "/entities", entities.create_entity, "5.6.1, 6.4.3.1", "createEntity", "Create an entity",
        parameters=LOCAL, takes="Entity", statuses=(201,), tenant="new",
    ),
    Route(
        "DELETE", "/entities", entities.purge_entities, "5.6.21, 6.4.3.3", "purgeEntities",
        "Delete the entities that match a query, or attributes of them", parameters=PURGE, statuses=(204, 207),
    ),
    Route(
        "PATCH", ENTITY, entities.merge_entity, "5.6.17, 6.5.3.4", "mergeEntity", "Merge a fragment into an entity",
        parameters=("lang", "observedAt", *SELECT), formats=SIMPLIFIED, takes="EntityFragment", statuses=(204,),
        needs_id=True,
    ),
    Route(
        "PUT", ENTITY, entities.replace_entity, "5.6.18, 6.5.3.3", "replaceEntity", "Replace an entity",
        parameters=SELECT, takes="Entity", statuses=(204,), needs_id=True,
    ),
    Route(
        "DELETE", ENTITY, entities.delete_entity, "5.6.6, 6.5.3.2", "deleteEntity", "Delete an entity",
        parameters=SELECT, statuses=(204,),
    ),
    # --- attributes ---------------------------------------------------------------------------------------------
    Route(
        "PATCH", ATTRIBUTES, attributes.update_attributes, "5.6.2, 6.6.3.2", "updateAttributes",
        "Update attributes of an entity", parameters=SELECT, takes="EntityFragment", statuses=(204, 207),
    ),
    Route(
        "POST", ATTRIBUTES, attributes.append_attributes, "5.6.3, 6.6.3.1", "appendAttributes",
        "Append attributes to an entity", parameters=SELECT, options=("noOverwrite",), takes="EntityFragment",
        statuses=(204, 207),
    ),
    Route(
        "PATCH", ATTRIBUTE, attributes.partial_update, "5.6.4, 6.7.3.1", "partialAttributeUpdate",
        "Update members of one attribute", parameters=SELECT, takes="AttributeFragment", statuses=(204,),
    ),
    Route(
        "PUT", ATTRIBUTE, attributes.replace_attribute, "5.6.19, 6.7.3.3", "replaceAttribute", "Replace one attribute",
        parameters=SELECT, takes="Attribute", statuses=(204,),
    ),
    Route(
        "DELETE", ATTRIBUTE, attributes.delete_attribute, "5.6.5, 6.7.3.2", "deleteAttribute",
        "Delete an attribute, or one instance of it", parameters=("datasetId", "deleteAll", *SELECT), statuses=(204,),
    ),
    # --- several entities at once -------------------------------------------------------------------------------
    Route(
        "POST", "/entityOperations/create", batch.create, "5.6.7, 6.14.3.1", "createBatch", "Create entities",
        parameters=LOCAL, takes="Entity[]", gives="Ids", statuses=(201, 207), tenant="new",
    ),
    Route(
        "POST", "/entityOperations/upsert", batch.upsert, "5.6.8, 6.15.3.1", "upsertBatch",
        "Create entities, or replace or update those that are there", parameters=LOCAL, options=("replace", "update"),
        takes="Entity[]", gives="Ids", statuses=(201, 204, 207), tenant="new",
    ),
    Route(
        "POST", "/entityOperations/update", batch.update, "5.6.9, 6.16.3.1", "updateBatch", "Update entities",
        parameters=LOCAL, options=("noOverwrite", "replace", "update"), takes="Entity[]", statuses=(204, 207),
    ),
    Route(
        "POST", "/entityOperations/merge", batch.merge, "5.6.20, 6.31.3.1", "mergeBatch",
        "Merge fragments into entities", parameters=("lang", "observedAt", *LOCAL), formats=SIMPLIFIED,
        takes="Entity[]", statuses=(204, 207),
    ),
    Route(
        "POST", "/entityOperations/delete", batch.delete, "5.6.10, 6.17.3.1", "deleteBatch", "Delete entities by id",
        parameters=LOCAL, takes="Ids", statuses=(204, 207),
    ),
    Route(
        "POST", "/entityOperations/query", query.query_by_body, "5.7.2, 6.23.3.1", "queryBatch",
        "Query entities, the query in the body", parameters=QUERY_BY_BODY, options=SYSTEM, formats=REPRESENTATIONS,
        takes="Query", gives="Entity[]", produces=ENTITIES, statuses=(200, 201, 203),
    ),
    # --- discovery ----------------------------------------------------------------------------------------------
    Route(
        "GET", "/types", discovery.list_types, "5.7.5, 5.7.6, 6.25.3.1", "retrieveEntityTypes",
        "List the available entity types", parameters=("details", *LOCAL), gives="EntityTypeList", produces=DOCUMENTS,
    ),
    Route(
        "GET", "/types/{type}", discovery.retrieve_type, "5.7.7, 6.26.3.1", "retrieveEntityTypeInfo",
        "Retrieve one entity type", parameters=LOCAL, gives="EntityTypeInfo", produces=DOCUMENTS,
    ),
    Route(
        "GET", "/attributes", discovery.list_attributes, "5.7.8, 5.7.9, 6.27.3.1", "retrieveAttributes",
        "List the available attributes", parameters=("details", *LOCAL), gives="AttributeList", produces=DOCUMENTS,
    ),
    Route(
        "GET", "/attributes/{attrId}", discovery.retrieve_attribute, "5.7.10, 6.28.3.1", "retrieveAttributeInfo",
        "Retrieve one attribute", parameters=LOCAL, gives="AttributeInfo", produces=DOCUMENTS,
    ),
    # --- subscriptions ------------------------------------------------------------------------------------------
    Route(
        "POST", "/subscriptions", subscriptions.create_subscription, "5.8.1, 6.10.3.1", "createSubscription",
        "Create a subscription", takes="Subscription", statuses=(201,), tenant="new",
    ),
    Route(
        "GET", "/subscriptions", subscriptions.query_subscriptions, "5.8.4, 6.10.3.2", "querySubscriptions",
        "List the subscriptions", parameters=PAGE, options=SYSTEM, gives="Subscription[]", produces=DOCUMENTS,
    ),
    Route(
        "GET", SUBSCRIPTION, subscriptions.retrieve_subscription, "5.8.3, 6.11.3.1", "retrieveSubscription",
        "Retrieve a subscription", options=SYSTEM, gives="Subscription", produces=DOCUMENTS,
    ),
    Route(
        "PATCH", SUBSCRIPTION, subscriptions.update_subscription, "5.8.2, 6.11.3.2", "updateSubscription",
        "Update a subscription", takes="SubscriptionFragment", statuses=(204,),
    ),
    Route(
        "DELETE", SUBSCRIPTION, subscriptions.delete_subscription, "5.8.5, 6.11.3.3", "deleteSubscription",
        "Delete a subscription", statuses=(204,),
    ),
    # --- @contexts ----------------------------------------------------------------------------------------------
    Route(
        "POST", "/jsonldContexts", contexts.add_context, "5.13.2, 6.29.3.1", "addContext", "Store an @context",
        takes="LocalContext", statuses=(201,), tenant="any",
    ),
    Route(
        "GET", "/jsonldContexts", contexts.list_contexts, "5.13.3, 6.29.3.2", "listContexts",
        "List the stored @contexts", parameters=("details", "kind"), gives="ContextList", produces=DOCUMENTS,
        tenant="any",
    ),
    Route(
        "GET", CONTEXT, contexts.serve_context, "5.13.4, 6.30.3.1", "serveContext", "Serve an @context",
        parameters=("details",), gives="LocalContext", produces=DOCUMENTS, tenant="any",
    ),
    Route(
        "DELETE", CONTEXT, contexts.delete_context, "5.13.5, 6.30.3.2", "deleteContext",
        "Delete an @context, or fetch it anew", parameters=("reload",), statuses=(204,), tenant="any",
    ),
    # --- entity maps --------------------------------------------------------------------------------------------
    Route(
        "GET", "/entityMaps", entity_maps.create_map, "5.14.4, 6.34.3.1", "createEntityMap",
        "Create an entity map by a query", parameters=QUERY, options=SYSTEM, formats=REPRESENTATIONS,
        gives="EntityMap", produces=DOCUMENTS, statuses=(201,),
    ),
    Route(
        "POST", "/entityMaps", entity_maps.create_map_by_body, "5.14.4, 6.34.3.2", "createEntityMapByBody",
        "Create an entity map, the query in the body", parameters=QUERY_BY_BODY, options=SYSTEM,
        formats=REPRESENTATIONS, takes="Query", gives="EntityMap", produces=DOCUMENTS, statuses=(201,),
    ),
    Route(
        "GET", ENTITY_MAP, entity_maps.retrieve_map, "5.14.1, 6.32.3.1", "retrieveEntityMap", "Retrieve an entity map",
        gives="EntityMap", produces=DOCUMENTS,
    ),
    Route(
        "PATCH", ENTITY_MAP, entity_maps.update_map, "5.14.2, 6.32.3.2", "updateEntityMap",
        "Update the expiry of an entity map", takes="EntityMapFragment", statuses=(204,),
    ),
    Route(
        "DELETE", ENTITY_MAP, entity_maps.delete_map, "5.14.3, 6.32.3.3", "deleteEntityMap", "Delete an entity map",
        statuses=(204,),
    ),
    # --- temporal evolutions ------------------------------------------------------------------------------------
    Route(
        "GET", f"/temporal{ENTITY}", temporal.retrieve_evolution, "5.7.3, 6.19.3.1", "retrieveTemporal",
        "Retrieve the temporal evolution of an entity", parameters=RETRIEVE_TEMPORAL, options=SYSTEM,
        formats=TEMPORAL_FORMATS, gives="EntityTemporal", produces=DOCUMENTS, statuses=(200, 206),
    ),
    Route(
        "GET", "/temporal/entities", temporal.query_evolutions, "5.7.4, 6.18.3.2", "queryTemporal",
        "Query temporal evolutions of entities", parameters=QUERY_TEMPORAL, options=SYSTEM, formats=TEMPORAL_FORMATS,
        gives="EntityTemporal[]", produces=DOCUMENTS, statuses=(200, 201, 206),
    ),
    Route(
        "POST", "/temporal/entityOperations/query", temporal.query_evolutions_by_body, "5.7.4, 6.24.3.1",
        "queryTemporalByBody", "Query temporal evolutions, the query in the body", parameters=QUERY_BY_BODY,
        options=SYSTEM, formats=TEMPORAL_FORMATS, takes="Query", gives="EntityTemporal[]", produces=DOCUMENTS,
        statuses=(200, 201, 206),
    ),
    Route(
        "POST", "/temporal/entities", temporal_provision.upsert_evolution, "5.6.11, 6.18.3.1", "upsertTemporal",
        "Create a temporal evolution, or add to the one that is there", parameters=LOCAL, takes="EntityTemporal",
        statuses=(201, 204), tenant="new",
    ),
    Route(
        "DELETE", f"/temporal{ENTITY}", temporal_provision.delete_evolution, "5.6.16, 6.19.3.2", "deleteTemporal",
        "Delete the temporal evolution of an entity", parameters=LOCAL, statuses=(204,),
    ),
    Route(
        "POST", f"/temporal{ATTRIBUTES}", temporal_provision.add_attributes, "5.6.12, 6.20.3.1", "appendAttrsTemporal",
        "Add instances of attributes to a temporal evolution", parameters=LOCAL, takes="EntityTemporalFragment",
        statuses=(204,),
    ),
    Route(
        "DELETE", f"/temporal{ATTRIBUTE}", temporal_provision.delete_attribute, "5.6.13, 6.21.3.1",
        "deleteAttrsTemporal", "Delete an attribute from a temporal evolution",
        parameters=("datasetId", "deleteAll", *LOCAL), statuses=(204,),
    ),
    Route(
        "PATCH", f"/temporal{INSTANCE}", temporal_provision.modify_instance, "5.6.14, 6.22.3.1",
        "updateAttrInstanceTemporal", "Replace an instance of an attribute in a temporal evolution", parameters=LOCAL,
        takes="Attribute", statuses=(204,),
    ),
    Route(
        "DELETE", f"/temporal{INSTANCE}", temporal_provision.delete_instance, "5.6.15, 6.22.3.2",
        "deleteAttrInstanceTemporal", "Delete an instance of an attribute from a temporal evolution", parameters=LOCAL,
        statuses=(204,),
    ),
    Route(
        "GET", "/temporal/entityMaps", temporal.create_map, "5.14.5, 6.35.3.1", "createTemporalEntityMap",
        "Create an entity map by a query for temporal evolutions", parameters=QUERY_TEMPORAL, options=SYSTEM,
        formats=TEMPORAL_FORMATS, gives="EntityMap", produces=DOCUMENTS, statuses=(201,),
    ),
    Route(
        "POST", "/temporal/entityMaps", temporal.create_map_by_body, "5.14.5, 6.35.3.2",
        "createTemporalEntityMapByBody", "Create an entity map for temporal evolutions, the query in the body",
        parameters=QUERY_BY_BODY, options=SYSTEM, formats=TEMPORAL_FORMATS, takes="Query", gives="EntityMap",
        produces=DOCUMENTS, statuses=(201,),
    ),
    # --- the broker itself --------------------------------------------------------------------------------------
    Route(
        "GET", "/info/sourceIdentity", source_identity.retrieve_source_identity, "5.15.1, 6.33.3.1",
        "retrieveContextSourceIdentity", "Retrieve the identity of this broker", gives="ContextSourceIdentity",
        produces=DOCUMENTS, tenant="any",
    ),
    # --- not offered yet: registrations -------------------------------------------------------------------------
    *(
        Route(
            method, path, unsupported.refuse, clause, operation, "Not offered yet", parameters=parameters,
            options=SYSTEM if method == "GET" or takes == "Query" else (), formats=formats, takes=takes,
            produces=DOCUMENTS if method == "GET" or takes == "Query" else (), statuses=(422,),
        )
        for method, path, clause, operation, parameters, formats, takes in (
            ("POST", "/csourceRegistrations", "5.9.2", "createRegistration", (), (), "Registration"),
            ("GET", "/csourceRegistrations", "5.10.2", "queryRegistrations", REGISTRATIONS, (), None),
            ("GET", REGISTRATION, "5.10.1", "retrieveRegistration", (), (), None),
            ("PATCH", REGISTRATION, "5.9.3", "updateRegistration", (), (), "Registration"),
            ("DELETE", REGISTRATION, "5.9.4", "deleteRegistration", (), (), None),
            ("POST", "/csourceSubscriptions", "5.11.2", "createRegistrationSubscription", (), (), "Subscription"),
            ("GET", "/csourceSubscriptions", "5.11.5", "queryRegistrationSubscriptions", PAGE, (), None),
            ("GET", REGISTRATION_SUBSCRIPTION, "5.11.4", "retrieveRegistrationSubscription", (), (), None),
            ("PATCH", REGISTRATION_SUBSCRIPTION, "5.11.3", "updateRegistrationSubscription",
             (), (), "SubscriptionFragment"),
            ("DELETE", REGISTRATION_SUBSCRIPTION, "5.11.6", "deleteRegistrationSubscription", (), (), None),
        )
    ),
)  # fmt: skip
