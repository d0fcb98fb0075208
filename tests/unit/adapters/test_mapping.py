"""From measures to entity updates; the recordings of the formats show the usual ways."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tsunagu.adapters.devices.plan import compile_plan
from tsunagu.adapters.errors import BadMeasure
from tsunagu.adapters.mapping import map_measure
from tsunagu.adapters.message import Measure
from tsunagu.adapters.time_policy import Stamp

GROUP: dict[str, Any] = {"apikey": "k", "resource": "/iot/json", "entity_type": "Gauge"}
STAMP = Stamp(1784401800000, "2026-07-18T19:10:00Z", dated=True)


def mapped(
    values: dict[str, Any], *, status: str | None = None, faulty: frozenset[str] = frozenset(), **device: Any
) -> dict[str, dict[str, Any]]:
    plan = compile_plan({"device_id": "d", **device}, GROUP)
    updates = map_measure(plan, Measure("k", "d", values, status=status, faulty=faulty), STAMP)
    return {
        update.id: {name: one.get("value", one.get("object")) for name, one in update.attrs.items()}
        for update in updates
    }


def test_one_key_may_fill_several_attributes() -> None:
    """Each attribute with the object_id gets the value."""
    attributes = [
        {"object_id": "l", "name": "level", "type": "Number"},
        {"object_id": "l", "name": "levelText", "type": "Text"},
    ]
    assert mapped({"l": 2}, attributes=attributes) == {"urn:ngsi-ld:Gauge:d": {"level": 2, "levelText": "2"}}


def test_null_is_no_value() -> None:
    """A null leaves the attribute alone."""
    assert mapped({"a": None}) == {}


@pytest.mark.parametrize(
    ("explicit", "expected"),
    [
        (False, {"level", "other", "battery"}),
        (True, {"level", "battery"}),
        (["level"], {"level"}),
        ("['level']", {"level"}),
        ("battery > 5 ? ['battery'] : []", {"battery"}),
        ([{"object_id": "l"}], {"level"}),
        ("['battery', {object_id: 'l'}]", {"level", "battery"}),
        (["l", "battery"], {"battery"}),
        ("battery > 5", {"level", "battery"}),
    ],
)
def test_explicit_attributes_limit_what_is_stored(explicit: object, expected: set[str]) -> None:
    """ExplicitAttrs is a flag, a list of names or of the device's keys, or an expression that gives either."""
    attributes = [{"object_id": "l", "name": "level"}, {"name": "battery"}]
    found = mapped({"l": 1, "other": 2, "battery": 9}, attributes=attributes, explicitAttrs=explicit)
    assert set(found["urn:ngsi-ld:Gauge:d"]) == expected


def test_a_faulty_reading_gives_its_status_and_no_value() -> None:
    """What depends on the faulty key is left out, also where an expression would do without it."""
    attributes = [{"object_id": "d", "name": "level", "type": "Number", "expression": "d ?: 7"}, {"name": "battery"}]
    found = mapped({"battery": 3}, attributes=attributes, status="No Sensor", faulty=frozenset(("d",)))
    assert found == {"urn:ngsi-ld:Gauge:d": {"battery": 3, "sensorStatus": "No Sensor"}}


def test_metadata_may_be_computed() -> None:
    """A metadata expression gives a sub-attribute of each instance."""
    attribute = {
        "name": "level",
        "type": "Number",
        "metadata": {"alarm": {"type": "Boolean", "expression": "level > 2"}},
    }
    plan = compile_plan({"device_id": "d", "attributes": [attribute]}, GROUP)
    (update,) = map_measure(plan, Measure("k", "d", {"level": 3}), STAMP)
    assert update.attrs["level"]["alarm"] == {"type": "Property", "value": True}


def test_a_name_that_cannot_be_an_attribute_is_refused() -> None:
    """The error says how to map it."""
    with pytest.raises(BadMeasure, match="object_id"):
        mapped({"temp (C)": 2})


def test_an_entity_name_by_expression_follows_each_measure() -> None:
    """EntityNameExp may read what the device sends."""
    plan = compile_plan({"device_id": "d"}, {**GROUP, "entityNameExp": "site ?: 'none'"})
    ids = [map_measure(plan, Measure("k", "d", {"site": site, "v": 1}), STAMP)[0].id for site in ("a", "b")]
    assert ids == ["urn:ngsi-ld:Gauge:a", "urn:ngsi-ld:Gauge:b"]


def test_static_attributes_go_with_the_own_entity_alone() -> None:
    """Another entity that an attribute names does not get them."""
    attributes = [{"name": "a"}, {"name": "b", "entity_name": "urn:ngsi-ld:X:1", "entity_type": "X"}]
    static = [{"name": "site", "type": "Text", "value": "A"}]
    plan = compile_plan({"device_id": "d", "attributes": attributes, "static_attributes": static}, GROUP)
    updates = map_measure(plan, Measure("k", "d", {"a": 1, "b": 2}), STAMP)
    assert {update.id: sorted(update.static) for update in updates} == {
        "urn:ngsi-ld:Gauge:d": ["site"],
        "urn:ngsi-ld:X:1": [],
    }


def test_a_list_of_explicit_attributes_holds_for_static_ones_and_other_entities() -> None:
    """What is not listed goes nowhere; of two attributes of one name the key tells which is meant."""
    attributes = [
        {"object_id": "v1", "name": "vol", "entity_name": "urn:ngsi-ld:X:1", "entity_type": "X"},
        {"object_id": "v2", "name": "vol", "entity_name": "urn:ngsi-ld:X:2", "entity_type": "X"},
        {"name": "level"},
    ]
    static = [{"name": "site", "value": "A"}, {"name": "height", "value": 2}]
    device = {"device_id": "d", "attributes": attributes, "static_attributes": static}
    for explicit in (["level", "site", {"object_id": "v2"}], "['level', 'site', {object_id: 'v2'}]"):
        plan = compile_plan({**device, "explicitAttrs": explicit}, GROUP)
        updates = map_measure(plan, Measure("k", "d", {"level": 1, "v1": 2, "v2": 3}), STAMP)
        assert {update.id: (sorted(update.attrs), sorted(update.static)) for update in updates} == {
            "urn:ngsi-ld:Gauge:d": (["level"], ["site"]),
            "urn:ngsi-ld:X:2": (["vol"], []),
        }


def test_a_linked_entity_gets_its_share_with_a_way_back() -> None:
    """The example of the reference: a building has the temperature of its thermometer, and says who provides it."""
    device = {
        "device_id": "thermometer1",
        "entity_type": "Device",
        "attributes": [{"object_id": "l", "name": "temperature", "type": "Float"}, {"name": "battery"}],
        "static_attributes": [
            {
                "name": "controlledAsset",
                "type": "Relationship",
                "value": "urn:ngsi-ld:Building:001",
                "link": {"attributes": ["temperature"], "name": "providedBy", "type": "Building"},
            }
        ],
    }
    own, building = map_measure(compile_plan(device, GROUP), Measure("k", "d", {"l": 27.6, "battery": 3}), STAMP)
    assert (building.id, building.type, sorted(building.attrs)) == (
        "urn:ngsi-ld:Building:001",
        "Building",
        ["temperature"],
    )
    assert building.attrs["temperature"]["providedBy"] == {
        "type": "Relationship",
        "object": "urn:ngsi-ld:Device:thermometer1",
    }
    assert "providedBy" not in own.attrs["temperature"]


@pytest.mark.parametrize("member", [{"attributes": []}, {"type": 5}, {"name": "a b"}, {"more": 1}])
def test_a_link_that_cannot_work_is_named(member: dict[str, Any]) -> None:
    """When it is provisioned."""
    link = {"attributes": ["temperature"], "name": "providedBy", "type": "Building", **member}
    static = [{"name": "asset", "type": "Relationship", "value": "urn:x:1", "link": link}]
    with pytest.raises(BadMeasure, match=r"static_attributes\[0\].link"):
        compile_plan({"device_id": "d", "static_attributes": static}, GROUP)


@pytest.mark.parametrize(
    ("timestamp", "dated", "expected"), [(None, False, 1), (True, False, 1), (False, False, 0), (False, True, 1)]
)
def test_without_timestamp_only_the_devices_own_time_counts(timestamp: bool | None, dated: bool, expected: int) -> None:
    """The flag says whether an attribute gets a time that the device did not give."""
    plan = compile_plan({"device_id": "d", "timestamp": timestamp}, GROUP)
    (update,) = map_measure(plan, Measure("k", "d", {"level": 1}), Stamp(STAMP.observed, STAMP.text, dated=dated))
    assert ("observedAt" in update.attrs["level"]) == bool(expected)


@pytest.mark.parametrize(
    ("expression", "values", "said"),
    [
        ("wl / 100", {"wl": "1,234"}, "level: expression 'wl / 100' gives no value for wl = '1,234'"),
        ("wl / span", {"wl": 3, "span": 0}, "level: expression 'wl / span' gives no value for span = '0', wl = '3'"),
    ],
)
def test_an_expression_that_finds_no_number_is_told(expression: str, values: dict[str, Any], said: str) -> None:
    """A reading does not vanish because its device wrote it in another way."""
    with pytest.raises(BadMeasure, match=re.escape(said)):
        mapped(values, attributes=[{"name": "level", "type": "Number", "expression": expression}])


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("wl / 100", {"other": 1}),
        ("wl / 100", {"wl": None}),
        ("wl > 5 ? wl : null", {"wl": 3}),
        ("wl|mapper([1],['a'])", {"wl": 3}),
    ],
)
def test_an_expression_may_have_no_value(expression: str, values: dict[str, Any]) -> None:
    """What it reads is absent, or it chooses none: the attribute is left out."""
    attributes = [{"name": "level", "type": "Number", "expression": expression}]
    assert mapped(values, attributes=attributes, explicitAttrs=True) == {}


def test_a_lazy_attribute_is_mapped_when_the_device_sends_it() -> None:
    """Nobody asks a device for it; as the reference does, its key leads to its name."""
    assert mapped({"l": 4}, lazy=[{"object_id": "l", "name": "luminance", "type": "Number"}]) == {
        "urn:ngsi-ld:Gauge:d": {"luminance": 4}
    }


def test_the_groups_expression_names_the_entity_before_the_devices_name() -> None:
    """As the reference documents: with entityNameExp the device's entity_name does not count."""
    plan = compile_plan({"device_id": "d", "entity_name": "urn:x:own"}, {**GROUP, "entityNameExp": "id + '__' + sn"})
    assert map_measure(plan, Measure("k", "d", {"sn": "A"}), STAMP)[0].id == "urn:ngsi-ld:Gauge:d__A"
