"""The form of notifications (5.3.1, 5.8.6, 6.3.8), after the examples of the conformance suite (046)."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.unit.subscriptions.samples import (
    MS,
    NOW,
    creation,
    deletion,
    document,
    removal,
    stored,
    subscription,
    update,
)
from tsunagu.broker.changes import Change
from tsunagu.broker.jsonld.context import CORE, Context
from tsunagu.broker.operations import patch
from tsunagu.schemas.times import format_ms
from tsunagu.subscriptions.courier import rendered
from tsunagu.subscriptions.job import notification_id
from tsunagu.subscriptions.notification import envelope, headers, told_entity, without_previous

NULL = "urn:ngsi-ld:null"
STREET = {"type": "LanguageProperty", "languageMap": {"fr": "Grand Place", "nl": "Grote Markt"}}
PLACE = {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [-8.5, 41.2]}}
CITY = {"type": "Relationship", "object": "urn:x:Paris"}
NAMES = [
    {"type": "Property", "value": "Eiffel Tower"},
    {"type": "Property", "value": "Eiffelturm", "datasetId": "urn:d:de"},
    {"type": "Property", "value": "Tour Eiffel", "datasetId": "urn:d:fr"},
]
TOWER = document(name="Eiffel Tower", street=STREET, location=PLACE, locatedAt=CITY)
CREATED, LATER = format_ms(NOW), format_ms(NOW + MS)


def told(change: Change, **members: Any) -> dict[str, Any]:
    """Return the entity as a subscription is told of it; members that start with "n_" belong to its notification.

    A subscription that does not ask for previous values is told the same of what waits for its endpoint.
    """
    notification = {key[2:]: members.pop(key) for key in list(members) if key.startswith("n_")}
    one = subscription(notification=notification, **members)
    entity = told_entity(change, one, CORE)
    if not one.plan.show_changes:
        assert told_entity(without_previous(change), one, CORE) == entity
    return entity


def test_what_waits_for_an_endpoint_has_the_document_before_only_where_it_is_told() -> None:
    """Of an update nothing is needed of what was there before; of a removal and of a deletion it is."""
    changed = update(TOWER, name={"type": "Property", "value": "La dame de fer"})
    assert without_previous(changed) == changed._replace(before=None)
    for change in (removal(TOWER, "name"), deletion(TOWER), creation(TOWER)):
        assert without_previous(change) is change


def test_a_removed_property_is_a_null() -> None:
    """A deleted attribute stands in the entity as an NGSI-LD Null of its kind (046_22_04)."""
    assert told(removal(TOWER, "name"))["name"] == {"type": "Property", "value": NULL}


def test_a_removed_relationship_and_language_property() -> None:
    """Each kind has its own null (046_22_10, 046_22_11)."""
    assert told(removal(TOWER, "locatedAt"))["locatedAt"] == {"type": "Relationship", "object": NULL}
    assert told(removal(TOWER, "street"))["street"] == {"type": "LanguageProperty", "languageMap": {"@none": NULL}}
    assert told(removal(TOWER, "location"))["location"] == {"type": "GeoProperty", "value": NULL}


@pytest.mark.parametrize("form", ["keyValues", "simplified", "concise"])
@pytest.mark.parametrize("name", ["name", "street", "locatedAt", "location"])
def test_a_removed_attribute_is_a_bare_null_in_short_forms(form: str, name: str) -> None:
    """Unless more is to be told, only the name and the null URI stand there (046_22_01)."""
    assert told(removal(TOWER, name), n_format=form)[name] == NULL


def test_a_removed_attribute_with_system_attributes() -> None:
    """With sysAttrs a deleted attribute has its times, deletedAt among them (046_22_05)."""
    assert told(removal(TOWER, "name"), n_sysAttrs=True)["name"] == {
        "type": "Property",
        "value": NULL,
        "createdAt": CREATED,
        "modifiedAt": CREATED,
        "deletedAt": LATER,
    }


def test_a_removed_instance_keeps_its_dataset() -> None:
    """Of an attribute with several instances only the deleted one is a null, with its datasetId (046_22_06)."""
    shown = told(removal(document(name=NAMES), "name", dataset_id="urn:d:fr"))["name"]
    assert shown == [*NAMES[:2], {"type": "Property", "value": NULL, "datasetId": "urn:d:fr"}]


def test_a_removed_instance_in_simplified_form() -> None:
    """The simplified form tells the datasets apart (046_22_07)."""
    shown = told(removal(document(name=NAMES), "name", dataset_id="urn:d:fr"), n_format="keyValues")["name"]
    assert shown == {"dataset": {"@none": "Eiffel Tower", "urn:d:de": "Eiffelturm", "urn:d:fr": NULL}}


def test_a_deleted_entity_is_told_briefly() -> None:
    """Of a deleted entity only id, type and deletedAt are told (046_21_01)."""
    shown = told(deletion(TOWER), notificationTrigger=["entityDeleted"], n_format="keyValues")
    assert shown == {"id": "urn:x:a", "type": "River", "deletedAt": LATER}


def test_a_deleted_entity_with_system_attributes() -> None:
    """With sysAttrs createdAt and modifiedAt are told as well (046_21_02)."""
    shown = told(deletion(TOWER), notificationTrigger=["entityDeleted"], n_sysAttrs=True)
    assert shown == {"id": "urn:x:a", "type": "River", "createdAt": CREATED, "modifiedAt": CREATED, "deletedAt": LATER}


def test_a_deleted_entity_told_to_who_watches_attributes() -> None:
    """Who waits for the deletion of attributes is told of those watched that went with the entity (046_22_12)."""
    shown = told(deletion(TOWER), notificationTrigger=["attributeDeleted"], watchedAttributes=["name"])
    assert shown == {
        "id": "urn:x:a",
        "type": "River",
        "deletedAt": LATER,
        "name": {"type": "Property", "value": NULL},
    }


def test_a_deleted_entity_with_changes_shown() -> None:
    """With showChanges all that went is told (046_37)."""
    shown = told(deletion(TOWER), notificationTrigger=["entityDeleted"], n_showChanges=True)
    assert shown == {
        "id": "urn:x:a",
        "type": "River",
        "deletedAt": LATER,
        "name": {"type": "Property", "value": NULL, "previousValue": "Eiffel Tower"},
        "street": {
            "type": "LanguageProperty",
            "languageMap": {"@none": NULL},
            "previousLanguageMap": STREET["languageMap"],
        },
        "location": {"type": "GeoProperty", "value": NULL, "previousValue": PLACE["value"]},
        "locatedAt": {"type": "Relationship", "object": NULL, "previousObject": "urn:x:Paris"},
    }


@pytest.mark.parametrize(
    ("name", "new", "previous"),
    [
        ("name", {"type": "Property", "value": "Tour"}, {"previousValue": "Eiffel Tower"}),
        (
            "street",
            {"type": "LanguageProperty", "languageMap": {"fr": "G", "es": "P"}},
            {"previousLanguageMap": STREET["languageMap"]},
        ),
        ("locatedAt", {"type": "Relationship", "object": "urn:x:Nantes"}, {"previousObject": "urn:x:Paris"}),
        (
            "location",
            {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [13.4, 52.5]}},
            {"previousValue": PLACE["value"]},
        ),
    ],
)
def test_a_changed_attribute_shows_its_previous_value(name: str, new: dict[str, Any], previous: dict[str, Any]) -> None:
    """With showChanges a changed attribute has its value before, and the others do not (046_31)."""
    shown = told(update(TOWER, **{name: new}), n_showChanges=True)
    assert shown[name] == new | previous
    assert [other for other in shown.values() if "previous" in str(other)] == [new | previous]


def test_changed_json_and_vocabulary() -> None:
    """JsonProperty and VocabProperty have previous values of their own, terms compacted (046_32, 046_33)."""
    before = document(
        extra={"type": "JsonProperty", "json": {"id": 1, "null": None}},
        kind={"type": "VocabProperty", "vocab": "monument"},
    )
    change = update(
        before, extra={"type": "JsonProperty", "json": {"a": 2}}, kind={"type": "VocabProperty", "vocab": "museum"}
    )
    shown = told(change, n_showChanges=True)
    assert shown["extra"] == {"type": "JsonProperty", "json": {"a": 2}, "previousJson": {"id": 1, "null": None}}
    assert shown["kind"] == {"type": "VocabProperty", "vocab": "museum", "previousVocab": "monument"}


def test_a_created_attribute_has_no_previous_value() -> None:
    """A creation has nothing before it (046_40, 046_41)."""
    assert "previous" not in str(told(creation(TOWER), n_showChanges=True))
    assert "previous" not in str(told(update(TOWER, height=330), n_showChanges=True))


def test_a_concise_value_makes_room_for_the_previous_one() -> None:
    """In concise form a changed value becomes an object that holds both."""
    shown = told(update(TOWER, name="Tour"), n_showChanges=True, n_format="concise")
    assert shown["name"] == {"value": "Tour", "previousValue": "Eiffel Tower"}


def test_attributes_pick_and_omit() -> None:
    """Attributes leaves id and type; pick takes just what it names; omit takes away (046_42, 046_43)."""
    change = update(TOWER, name="Tour")
    assert set(told(change, n_attributes=["name"])) == {"id", "type", "name"}
    assert set(told(change, n_pick=["id", "name"])) == {"id", "name"}
    assert set(told(change, n_omit=["type", "name"])) == {"id", "street", "location", "locatedAt"}


def test_datasets_and_language() -> None:
    """DatasetId selects instances, lang a language (046_19)."""
    assert told(creation(document(name=NAMES)), datasetId=["urn:d:fr"])["name"] == NAMES[2]
    assert told(creation(TOWER), lang="nl")["street"]["value"] == "Grote Markt"


def test_the_envelope() -> None:
    """A notification has id, type, subscriptionId, notifiedAt and data (5.3.1)."""
    one = subscription(id="urn:s:1")
    change = creation(TOWER)
    identity = notification_id([change], one.id)
    body = orjson.loads(envelope(one, identity, [rendered(change, None, one, CORE)] * 2, CORE))
    assert body.pop("notifiedAt").endswith("Z")
    assert body == {
        "id": identity,
        "type": "Notification",
        "subscriptionId": "urn:s:1",
        "data": [told_entity(change, one, CORE)] * 2,
    }


MINE = Context("https://c.example/c.jsonld", url="https://c.example/c.jsonld")
LINK = '<https://c.example/c.jsonld>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'


def sent(
    accept: str | None = None, receiver: list[dict[str, str]] | None = None
) -> tuple[dict[str, str], dict[str, Any]]:
    """Return headers and body of a notification."""
    endpoint: dict[str, Any] = {"receiverInfo": receiver or []}
    if accept is not None:
        endpoint["accept"] = accept
    one = subscription(tenant="ward", endpoint=endpoint)
    entity = rendered(creation(TOWER), None, one, MINE)
    return dict(headers(one, MINE)), orjson.loads(envelope(one, "urn:n:1", [entity], MINE))


def test_json_has_a_link() -> None:
    """JSON, the default, has the @context in a Link header and not in the body (046_10)."""
    head, body = sent()
    assert head == {"Content-Type": "application/json", "Link": LINK, "NGSILD-Tenant": "ward"}
    assert "@context" not in str(body)


def test_json_ld_has_the_context_in_the_entities() -> None:
    """JSON-LD has the @context in each entity and no Link header (046_14)."""
    head, body = sent("application/ld+json")
    assert head == {"Content-Type": "application/ld+json", "NGSILD-Tenant": "ward"}
    assert body["data"][0]["@context"] == "https://c.example/c.jsonld"


def test_geojson_is_a_feature_collection() -> None:
    """GeoJSON has a FeatureCollection with the @context in it (5.3.1)."""
    head, body = sent("application/geo+json")
    assert head == {"Content-Type": "application/geo+json", "NGSILD-Tenant": "ward"}
    assert body["data"]["type"] == "FeatureCollection"
    assert body["data"]["@context"] == "https://c.example/c.jsonld"
    (feature,) = body["data"]["features"]
    assert feature["geometry"] == PLACE["value"]
    assert feature["properties"]["name"] == {"type": "Property", "value": "Eiffel Tower"}


def test_geojson_without_context() -> None:
    """With Prefer: body=json in receiverInfo the @context of GeoJSON is in a Link header (6.3.8)."""
    head, body = sent("application/geo+json", [{"key": "Prefer", "value": "body=json"}])
    assert head["Link"] == LINK
    assert head["Prefer"] == "body=json"
    assert "@context" not in body["data"]


def test_a_deleted_entity_as_geojson() -> None:
    """A deleted entity is a Feature without geometry that has deletedAt among its properties."""
    shown = told(deletion(TOWER), notificationTrigger=["entityDeleted"], endpoint={"accept": "application/geo+json"})
    assert shown == {
        "id": "urn:x:a",
        "type": "Feature",
        "geometry": None,
        "properties": {"type": "River", "deletedAt": LATER},
    }


def test_receiver_info_becomes_headers_but_does_not_replace_ours() -> None:
    """Pairs of receiverInfo become headers (046_09); those that we must set ourselves stay ours."""
    head, _ = sent(None, [{"key": "X-Extra", "value": "1"}, {"key": "content-type", "value": "text/plain"}])
    assert head["X-Extra"] == "1"
    assert head["Content-Type"] == "application/json"
    assert "content-type" not in head


def test_the_id_follows_from_changes_and_subscription() -> None:
    """A repeat has the same id; other changes, another grouping or another subscription have another one."""
    one, other = creation(TOWER), update(TOWER, name="Tour")
    assert notification_id([one], "urn:s:1") == notification_id([one], "urn:s:1")
    ids = {notification_id(changes, to) for changes in ([one], [other], [one, other]) for to in ("urn:s:1", "urn:s:2")}
    assert len(ids) == 6


def test_alike_subscriptions_share_the_rendering() -> None:
    """What two subscriptions see alike is rendered once; what they see differently is not shared."""
    shared: dict[object, bytes] = {}
    change = creation(TOWER)
    first = rendered(change, shared, subscription(), CORE)
    assert rendered(change, shared, subscription(), CORE) is first
    assert rendered(change, shared, subscription(notification={"format": "concise"}), CORE) != first
    assert rendered(change, shared, subscription(endpoint={"accept": "application/ld+json"}), CORE) != first


def test_an_attribute_deleted_with_all_instances_is_one_null() -> None:
    """When all instances of an attribute go, one null stands for them (046_22_08); with showChanges each is told."""
    before = document(name=NAMES)
    outcome = patch.delete_attribute(before, before["_id"], stored("name"), NOW + MS, delete_all=True)
    change = Change("", "w", 4, before["_id"], "updated", NOW + MS, before, outcome.after, outcome.touched)
    assert told(change)["name"] == {"type": "Property", "value": NULL}
    assert told(change, n_format="keyValues")["name"] == NULL
    assert [one["previousValue"] for one in told(change, n_showChanges=True)["name"]] == [
        "Eiffel Tower",
        "Eiffelturm",
        "Tour Eiffel",
    ]
    assert told(change, datasetId=["urn:d:fr"])["name"] == {"type": "Property", "value": NULL, "datasetId": "urn:d:fr"}
