"""The entity ordering language (4.23.3, 5.2.43)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.broker.query.texts import LETTERS, path
from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.query.order import parse_order


def parse(text: Any, **options: Any) -> list[tuple[Any, bool, Any]]:
    return [(key.path, key.descending, key.distance_from) for key in parse_order(text, LETTERS, **options)]


def test_directions() -> None:
    """Terms are ascending unless they say otherwise."""
    assert parse("name,age;desc,size;asc") == [
        (path("name"), False, None),
        (path("age"), True, None),
        (path("size"), False, None),
    ]


def test_paths() -> None:
    """Members of the entity, of the attribute and of the value can be ordered by."""
    assert parse("id,createdAt,name.observedAt,name.subProperty,address[city]") == [
        (path(member="id"), False, None),
        (path(member="created"), False, None),
        (path("name", member="o"), False, None),
        (path("name", "subProperty"), False, None),
        (path("address", keys=("city",)), False, None),
    ]


def test_distances() -> None:
    """Distances are measured from orderFrom, a Point unless orderGeometry says otherwise."""
    point = {"type": "Point", "coordinates": [8, 40]}
    assert parse("location;dist-asc", order_from="[8,40]") == [(path("location"), False, point)]
    line = {"type": "LineString", "coordinates": [[8, 40], [9, 42]]}
    assert parse("location;dist-desc", order_from="[[8,40],[9,42]]", order_geometry="LineString") == [
        (path("location"), True, line)
    ]


def test_a_list_of_terms() -> None:
    """JSON bodies give the terms as a list, and the coordinates as an array."""
    assert parse(["id;desc", "location;dist-asc"], order_from=[8, 40]) == [
        (path(member="id"), True, None),
        (path("location"), False, {"type": "Point", "coordinates": [8, 40]}),
    ]


@pytest.mark.parametrize(
    ("text", "options", "named"),
    [
        ("", {}, "orderBy"),
        ("name;", {}, "orderBy"),
        ("name;up", {}, "orderBy"),
        ("name,", {}, "orderBy"),
        ("name desc", {}, "orderBy"),
        ([], {}, "orderBy"),
        (5, {}, "orderBy"),
        (["name", 5], {}, "orderBy"),
        (",".join(["a"] * 17), {}, "orderBy"),
        ("location;dist-asc", {}, "orderFrom"),
        ("location;dist-asc", {"order_from": "8,40"}, "orderFrom"),
        ("id", {"order_from": "[400,0]"}, "orderFrom"),
        ("id", {"order_geometry": 5}, "orderGeometry"),
        ("location;dist-asc", {"order_from": "[8,40]", "order_geometry": "Circle"}, "orderGeometry"),
        ("id;dist-asc", {"order_from": "[8,40]"}, "orderBy"),
        ("location.createdAt;dist-asc", {"order_from": "[8,40]"}, "orderBy"),
    ],
)
def test_malformed(text: Any, options: dict[str, Any], named: str) -> None:
    """What is missing or malformed is BadRequestData that names the parameter."""
    with pytest.raises(BadRequestData, match=rf"^{named}: "):
        parse(text, **options)
