"""Compiling devices and groups into plans."""

from __future__ import annotations

from typing import Any

import pytest

from tsunagu.adapters.devices.plan import compile_plan, entity_uri
from tsunagu.adapters.errors import DeviceError

GROUP: dict[str, Any] = {
    "apikey": "k",
    "resource": "/iot/json",
    "entity_type": "Gauge",
    "service": "city",
    "subservice": "/rivers",
}
DEVICE: dict[str, Any] = {"device_id": "F012"}


def test_the_entity_id_is_a_urn_of_type_and_device() -> None:
    """Without a name of its own the entity is named by its device."""
    plan = compile_plan(DEVICE, GROUP)
    assert (plan.entity_id, plan.entity_type, plan.tenant, plan.service_path) == (
        "urn:ngsi-ld:Gauge:F012",
        "Gauge",
        "city",
        "/rivers",
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("F012", "urn:ngsi-ld:Gauge:F012"),
        ("urn:ngsi-ld:X:1", "urn:ngsi-ld:X:1"),
        ("north gate 100%", "urn:ngsi-ld:Gauge:north%20gate%20100%25"),
        ("国包", "urn:ngsi-ld:Gauge:国包"),
        ("https://a/b", "https://a/b"),
    ],
)
def test_a_name_that_is_no_uri_is_made_one(name: str, expected: str) -> None:
    """NGSI-LD ids are URIs."""
    assert entity_uri(name, "Gauge") == expected


def test_an_expression_names_the_entity() -> None:
    """EntityNameExp sees id, type and static attributes."""
    group = {
        **GROUP,
        "entityNameExp": "type + '-' + site + '-' + id",
        "static_attributes": [{"name": "site", "type": "Text", "value": "A"}],
    }
    assert compile_plan(DEVICE, group).entity_id == "urn:ngsi-ld:Gauge:Gauge-A-F012"


def test_the_device_wins_over_its_group_attribute_by_attribute() -> None:
    """Attributes of the group that the device does not define itself remain."""
    group = {
        **GROUP,
        "attributes": [{"object_id": "x", "name": "level", "type": "Text"}, {"object_id": "b", "name": "battery"}],
    }
    plan = compile_plan({**DEVICE, "attributes": [{"object_id": "l", "name": "level", "type": "Number"}]}, group)
    assert sorted(plan.actives) == ["b", "l"]


def test_metadata_become_units_and_sub_attributes() -> None:
    """UnitCode is NGSI-LD's own member, the rest are Properties."""
    attribute = {
        "name": "level",
        "type": "Number",
        "metadata": {"unitCode": {"type": "Text", "value": "MTR"}, "accuracy": {"type": "Number", "value": "0.01"}},
    }
    (active,) = (
        compile_plan({**DEVICE, "attributes": [attribute]}, GROUP).ordered
        or compile_plan({**DEVICE, "attributes": [attribute]}, GROUP).actives["level"]
    )
    assert active.extra == {"unitCode": "MTR", "accuracy": {"type": "Property", "value": 0.01}}


def test_internal_attributes_of_group_and_device_are_merged() -> None:
    """They may be an object or a list of objects."""
    plan = compile_plan(
        {**DEVICE, "internal_attributes": [{"b": 2}]}, {**GROUP, "internal_attributes": {"a": 1, "b": 1}}
    )
    assert plan.settings == {"a": 1, "b": 2}


def test_expressions_are_ordered_by_what_they_need() -> None:
    """An expression comes after the attribute whose result it names, wherever it stands in the list."""
    attributes = [
        {"object_id": "z", "name": "alarm", "type": "Boolean", "expression": "level > 2"},
        {"object_id": "d", "name": "level", "type": "Number", "expression": "d / 100"},
    ]
    assert [active.name for active in compile_plan({**DEVICE, "attributes": attributes}, GROUP).ordered] == [
        "level",
        "alarm",
    ]


@pytest.mark.parametrize(
    ("member", "value", "said"),
    [
        ("attributes", [{"name": "water level"}], r"attributes\[0\].name"),
        ("attributes", [{"name": "a"}, {"name": "b", "expression": "1 +"}], r"attributes\[1\].b"),
        ("attributes", [{"name": "a", "metadata": {"x y": {"value": 1}}}], "metadata.x y"),
        (
            "static_attributes",
            [{"name": "location", "type": "geo:json", "value": {"type": "Point", "coordinates": [34.7, 134.8]}}],
            r"static_attributes\[0\].location",
        ),
        ("timezone", "Japan/Kakogawa", "timezone"),
    ],
)
def test_what_cannot_work_is_named(member: str, value: object, said: str) -> None:
    """The error names the member."""
    with pytest.raises(DeviceError, match=said):
        compile_plan({**DEVICE, member: value}, GROUP)


def test_names_that_a_device_invents_do_not_fill_memory() -> None:
    """The memory of undeclared names is bounded."""
    plan = compile_plan(DEVICE, GROUP)
    for number in range(5000):
        plan.name_of(f"n{number}")
    assert len(plan.names) <= 1000
