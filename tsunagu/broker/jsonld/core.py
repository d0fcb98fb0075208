"""The core @context of NGSI-LD v1.9 (ETSI GS CIM 009, 4.4 and annex B), stated as tables of terms.

Every term stands for an IRI of `CORE_NAMESPACE` with the term's own name, unless `_OTHER_NAMES` says otherwise.
The core is never fetched: `is_core_url` knows the published addresses of all its versions, and since it only ever
gained terms, v1.9 serves for each of them.
"""

from __future__ import annotations

import re
from typing import Any

from tsunagu.schemas.entity import CORE_NAMESPACE, DEFAULT_VOCAB

CORE_URL = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.9.jsonld"

_GEOJSON = "https://purl.org/geojson/vocab#"

_PUBLISHED = re.compile(
    r"https?://(?:"
    r"uri\.etsi\.org/ngsi-ld/v1/ngsi-ld-core-context(?:-v1\.[0-9])?\.jsonld"
    r"|uri\.etsi\.org/ngsi-ld/ngsi-ld-core-context\.jsonld"
    r"|forge\.etsi\.org/(?:rep|gitlab)/NGSI-LD/NGSI-LD/(?:-/)?raw/master/coreContext/ngsi-ld-core-context(?:-v1\.[0-9])?\.json(?:ld)?"
    r")"
)

_PLAIN = """
    Attribute AttributeList ContextSourceIdentity ContextSourceNotification ContextSourceRegistration Date DateTime
    EntityMap EntityType EntityTypeInfo EntityTypeList ExecutionResultDetails Feature FeatureCollection GeoProperty
    GeometryCollection JsonProperty LanguageProperty LineString ListProperty ListRelationship MultiLineString
    MultiPoint MultiPolygon Notification Point Polygon Property Relationship Snapshot SnapshotNotification
    Subscription TemporalProperty Time VocabProperty
    accept aggrParams aggrMethods aggrPeriodDuration attributeCount attributeDetails attrs cacheDuration collation
    containedBy contextSourceAlias contextSourceInfo contextSourceUptime cooldown csf data description detail endpoint
    entities entity entityCount entityMapLifetime error errors expandValues format geoQ geometry geoproperty georel
    idPattern information isActive join joinLevel jsonKeys jsonldContext key lang langString lastN linkedMaps localOnly
    location management managementInterval mode ngsildConformance ngsildproof notification notificationTrigger
    notifierInfo notUpdated observationInterval observationSpace omit operations operationSpace ordering pick
    previousValue properties q reason receiverInfo refreshRate registrationId registrationName resultStatus scope scopeQ
    showChanges snapshotId snapshotLifetime snapshotPriority snapshotStatus splitEntities status subscriptionName
    sysAttrs temporalQ throttling timeInterval timeout timeproperty timerel timesFailed timesSent title triggerReason
    unchanged unitCode updated uri value
"""

# What the document says of a term beyond its IRI, and the terms it says that of.
_COERCED: tuple[tuple[dict[str, str], str], ...] = (
    (
        {"@type": "DateTime"},
        """contextSourceTimeAt createdAt deletedAt endAt endTimeAt expiresAt lastFailure lastNotification lastSuccess
        lastUsedAt modifiedAt notifiedAt observedAt startAt timeAt""",
    ),
    ({"@type": "@id"}, "datasetId entityId instanceId object previousObject subscriptionId success tenant"),
    (
        {"@type": "@vocab"},
        """attributeList attributeName attributeNames attributeTypes attributes objectType previousVocab propertyNames
        relationshipNames typeList typeName typeNames valueType vocab watchedAttributes""",
    ),
    ({"@type": "@json"}, "contextSourceExtras json previousJson problemDetails"),
    (
        {"@container": "@list"},
        """avg bbox coordinates distinctCount entityList jsons languageMaps max min objectList objectLists objects
        orderBy previousObjectList previousValueList snapshotQueries snapshotQueriesDetails snapshotTemporalQueries
        snapshotTemporalQueriesDetails stddev sum sumsq totalCount valueList valueLists values vocabs""",
    ),
    ({"@container": "@language"}, "languageMap previousLanguageMap"),
    ({"@container": "@index"}, "dataset entityMap"),
    ({"@container": "@set"}, "features"),
)

_OTHER_NAMES = {
    "containedBy": "ngsi-ld:isContainedBy",
    "dataset": "ngsi-ld:hasDataset",
    "description": "http://purl.org/dc/terms/description",
    "entityMap": "ngsi-ld:hasEntityMap",
    "entityMapLifetime": "ngsi-ld:hasEntityMapLifetime",
    "joinLevel": "ngsi-ld:hasJoinLevel",
    "json": "ngsi-ld:hasJSON",
    "key": "ngsi-ld:hasKey",
    "langString": "http://www.w3.org/1999/02/22-rdf-syntax-ns#langString",
    "languageMap": "ngsi-ld:hasLanguageMap",
    "languageMaps": "ngsi-ld:hasLanguageMaps",
    "object": "ngsi-ld:hasObject",
    "objectList": "ngsi-ld:hasObjectList",
    "objectLists": "ngsi-ld:hasObjectLists",
    "objectType": "ngsi-ld:hasObjectType",
    "objects": "ngsi-ld:hasObjects",
    "previousJson": "ngsi-ld:hasPreviousJson",
    "previousLanguageMap": "ngsi-ld:hasPreviousLanguageMap",
    "previousObject": "ngsi-ld:hasPreviousObject",
    "previousObjectList": "ngsi-ld:hasPreviousObjectList",
    "previousValue": "ngsi-ld:hasPreviousValue",
    "previousValueList": "ngsi-ld:hasPreviousValueList",
    "previousVocab": "ngsi-ld:hasPreviousVocab",
    "splitEntities": "ngsi-ld:hasSplitEntities",
    "title": "http://purl.org/dc/terms/title",
    "value": "ngsi-ld:hasValue",
    "valueList": "ngsi-ld:hasValueList",
    "valueLists": "ngsi-ld:hasValueLists",
    "valueType": "ngsi-ld:hasValueType",
    "values": "ngsi-ld:hasValues",
    "vocab": "ngsi-ld:hasVocab",
    "vocabs": "ngsi-ld:hasVocabs",
} | {
    term: "geojson:" + term
    for term in (
        "Feature", "FeatureCollection", "GeometryCollection", "LineString", "MultiLineString", "MultiPoint",
        "MultiPolygon", "Point", "Polygon", "bbox", "coordinates", "features", "geometry", "properties",
    )
}  # fmt: skip

# What ngsildproof adds inside its object; elsewhere these are no members (4.5.2.2).
_PROOF_TERMS = {
    "entityIdSealed": "ngsi-ld:entityIdSealed",
    "entityTypeSealed": {"@id": "ngsi-ld:entityTypeSealed", "@type": "@vocab"},
}
_PROOF_CONTEXT = "https://w3id.org/security/data-integrity/v2"


def is_core_url(url: str) -> bool:
    """Return whether `url` is a published address of the core @context, of whatever version."""
    return _PUBLISHED.fullmatch(url) is not None


def core_document() -> dict[str, Any]:
    """Return the core @context of v1.9 as a JSON-LD document, for those who ask the broker to serve it."""
    terms: dict[str, Any] = {term: _OTHER_NAMES.get(term, "ngsi-ld:" + term) for term in _PLAIN.split()}
    for coercion, names in _COERCED:
        for term in names.split():
            terms[term] = {"@id": _OTHER_NAMES.get(term, "ngsi-ld:" + term)} | coercion
    terms["ngsildproof"] = {"@id": "ngsi-ld:ngsildproof", "@context": [_PROOF_TERMS, _PROOF_CONTEXT]}
    head: dict[str, Any] = {"@version": 1.1, "@protected": True, "ngsi-ld": CORE_NAMESPACE, "geojson": _GEOJSON}
    aliases = {"id": "@id", "type": "@type"}
    return {"@context": head | aliases | dict(sorted(terms.items())) | {"@vocab": DEFAULT_VOCAB}}


# The prefixes of the core, and the IRI (or keyword) of each of its terms.
CORE_PREFIXES = {"ngsi-ld": CORE_NAMESPACE, "geojson": _GEOJSON}
CORE_TERMS: dict[str, str] = {"id": "@id", "type": "@type"} | CORE_PREFIXES
for _term in f"{_PLAIN} {' '.join(names for _, names in _COERCED)}".split():
    _prefix, _, _name = _OTHER_NAMES.get(_term, "ngsi-ld:" + _term).partition(":")
    CORE_TERMS[_term] = CORE_PREFIXES[_prefix] + _name if _prefix in CORE_PREFIXES else f"{_prefix}:{_name}"

# Core terms that are members of an attribute, or system times, and so cannot name one (4.5.1).
STRUCTURAL_TERMS = frozenset(
    [
        "createdAt",
        "dataset",
        "datasetId",
        "deletedAt",
        "entity",
        "entityIdSealed",
        "entityList",
        "entityTypeSealed",
        "expiresAt",
        "id",
        "instanceId",
        "json",
        "languageMap",
        "modifiedAt",
        "object",
        "objectList",
        "objectType",
        "observedAt",
        "previousJson",
        "previousLanguageMap",
        "previousObject",
        "previousObjectList",
        "previousValue",
        "previousValueList",
        "previousVocab",
        "type",
        "unitCode",
        "value",
        "valueList",
        "valueType",
        "vocab",
    ]
)
