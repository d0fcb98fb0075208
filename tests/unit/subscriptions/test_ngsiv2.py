"""Notifications in the form of NGSIv2: what each kind becomes, and the headers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tests.unit.subscriptions.rig import value
from tests.unit.subscriptions.samples import NOW, creation, deletion, document, removal, subscription
from tsunagu.broker.changes import Change
from tsunagu.broker.jsonld.context import CORE
from tsunagu.broker.operations.subscription_form import new_entry
from tsunagu.schemas.endpoint import NGSIV2
from tsunagu.schemas.times import format_ms
from tsunagu.subscriptions.courier import rendered
from tsunagu.subscriptions.ngsiv2 import headers_of

if TYPE_CHECKING:
    from tests.unit.subscriptions.receiver import Receiver
    from tests.unit.subscriptions.rig import Rig

POINT = {"type": "Point", "coordinates": [134.8, 34.7]}
KINDS: list[tuple[dict[str, Any], str, Any]] = [
    ({"type": "Property", "value": 2.5}, "Number", 2.5),
    ({"type": "Property", "value": True}, "Boolean", True),
    ({"type": "Property", "value": "high"}, "Text", "high"),
    ({"type": "Property", "value": {"a": 1}}, "StructuredValue", {"a": 1}),
    ({"type": "Property", "value": [1, 2]}, "StructuredValue", [1, 2]),
    (
        {"type": "Property", "value": {"@type": "DateTime", "@value": "2026-07-18T19:10:00Z"}},
        "DateTime",
        "2026-07-18T19:10:00Z",
    ),
    ({"type": "GeoProperty", "value": POINT}, "geo:json", POINT),
    ({"type": "Relationship", "object": "urn:x:b"}, "Relationship", "urn:x:b"),
    ({"type": "Relationship", "object": ["urn:x:b", "urn:x:c"]}, "Relationship", ["urn:x:b", "urn:x:c"]),
    ({"type": "ListRelationship", "objectList": ["urn:x:b"]}, "Relationship", ["urn:x:b"]),
    ({"type": "ListProperty", "valueList": [1, 2]}, "StructuredValue", [1, 2]),
    ({"type": "LanguageProperty", "languageMap": {"ja": "川"}}, "StructuredValue", {"ja": "川"}),
    ({"type": "VocabProperty", "vocab": "open"}, "Text", "open"),
    ({"type": "JsonProperty", "json": {"raw": None}}, "StructuredValue", {"raw": None}),
]


def told(change: Change, form: str = "x-ngsiv2", **members: Any) -> dict[str, Any]:
    """Return the entity as a subscription is told of it; members that start with "n_" belong to its notification."""
    notification = {key[2:]: members.pop(key) for key in list(members) if key.startswith("n_")}
    one = subscription(notification={"format": form, **notification}, **members)
    found: dict[str, Any] = orjson.loads(rendered(change, None, one, CORE))
    return found


@pytest.mark.parametrize(("given", "kind", "shown"), KINDS)
def test_each_kind_has_its_type(given: dict[str, Any], kind: str, shown: Any) -> None:
    """Each kind of attribute becomes an NGSIv2 attribute of the type that Orion has for it; as keyValues its value."""
    change = creation(document(level=given))
    assert told(change)["level"] == {"type": kind, "value": shown, "metadata": {}}
    assert told(change, "x-ngsiv2-keyValues-compacted") == {"id": "urn:x:a", "type": "River", "level": shown}


def test_what_is_about_an_attribute_is_metadata() -> None:
    """ObservedAt becomes TimeInstant; unit and sub-attributes are metadata with a type; system times are built-ins."""
    level = {
        "type": "Property",
        "value": 2,
        "unitCode": "MTR",
        "observedAt": "2026-07-18T19:10:00Z",
        "accuracy": {"type": "Property", "value": 0.1},
    }
    shown = told(creation(document(level=level)), n_sysAttrs=True)
    moment = {"type": "DateTime", "value": format_ms(NOW)}
    assert shown["dateCreated"] == shown["dateModified"] == {**moment, "metadata": {}}
    assert shown["level"]["metadata"] == {
        "unitCode": {"type": "Text", "value": "MTR"},
        "TimeInstant": {"type": "DateTime", "value": "2026-07-18T19:10:00Z"},
        "accuracy": {"type": "Number", "value": 0.1},
        "dateCreated": moment,
        "dateModified": moment,
    }


def test_of_several_instances_the_default_one() -> None:
    """NGSIv2 has one value of an attribute: that of the default instance."""
    both = [
        {"type": "Property", "value": 1},
        {"type": "Property", "value": 2, "datasetId": "urn:d:b"},
    ]
    assert told(creation(document(level=both)))["level"]["value"] == 1
    chosen = told(creation(document(level=both)), datasetId=["urn:d:b"])["level"]
    assert (chosen["value"], chosen["metadata"]) == (2, {"datasetId": {"type": "Text", "value": "urn:d:b"}})


def test_what_was_deleted() -> None:
    """A deleted attribute is of the type None; a deleted entity says so in alterationType."""
    before = document(level=1)
    assert told(removal(before, "level"))["level"] == {"type": "None", "value": None, "metadata": {}}
    gone = told(deletion(before))
    assert gone == {
        "id": "urn:x:a",
        "type": "River",
        "alterationType": {"type": "Text", "value": "entityDelete", "metadata": {}},
    }


def test_long_names() -> None:
    """The formats without -compacted have IRIs for names, but for those of the core @context, as in Orion-LD."""
    shown = told(creation(document(level=1, location={"type": "GeoProperty", "value": POINT})), "x-ngsiv2-normalized")
    start = "https://uri.etsi.org/ngsi-ld/default-context/"
    assert set(shown) == {"id", "type", "location", start + "level"}
    assert shown["type"] == start + "River"


@pytest.mark.parametrize(
    ("scope", "path"),
    [(None, "/"), (["/kobe/port"], "/kobe/port"), (["/a", "/b"], "/a"), (["/a-b"], "/"), (["/" + "x" * 51], "/")],
)
def test_the_service_path_is_the_scope(scope: list[str] | None, path: str) -> None:
    """Fiware-ServicePath has an entity's first scope, or the root if Orion could not take it."""
    after = {**document(level=1), **({"scope": scope} if scope else {})}
    one = subscription("kobe", notification={"format": "x-ngsiv2"})
    assert one.plan.ngsiv2 is not None
    headers = dict(headers_of(one, one.plan.ngsiv2, [creation(after)] * 2, "urn:n:1"))
    assert headers["Fiware-ServicePath"] == f"{path},{path}"
    assert (headers["Fiware-Service"], headers["Ngsiv2-AttrsFormat"]) == ("kobe", "normalized")


@pytest.mark.parametrize(
    ("form", "level"), [("normalized", {"type": "Number", "value": 1, "metadata": {}}), ("keyValues", 1)]
)
def test_what_an_endpoint_accepts(form: str, level: Any) -> None:
    """An endpoint that accepts NGSIv2 gets it, normalized or as key and value as `format` says."""
    shown = told(creation(document(level=1)), form, n_endpoint={"uri": "http://far.example/", "accept": NGSIV2})
    assert shown == {"id": "urn:x:a", "type": "River", "level": level}


async def test_a_whole_notification(rig: Rig, receiver: Receiver) -> None:
    """A notification is Orion's envelope and nothing else, with Orion's headers; receiverInfo replaces them."""
    info = [{"key": "fiware-servicepath", "value": "/kobe"}]
    subscribed = await rig.subscribe(
        receiver.url(), notification={"format": "x-ngsiv2-keyValues-compacted"}, endpoint={"receiverInfo": info}
    )
    await rig.create("a", level=value(1))
    await receiver.wait(1)
    _, headers, body = receiver.got[0]
    assert body == {"subscriptionId": subscribed, "data": [{"id": "urn:x:a", "type": "River", "level": 1}]}
    lower = {name.lower(): text for name, text in headers.items()}
    assert lower["fiware-servicepath"] == "/kobe"
    assert lower["ngsiv2-attrsformat"] == "keyValues"
    assert lower["fiware-correlator"].startswith("urn:ngsi-ld:Notification:")
    assert "link" not in lower


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"showChanges": True}, "showChanges"),
        ({"join": "inline"}, "join"),
        ({"endpoint": {"uri": "http://192.0.2.1/", "accept": "application/ld+json"}}, "endpoint.accept"),
        ({"endpoint": {"uri": "http://192.0.2.1/", "accept": NGSIV2}, "format": "concise", "join": "flat"}, "join"),
    ],
)
def test_what_it_cannot_have(change: dict[str, Any], named: str) -> None:
    """What NGSIv2 has no place for is refused when the subscription is created."""
    notification = {"endpoint": {"uri": "http://192.0.2.1/"}, "format": "x-ngsiv2", **change}
    body = {"type": "Subscription", "entities": [{"type": "River"}], "notification": notification}
    with pytest.raises(Exception, match=named):
        new_entry(body, CORE, now=NOW)
