"""From device values to NGSI-LD attribute instances."""

from __future__ import annotations

import pytest

from tsunagu.adapters.errors import BadMeasure, DeviceError
from tsunagu.adapters.values import converter

POINT = {"type": "Point", "coordinates": [134.8, 34.7]}


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("Number", 2.14, {"type": "Property", "value": 2.14}),
        ("Number", "2.14", {"type": "Property", "value": 2.14}),
        ("Integer", "7.9", {"type": "Property", "value": 7}),
        ("Text", 5, {"type": "Property", "value": "5"}),
        ("Text", True, {"type": "Property", "value": "true"}),
        ("Boolean", "off", {"type": "Property", "value": False}),
        (
            "DateTime",
            "2026-07-19T04:10:00+09:00",
            {"type": "Property", "value": {"@type": "DateTime", "@value": "2026-07-18T19:10:00Z"}},
        ),
        ("geo:json", POINT, {"type": "GeoProperty", "value": POINT}),
        ("geo:point", "134.8, 34.7", {"type": "GeoProperty", "value": POINT}),
        ("geo:point", "134.8/34.7", {"type": "GeoProperty", "value": POINT}),
        (
            "geo:linestring",
            ["134.8,34.7", "134.9,34.8"],
            {"type": "GeoProperty", "value": {"type": "LineString", "coordinates": [[134.8, 34.7], [134.9, 34.8]]}},
        ),
        ("Relationship", "urn:ngsi-ld:Device:1", {"type": "Relationship", "object": "urn:ngsi-ld:Device:1"}),
        ("LanguageProperty", {"ja": "川"}, {"type": "LanguageProperty", "languageMap": {"ja": "川"}}),
        ("JsonProperty", [1], {"type": "JsonProperty", "json": [1]}),
        ("StructuredValue", '{"a":1}', {"type": "Property", "value": {"a": 1}}),
        ("Whatever", [1], {"type": "Property", "value": [1]}),
    ],
)
def test_a_value_becomes_an_instance_of_its_type(kind: str, value: object, expected: object) -> None:
    """FIWARE's type names lead to NGSI-LD kinds."""
    assert converter(kind)(value) == expected


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("Number", "abc", "no number"),
        ("Number", "nan", "finite"),
        ("Number", float("inf"), "finite"),
        ("Number", True, "a boolean"),
        ("Number", [1], "a list"),
        ("Boolean", "maybe", "no boolean"),
        ("DateTime", "soon", "cannot be read"),
        ("geo:point", "34.7, 134.8", "longitude"),
        ("geo:point", "134.8", "pairs"),
        ("geo:json", {"type": "Point", "coordinates": [34.7, 134.8]}, "longitude"),
        ("geo:json", {"a": 1}, "GeoJSON"),
        ("Relationship", "gauge 1", "URI"),
        ("StructuredValue", "{", "no JSON"),
        ("Whatever", float("nan"), "finite"),
    ],
)
def test_a_value_that_its_type_cannot_take_is_refused(kind: str, value: object, said: str) -> None:
    """The error says what would be right."""
    with pytest.raises(DeviceError, match=said):
        converter(kind)(value)


def test_latitude_first_is_not_swapped_silently() -> None:
    """A position with its members the wrong way round is an error and no guess."""
    with pytest.raises(BadMeasure, match=r"longitude .* comes first"):
        converter("geo:point")([34.7, 134.8])
