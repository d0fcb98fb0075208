"""From a body to an evolution: normalized and simplified instances, deletions, scopes, errors (4.5.6 to 4.5.9)."""

from __future__ import annotations

from typing import Any

import pytest

from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.jsonld.context import CORE
from tsunagu.broker.jsonld.evolution import expand_evolution, expand_instance
from tsunagu.schemas.entity import NULL

LEVEL = CORE.attribute("level")
TIME = "2026-11-25T10:00:00Z"


def expanded(**members: Any) -> dict[str, Any]:
    return expand_evolution({"id": "urn:e", "type": "Gauge", **members}, CORE, whole=True)


def levels(value: Any) -> list[tuple[dict[str, Any], int | None]]:
    found: list[tuple[dict[str, Any], int | None]] = expanded(level=value)["attrs"][LEVEL]
    return found


def test_normalized_instances_are_a_list() -> None:
    """An attribute may have any number of instances, each with its own observedAt and datasetId."""
    one = {"type": "Property", "value": 1, "observedAt": TIME}
    other = {"type": "Property", "value": 2, "observedAt": TIME, "datasetId": "urn:d"}
    assert levels([one, other, one]) == [(one, None), (other, None), (one, None)]
    assert levels(one) == [(one, None)]


def test_simplified_pairs_become_instances() -> None:
    """Pairs of value and time become instances of the kind that is named, all with the datasetId that is given."""
    assert levels({"type": "Property", "values": [[1, TIME], ["x", TIME]], "datasetId": "urn:d"}) == [
        ({"type": "Property", "value": value, "observedAt": TIME, "datasetId": "urn:d"}, None) for value in (1, "x")
    ]
    ((found, _),) = levels({"type": "Relationship", "objects": [["urn:x", TIME]]})
    assert found == {"type": "Relationship", "object": "urn:x", "observedAt": TIME}


def test_a_deletion_has_its_time() -> None:
    """An instance with deletedAt and the NGSI-LD Null says when the attribute was deleted."""
    ((found, deleted),) = levels({"type": "Property", "value": NULL, "deletedAt": "1970-01-01T00:00:01Z"})
    assert (found["value"], deleted) == (NULL, 1000)


def test_a_bare_value_is_one_property() -> None:
    """A value without any wrapping is one instance, without time."""
    assert levels(5) == [({"type": "Property", "value": 5}, None)]


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("/a", [{"type": "Property", "value": ["/a"]}]),
        (["/a", "/b", "/a"], [{"type": "Property", "value": ["/a", "/b"]}]),
        (
            [{"type": "Property", "value": "/a", "observedAt": TIME}, {"value": NULL}],
            [{"type": "Property", "value": ["/a"], "observedAt": TIME}, {"type": "Property", "value": []}],
        ),
    ],
    ids=["one", "several", "at times, then none"],
)
def test_scopes_are_instances_of_lists(scope: Any, expected: list[dict[str, Any]]) -> None:
    """A scope that stays is one instance; temporal ones are one each, an empty list for a removal."""
    assert expanded(scope=scope)["scopes"] == expected


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"level": {"type": "Property", "values": [[1]]}}, "level: values"),
        ({"level": {"type": "Property", "values": [[1, TIME]], "unitCode": "MTR"}}, "level: unitCode"),
        ({"level": {"type": "Property", "values": [[1, "yesterday"]]}}, "level.observedAt"),
        ({"level": [{"type": "Property", "value": 1}, {"type": "Relationship", "object": 5}]}, "level.[1].object"),
        ({"level": {"type": "Property", "value": 1, "deletedAt": "soon"}}, "level"),
        ({"scope": "no scope"}, "scope"),
        ({"scope": [{"type": "Relationship", "object": "urn:x"}]}, "scope"),
        ({"scope": [{"value": "/a", "observedAt": 5}]}, "scope"),
        ({"id": "no uri"}, "id"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(members: dict[str, Any], place: str) -> None:
    """Bad input is BadRequestData that names the member."""
    with pytest.raises(BadRequestData) as caught:
        expanded(**members)
    assert str(caught.value).startswith(place)


@pytest.mark.parametrize("missing", ["id", "type"])
def test_a_whole_evolution_has_id_and_type(missing: str) -> None:
    """Id and type are required of a whole evolution, not of a fragment."""
    body = {key: value for key, value in {"id": "urn:e", "type": "Gauge", "level": 1}.items() if key != missing}
    with pytest.raises(BadRequestData, match=missing):
        expand_evolution(dict(body), CORE, whole=True)
    assert missing not in expand_evolution(dict(body), CORE, whole=False)


def test_one_instance_is_one() -> None:
    """The body of a correction is one instance, not several and not pairs of more than one time."""
    assert expand_instance({"type": "Property", "value": 1}, LEVEL, CORE) == ({"type": "Property", "value": 1}, None)
    with pytest.raises(BadRequestData, match="one instance"):
        expand_instance({"type": "Property", "values": [[1, TIME], [2, TIME]]}, LEVEL, CORE)
    with pytest.raises(BadRequestData, match="value"):
        expand_instance({"type": "Property"}, LEVEL, CORE)
