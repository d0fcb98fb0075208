"""What is shown of an entity: format by format, and what a client picks."""

from __future__ import annotations

from copy import deepcopy

import pytest

from tests.unit.broker.jsonld.contexts import CITY
from tests.unit.broker.representations.stored import POINT, document_of, name_of
from tsunagu.broker.jsonld.context import CORE
from tsunagu.broker.representations import View, geojson_collection

CAR = document_of(
    {
        "speed": {"type": "Property", "value": 55, "unitCode": "KMH", "observedAt": "2026-07-18T19:00:00Z"},
        "location": {"type": "GeoProperty", "value": POINT},
        "isParked": {"object": "urn:ngsi-ld:Parking:1", "objectType": "Building"},
        "category": {"vocab": "nonCommercial"},
        "route": {"objectList": ["urn:a:1", "urn:a:2"]},
        "brandName": {"languageMap": {"en": "Cat", "fr": "Chat"}},
    }
)
INSTANCES = document_of(
    {
        "speed": [{"value": 55}, {"value": 11, "datasetId": "urn:d:gps"}, {"value": 12, "datasetId": "urn:d:eye"}],
        "brandName": {"value": "X", "datasetId": "urn:d:gps"},
        "category": 5,
    }
)


def show(document, context=CITY, **options):
    return View(**options).render(document, context)


def test_the_normalized_form():
    """4.5.1: all members, names as the context has them, system times left out."""
    assert show(CAR) == {
        "id": "urn:ngsi-ld:Car:1",
        "type": "Vehicle",
        "speed": {"type": "Property", "value": 55, "unitCode": "KMH", "observedAt": "2026-07-18T19:00:00Z"},
        "location": {"type": "GeoProperty", "value": POINT},
        "isParked": {"type": "Relationship", "object": "urn:ngsi-ld:Parking:1", "objectType": "Building"},
        "category": {"type": "VocabProperty", "vocab": "nonCommercial"},
        "route": {"type": "ListRelationship", "objectList": [{"object": "urn:a:1"}, {"object": "urn:a:2"}]},
        "brandName": {"type": "LanguageProperty", "languageMap": {"en": "Cat", "fr": "Chat"}},
    }


def test_the_concise_form():
    """4.5.2.3 ff and 6.3.7: the most concise lossless representation, without types."""
    assert show(CAR, format="concise") == {
        "id": "urn:ngsi-ld:Car:1",
        "type": "Vehicle",
        "speed": {"value": 55, "unitCode": "KMH", "observedAt": "2026-07-18T19:00:00Z"},
        "location": POINT,
        "isParked": {"object": "urn:ngsi-ld:Parking:1", "objectType": "Building"},
        "category": {"vocab": "nonCommercial"},
        "route": {"objectList": ["urn:a:1", "urn:a:2"]},
        "brandName": {"languageMap": {"en": "Cat", "fr": "Chat"}},
    }


def test_the_simplified_form():
    """4.5.4: values alone, some kinds wrapped."""
    assert show(CAR, format="simplified") == {
        "id": "urn:ngsi-ld:Car:1",
        "type": "Vehicle",
        "speed": 55,
        "location": POINT,
        "isParked": "urn:ngsi-ld:Parking:1",
        "category": {"vocab": "nonCommercial"},
        "route": ["urn:a:1", "urn:a:2"],
        "brandName": {"languageMap": {"en": "Cat", "fr": "Chat"}},
    }


def test_another_context_gives_other_names():
    """5.5.7: names are compacted by the context of the request; without a term they are full."""
    shown = show(document_of({"speed": {"value": 1, "accuracy": 2}, "category": {"vocab": "nonCommercial"}}), CORE)
    assert shown["type"] == "http://example.org/Vehicle"
    assert shown["http://example.org/speed"]["http://example.org/accuracy"] == {"type": "Property", "value": 2}
    assert shown["http://example.org/category"]["vocab"] == "http://vocab.example/non-commercial"


def test_several_types_and_scopes_are_arrays():
    """4.5.1: one is a string, several are an array."""
    shown = show(document_of({"type": ["Vehicle", "Building"], "scope": ["/a", "/b"]}))
    assert shown["type"] == ["Vehicle", "Building"]
    assert shown["scope"] == ["/a", "/b"]
    assert show(document_of({"scope": ["/a"]}))["scope"] == "/a"


@pytest.mark.parametrize(
    "options", [{}, {"format": "concise"}, {"format": "simplified"}, {"sys_attrs": True}, {"geojson": True}]
)
def test_showing_alters_nothing(options):
    """A document is shared: whatever is made of it, it stays as it is."""
    document = document_of(
        {
            "speed": [{"value": 1, "accuracy": 2}, {"value": 2, "datasetId": "urn:d:1"}],
            "brandName": {"languageMap": {"en": "x"}},
        }
    )
    before = deepcopy(document)
    show(document, **options)
    assert document == before


def test_system_times_are_shown_on_demand():
    """6.3.11: createdAt, modifiedAt and expiresAt, of the entity and of every attribute at any depth."""
    body = {
        "expiresAt": "2100-01-01T00:00:00Z",
        "speed": {"value": 1, "accuracy": 2, "expiresAt": "2099-01-01T00:00:00Z"},
    }
    shown = show(document_of(body, now=1000), sys_attrs=True)
    assert shown == {
        "id": "urn:ngsi-ld:Car:1",
        "type": "Vehicle",
        "createdAt": "1970-01-01T00:00:01.000Z",
        "modifiedAt": "1970-01-01T00:00:01.005Z",
        "expiresAt": "2100-01-01T00:00:00Z",
        "speed": {
            "type": "Property",
            "value": 1,
            "accuracy": {
                "type": "Property",
                "value": 2,
                "createdAt": "1970-01-01T00:00:01.000Z",
                "modifiedAt": "1970-01-01T00:00:01.000Z",
            },
            "createdAt": "1970-01-01T00:00:01.000Z",
            "modifiedAt": "1970-01-01T00:00:01.000Z",
            "expiresAt": "2099-01-01T00:00:00Z",
        },
    }


@pytest.mark.parametrize("form", ["normalized", "concise", "simplified"])
def test_an_expiry_is_a_system_time(form):
    """6.3.11: without sysAttrs, expiresAt is shown nowhere."""
    body = {"expiresAt": "2100-01-01T00:00:00Z", "speed": {"value": 1, "expiresAt": "2100-01-01T00:00:00Z"}}
    assert "expiresAt" not in str(show(document_of(body), format=form))


def test_concise_with_system_times():
    """6.3.11 holds for every representation that has room for them."""
    shown = show(document_of({"speed": 5}, now=1000), format="concise", sys_attrs=True)
    assert shown["speed"] == {
        "value": 5,
        "createdAt": "1970-01-01T00:00:01.000Z",
        "modifiedAt": "1970-01-01T00:00:01.000Z",
    }


def test_simplified_with_system_times_has_those_of_the_entity():
    """4.5.4 leaves no room for the times of attributes."""
    shown = show(document_of({"speed": 5}, now=1000), format="simplified", sys_attrs=True)
    assert shown["createdAt"] == "1970-01-01T00:00:01.000Z"
    assert shown["speed"] == 5


def test_several_instances_are_an_array():
    """4.5.5: the instances of an attribute, the default one without datasetId."""
    assert show(INSTANCES)["speed"] == [
        {"type": "Property", "value": 55},
        {"type": "Property", "value": 11, "datasetId": "urn:d:gps"},
        {"type": "Property", "value": 12, "datasetId": "urn:d:eye"},
    ]


def test_a_concise_value_that_could_be_read_as_metadata_is_wrapped():
    """4.5.2.3: a value that has a member such as unitCode stays in `value`, so that it can be read back."""
    value = {"unitCode": "KMH", "n": 55}
    assert show(document_of({"speed": {"value": value}}), format="concise")["speed"] == {"value": value}


def test_several_concise_instances_are_objects():
    """4.5.2.3: in an array, each instance is an object with its value member."""
    assert show(INSTANCES, format="concise")["speed"] == [
        {"value": 55},
        {"value": 11, "datasetId": "urn:d:gps"},
        {"value": 12, "datasetId": "urn:d:eye"},
    ]


def test_several_simplified_instances_are_a_dataset():
    """4.5.4: by datasetId, the default instance under @none."""
    shown = show(INSTANCES, format="simplified")
    assert shown["speed"] == {"dataset": {"@none": 55, "urn:d:gps": 11, "urn:d:eye": 12}}
    assert shown["brandName"] == "X"


@pytest.mark.parametrize(
    ("dataset_ids", "speed", "others"),
    [
        (("@none",), {"type": "Property", "value": 55}, {"category"}),
        (("urn:d:gps",), {"type": "Property", "value": 11, "datasetId": "urn:d:gps"}, {"brandName"}),
        (("urn:d:none",), None, set()),
    ],
)
def test_instances_are_chosen_by_dataset_id(dataset_ids, speed, others):
    """4.5.5: only instances that match are returned, and no attribute without one."""
    shown = show(INSTANCES, dataset_ids=dataset_ids)
    assert shown.pop("speed", None) == speed
    assert shown.keys() - {"id", "type"} == others


def test_the_times_of_chosen_instances_are_their_own():
    """6.3.11: the system times follow the instances."""
    document = document_of(
        {"speed": [{"value": 1}, {"value": 2, "datasetId": "urn:d:2"}, {"value": 3, "datasetId": "urn:d:3"}]}
    )
    document["sys"][name_of("speed")][2]["m"] = 7
    shown = show(document, dataset_ids=("@none", "urn:d:3"), sys_attrs=True)
    assert [one["modifiedAt"][:4] for one in shown["speed"]] == ["2026", "1970"]


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        ({"pick": {name_of("speed"): None}}, {"speed"}),
        ({"pick": {"id": None, name_of("speed"): None}}, {"id", "speed"}),
        ({"pick": {"type": None, "scope": None}}, {"type", "scope"}),
        ({"pick": {name_of("nothing"): None}}, set()),
        ({"omit": {name_of("speed"): None}}, {"id", "type", "scope", "location"}),
        ({"omit": {"id": None, "scope": None, name_of("location"): None}}, {"type", "speed"}),
        ({"omit": {name_of("speed"): {"id": None}}}, {"id", "type", "scope", "speed", "location"}),
        ({"attrs": frozenset({name_of("speed")})}, {"id", "type", "scope", "speed"}),
        ({"attrs": frozenset()}, {"id", "type", "scope"}),
        ({"pick": {"createdAt": None}, "sys_attrs": True}, {"createdAt"}),
        ({"omit": {"createdAt": None}, "sys_attrs": True}, {"id", "type", "scope", "modifiedAt", "speed", "location"}),
    ],
)
@pytest.mark.parametrize("form", ["normalized", "concise", "simplified"])
def test_members_are_picked_and_omitted(form, options, keys):
    """4.21: pick and omit name attributes and members of the entity; attrs names attributes."""
    document = document_of({"speed": 1, "location": POINT, "scope": "/a"})
    assert show(document, format=form, **options).keys() == keys


def test_a_feature():
    """4.5.16.2: the entity as a GeoJSON Feature, its type and attributes as properties."""
    assert show(document_of({"speed": 1, "location": POINT}), geojson=True) == {
        "id": "urn:ngsi-ld:Car:1",
        "type": "Feature",
        "geometry": POINT,
        "properties": {
            "type": "Vehicle",
            "speed": {"type": "Property", "value": 1},
            "location": {"type": "GeoProperty", "value": POINT},
        },
    }


def test_a_simplified_feature():
    """4.5.17.1: the properties are simplified."""
    shown = show(document_of({"speed": 1, "location": POINT}), geojson=True, format="simplified")
    assert shown["geometry"] == POINT
    assert shown["properties"] == {"type": "Vehicle", "speed": 1, "location": POINT}


OTHER = {"type": "Point", "coordinates": [1, 2]}


@pytest.mark.parametrize(
    ("body", "options", "geometry"),
    [
        ({"location": POINT, "area": OTHER}, {"geometry_property": name_of("area")}, OTHER),
        ({"location": POINT, "area": 5}, {"geometry_property": name_of("area")}, None),
        ({"location": POINT}, {"geometry_property": name_of("area")}, None),
        ({}, {}, None),
        ({"location": [{"value": OTHER, "datasetId": "urn:d:1"}, {"value": POINT}]}, {}, POINT),
        (
            {"location": [{"value": OTHER, "datasetId": "urn:d:1"}, {"value": POINT}]},
            {"dataset_ids": ("urn:d:1",)},
            OTHER,
        ),
        (
            {"location": [{"value": OTHER, "datasetId": "urn:d:1"}, {"value": POINT, "datasetId": "urn:d:2"}]},
            {},
            None,
        ),
        ({"location": POINT}, {"dataset_ids": ("urn:d:1",)}, None),
        ({"location": POINT, "speed": 1}, {"attrs": frozenset({name_of("speed")})}, POINT),
    ],
)
def test_the_geometry_of_a_feature_is_selected(body, options, geometry):
    """4.5.16.1: location or the named GeoProperty, its default instance or the one of the datasetId, else null."""
    assert show(document_of(body), geojson=True, **options)["geometry"] == geometry


def test_features_make_a_collection():
    """4.5.16.3: features without @context of their own in a FeatureCollection."""
    feature = show(document_of({}), geojson=True)
    assert geojson_collection([feature]) == {"type": "FeatureCollection", "features": [feature]}


@pytest.mark.parametrize("geojson", [False, True])
def test_the_language_filter_makes_properties(geojson):
    """4.15: one text instead of the map, and which language it is."""
    shown = show(CAR, lang="fr", geojson=geojson)
    brand = (shown["properties"] if geojson else shown)["brandName"]
    assert brand == {"type": "Property", "value": "Chat", "lang": "fr"}


def test_the_language_filter_of_other_formats():
    """4.15: the text alone when simplified, with its language when concise."""
    assert show(CAR, lang="fr", format="simplified")["brandName"] == "Chat"
    assert show(CAR, lang="fr", format="concise")["brandName"] == {"value": "Chat", "lang": "fr"}


def test_the_language_filter_reaches_sub_attributes():
    """4.15 speaks of all LanguageProperties; what else the attribute has stays."""
    document = document_of(
        {"speed": {"value": 1, "brandName": {"languageMap": {"en": "Cat"}, "observedAt": "2026-07-18T19:00:00Z"}}}
    )
    assert show(document, lang="en")["speed"]["brandName"] == {
        "type": "Property",
        "value": "Cat",
        "lang": "en",
        "observedAt": "2026-07-18T19:00:00Z",
    }


def test_a_proof_is_shown_with_its_sealed_members():
    """4.5.2.2: the sealed type is compacted like any type."""
    proof = {"type": "Property", "value": {"a": 1}, "entityIdSealed": "urn:a:1", "entityTypeSealed": "Vehicle"}
    assert show(document_of({"ngsildproof": proof}))["ngsildproof"] == proof


def test_a_view_can_be_compared_and_kept():
    """Equal requests make equal views, so that they can be keys."""
    assert View(format="concise", attrs=frozenset({"a"})) == View(format="concise", attrs=frozenset({"a"}))
    assert hash(View()) == hash(View())
