"""Notifications in the form of FIWARE NGSIv2, for receivers that know Orion and not NGSI-LD.

    {"subscriptionId": "urn:…", "data": [{"id": "…", "type": "…", NAME: {"type": T, "value": V, "metadata": {…}}}]}

An endpoint that accepts application/x-ngsiv2+json gets it, or a subscription names one of the formats of FORMS. Or, as
keyValues, {"id": "…", "type": "…", NAME: V}. What becomes of each kind of attribute is in docs/neighbour.md. The
headers are Orion's: Fiware-Service, Fiware-ServicePath, Ngsiv2-AttrsFormat, and in Fiware-Correlator the notification's
id, by which a receiver can drop a repeat.

Source: FIWARE NGSI-v2 specification (2018), "Notification Messages"; the names of the formats are Orion-LD's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from tsunagu.broker.jsonld.core import CORE_TERMS
from tsunagu.schemas.endpoint import NGSIV2
from tsunagu.schemas.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tsunagu.broker.changes import Change
    from tsunagu.broker.jsonld.context import Context
    from tsunagu.subscriptions.subscription import Subscription

SERVICE_PATH = re.compile(r"/|(/\w{1,50}){1,10}", re.ASCII)
MEMBERS = frozenset({"id", "type", "scope", "createdAt", "modifiedAt", "deletedAt", "expiresAt"})
BUILT_IN = {"createdAt": "dateCreated", "modifiedAt": "dateModified", "expiresAt": "dateExpires"}
SIMPLE = frozenset({"simplified", "keyValues"})
TIME, TEXT, STRUCTURE, NONE = "DateTime", "Text", "StructuredValue", "None"


@dataclass(frozen=True, slots=True)
class Form:
    """Which of the NGSIv2 forms: keyValues or normalized; names as the @context has them, or IRIs (`long`)."""

    key_values: bool = False
    long: bool = False


FORMS = {
    "x-ngsiv2": Form(),
    "x-ngsiv2-normalized": Form(long=True),
    "x-ngsiv2-keyValues": Form(key_values=True, long=True),
    "x-ngsiv2-normalized-compacted": Form(),
    "x-ngsiv2-keyValues-compacted": Form(key_values=True),
}


def form_of(accept: str, given: str) -> Form | None:
    """Return the form that a subscription's `accept` and `format` ask for, None for NGSI-LD."""
    form = FORMS.get(given)
    return Form(key_values=given in SIMPLE) if form is None and accept == NGSIV2 else form


def entity_of(told: dict[str, Any], form: Form, context: Context) -> dict[str, Any]:
    """Return the NGSIv2 entity of what a notification tells of one, normalized NGSI-LD with compacted names."""
    types = told.get("type", "Thing")
    kind = types if isinstance(types, str) else types[0]
    attributes: dict[str, Any] = {}
    for member, name in BUILT_IN.items():
        if member in told:
            attributes[name] = _attribute(TIME, told[member])
    for name, value in told.items():
        if name not in MEMBERS:
            attributes[_name(name, form, context)] = _converted(value, form, context)
    if "deletedAt" in told:
        attributes["alterationType"] = _attribute(TEXT, "entityDelete")
    head = {"id": told["id"], "type": _name(kind, form, context)} if "id" in told else {}
    if form.key_values:
        return head | {name: one["value"] for name, one in attributes.items()}
    return head | attributes


def _name(name: str, form: Form, context: Context) -> str:
    return context.expand_term(name) if form.long and name not in CORE_TERMS else name


def _attribute(kind: str, value: Any, metadata: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": kind, "value": value, "metadata": metadata or {}}


def _type_of(value: Any) -> str:
    """Return the NGSIv2 type that a JSON value has by itself."""
    if isinstance(value, bool):
        return "Boolean"
    if isinstance(value, int | float):
        return "Number"
    if isinstance(value, str):
        return TEXT
    return NONE if value is None else STRUCTURE


def _converted(value: Any, form: Form, context: Context) -> dict[str, Any]:
    """Return the NGSIv2 attribute of an NGSI-LD one: of several instances the default one, else the first."""
    instance = value
    if isinstance(value, list):
        instance = next((one for one in value if "datasetId" not in one), value[0])
    kind, shown = _value(instance)
    metadata: dict[str, Any] = {}
    for member, inner in instance.items():
        if member == "observedAt":
            metadata["TimeInstant"] = {"type": TIME, "value": inner}
        elif member in ("unitCode", "lang", "datasetId"):
            metadata[member] = {"type": TEXT, "value": inner}
        elif member in BUILT_IN:
            metadata[BUILT_IN[member]] = {"type": TIME, "value": inner}
        elif isinstance(inner, dict | list) and member not in _OWN:
            one = _converted(inner, form, context)
            metadata[_name(member, form, context)] = {"type": one["type"], "value": one["value"]}
    return _attribute(kind, shown, metadata)


_OWN = frozenset({"type", "valueType", "objectType", "deletedAt", *(kind.member for kind in KINDS.values())})


def _value(instance: dict[str, Any]) -> tuple[str, Any]:
    """Return NGSIv2 type and value of an instance."""
    kind = KINDS[instance["type"]]
    value = instance[kind.member]
    if kind.is_null(value):
        return NONE, None
    if kind.name in ("Relationship", "ListRelationship"):
        return "Relationship", kind.simplify(value)
    if kind.name == "GeoProperty":
        return "geo:json", value
    given = instance.get("valueType")
    if isinstance(value, dict) and "@value" in value:
        given = value.get("@type", given)
        value = value["@value"]
    if isinstance(given, str) and given != "@json":
        return given, value
    return _type_of(value), value


def headers_of(
    subscription: Subscription, form: Form, changes: Sequence[Change], identity: str
) -> tuple[tuple[str, str], ...]:
    """Return the headers of a notification; what receiverInfo gives takes the place of ours."""
    paths = ",".join(_service_path(change) for change in changes)
    ours = {
        "Content-Type": "application/json; charset=utf-8",
        "Fiware-ServicePath": paths,
        "Ngsiv2-AttrsFormat": "keyValues" if form.key_values else "normalized",
        "Fiware-Correlator": identity,
    }
    if subscription.tenant:
        ours["Fiware-Service"] = subscription.tenant
    given = dict(subscription.plan.endpoint.receiver)
    taken = {key.lower() for key in given}
    return (*((key, value) for key, value in ours.items() if key.lower() not in taken), *given.items())


def _service_path(change: Change) -> str:
    """Return the service path of an entity: its first scope, if Orion can take it for one, else the root."""
    document = change.after if change.after is not None else change.before or {}
    scope = next(iter(document.get("scope", ())), "/")
    return scope if SERVICE_PATH.fullmatch(scope) else "/"


def envelope_of(subscription: Subscription, entities: Sequence[bytes]) -> bytes:
    """Return the whole notification, entities being JSON already."""
    return b'{"subscriptionId":' + orjson.dumps(subscription.id) + b',"data":[' + b",".join(entities) + b"]}"
