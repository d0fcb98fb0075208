"""From measures to entity updates; the recordings of the formats show the usual ways."""

from __future__ import annotations

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
    ],
)
def test_explicit_attributes_limit_what_is_stored(explicit: object, expected: set[str]) -> None:
    """ExplicitAttrs is a flag, a list of names, or an expression that gives either."""
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
