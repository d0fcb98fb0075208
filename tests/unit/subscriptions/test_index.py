"""The index of subscriptions: it finds all that match, and keeps nothing of what was taken out."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.subscriptions.samples import NOW, creation, document, subscription
from tsunagu.subscriptions.index import UNGATED, SubscriptionIndex, candidates
from tsunagu.subscriptions.matching import Effect, concerns
from tsunagu.subscriptions.placement import prefix_of

VALUES = st.sampled_from([-1, 0, 1, 2.5, "x", "1", True, [1, "x"], {"a": 1}])
OPERATORS = st.sampled_from(["==", "!=", ">", ">=", "<", "<="])
TERMS = st.builds(
    lambda name, operator, value: f"{name}{operator}{value}",
    st.sampled_from("abc"),
    OPERATORS,
    st.sampled_from(["0", "1", "2.5", '"x"', '"1"']),
)
QUERIES = st.one_of(TERMS, st.builds("{};{}".format, TERMS, TERMS), st.builds("{}|{}".format, TERMS, TERMS), st.none())
SELECTORS = st.one_of(
    st.none(),
    st.lists(
        st.fixed_dictionaries(
            {"type": st.sampled_from(["River", "Lake", "River|Lake", "(River;Lake)", "*"])},
            optional={
                "id": st.sampled_from(["urn:x:a", "urn:x:b"]),
                "idPattern": st.sampled_from(
                    ["a$", "b$", "^urn:x:a", "^urn:x:b", "^urn:x:aa?$", "^urn:x:(a|b)", r"^urn:x\:a"]
                ),
            },
        ),
        min_size=1,
        max_size=3,
    ),
)
DEGREES = st.sampled_from(
    [-0.31, -0.1, -0.0004, 0.0, 0.0003, 0.0011, 0.0049, 0.02, 0.05, 0.1, 0.25, 3.0, 179.95, -179.95]
)
POINTS = st.builds(lambda x, y: [x, max(min(y, 80.0), -80.0)], DEGREES, DEGREES)
NEAR = st.builds(
    lambda point, metres: {"georel": f"near;maxDistance=={metres}", "geometry": "Point", "coordinates": point},
    POINTS,
    st.sampled_from([1, 60, 150, 600, 2_500, 10_000, 30_000, 5_000_000]),
)
FAR = st.builds(lambda point: {"georel": "near;minDistance==20000", "geometry": "Point", "coordinates": point}, POINTS)
INSIDE = st.builds(
    lambda relation, point, size: {
        "georel": relation,
        "geometry": "Polygon",
        "coordinates": [[point, [point[0] + size, point[1]], [point[0] + size, point[1] + size], point]],
    },
    st.sampled_from(["within", "intersects", "disjoint"]),
    POINTS.filter(lambda point: abs(point[0]) < 170 and abs(point[1]) < 70),
    st.sampled_from([0.0002, 0.003, 0.05, 0.4, 5.0]),
)
AREAS = st.one_of(NEAR, FAR, INSIDE)
MEMBERS = st.fixed_dictionaries(
    {"entities": SELECTORS, "q": QUERIES},
    optional={
        "watchedAttributes": st.lists(st.sampled_from("abc"), min_size=1, max_size=2, unique=True),
        "geoQ": AREAS,
    },
)


@given(st.lists(MEMBERS, max_size=12), st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3), POINTS)
def test_the_index_finds_what_a_look_at_all_finds(
    members: list[dict[str, object]], attributes: dict[str, object], point: list[float]
) -> None:
    """Whatever matches a change when every subscription is looked at is among the candidates of the index."""
    everything = [subscription(**{**one, "localOnly": True}) for one in members]
    index = SubscriptionIndex()
    for one in everything:
        index.add(one)
    place = {"type": "GeoProperty", "value": {"type": "Point", "coordinates": point}}
    what = creation(document(**attributes, location=place))
    effect = Effect(what)
    found = set(candidates(index.shelves_for(what.entity_id, effect.document["type"]), effect))
    selected = [one for one in everything if _selected(one, effect)]
    assert {one for one in selected if concerns(one, effect, NOW)} == {
        one for one in found if concerns(one, effect, NOW)
    }
    for one in everything:
        index.remove(one)
    assert not any(index._shelves.values())
    assert len(index) == 0


def _selected(one, effect) -> bool:
    """Tell whether an entity is selected, without the index."""
    from tsunagu.broker.query.ast import EntityQuery
    from tsunagu.broker.query.match import compile_matcher

    return not one.plan.selectors or compile_matcher(EntityQuery(selectors=one.plan.selectors))(effect.document)


def test_thresholds_are_bisected() -> None:
    """Of many subscriptions to thresholds only those that the value passes are looked at."""
    index = SubscriptionIndex()
    for number in range(1000):
        index.add(subscription(id=f"urn:s:{number}", q=f"a>{number}"))
    what = creation(document(a=10.5))
    effect = Effect(what)
    found = list(candidates(index.shelves_for(what.entity_id, effect.document["type"]), effect))
    assert len(found) == 11


def test_areas_are_looked_up_by_place() -> None:
    """Of many subscriptions to areas only those around the entity are looked at."""
    index = SubscriptionIndex()
    for number in range(100):
        near = {"georel": "near;maxDistance==1000", "geometry": "Point", "coordinates": [number, 35.0]}
        index.add(subscription(id=f"urn:s:{number}", geoQ=near))
    place = {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [42.001, 35.0]}}
    what = creation(document(location=place))
    effect = Effect(what)
    found = {one.id for one in candidates(index.shelves_for(what.entity_id, effect.document["type"]), effect)}
    assert "urn:s:42" in found
    assert len(found) <= 1 + UNGATED


@pytest.mark.parametrize(
    ("pattern", "prefix"),
    [
        ("^urn:x:1", "urn:x:1"),
        ("^urn:x:1$", "urn:x:1"),
        ("^urn:x:.*", "urn:x:"),
        ("^urn:x:1*", "urn:x:"),
        ("^urn:x:1+", "urn:x:1"),
        ("^urn:x:1{2}", "urn:x:"),
        (r"^urn:x\.y", "urn:x.y"),
        (r"^urn:x\d", "urn:x"),
        ("^urn:x:[ab]", "urn:x:"),
        ("^urn:x|^urn:y", ""),
        ("urn:x", ""),
    ],
)
def test_the_start_of_a_pattern(pattern: str, prefix: str) -> None:
    """What an idPattern requires at the start of an id is seen where it is plain."""
    assert prefix_of(pattern) == prefix


def test_what_cannot_be_placed_leaves_nothing() -> None:
    """A subscription whose stored form cannot be read is not half in the index."""
    index = SubscriptionIndex()
    with pytest.raises(KeyError):
        index.add(replace(subscription(), source=b"{}"))
    assert len(index) == 0
    assert not any(index._shelves.values())
