"""Linked entities, inline and flat."""

from __future__ import annotations

import pytest

from tests.unit.broker.jsonld.contexts import CITY
from tests.unit.broker.representations.stored import document_of, name_of
from tsunagu.broker.representations import View

HOUSE = document_of({"id": "urn:x:house", "locatedAt": {"object": "urn:x:paris"}, "floors": 3})
PARIS = document_of({"id": "urn:x:paris", "type": "City", "title": "Paris", "isIn": {"object": "urn:x:france"}})
FRANCE = document_of({"id": "urn:x:france", "type": "Country", "title": "France", "capital": {"object": "urn:x:paris"}})
LINKED = {one["_id"]: one for one in (PARIS, FRANCE)}

LOCATED_AT, IS_IN, TITLE = map(name_of, ("locatedAt", "isIn", "title"))


def inline(document=HOUSE, *, linked=LINKED, levels=1, **options):
    return View(**options).render(document, CITY, linked=linked, levels=levels)


def flat(document=HOUSE, *, linked=LINKED, levels=1, **options):
    return View(**options).render_flat([document], CITY, linked=linked, levels=levels)


def test_a_linked_entity_stands_in_its_relationship():
    """4.5.23.2: under the member entity, in the representation asked for."""
    assert inline()["locatedAt"] == {
        "type": "Relationship",
        "object": "urn:x:paris",
        "entity": {
            "id": "urn:x:paris",
            "type": "City",
            "title": {"type": "Property", "value": "Paris"},
            "isIn": {"type": "Relationship", "object": "urn:x:france"},
        },
    }


def test_links_are_followed_as_deep_as_asked():
    """6.4.3.2: joinLevel is the depth of retrieval."""
    assert inline(levels=2)["locatedAt"]["entity"]["isIn"]["entity"]["id"] == "urn:x:france"
    assert "entity" not in inline(levels=0)["locatedAt"]


def test_an_entity_is_not_shown_within_itself():
    """4.5.23.1: retrieval is limited to avoid loops."""
    country = inline(levels=9)["locatedAt"]["entity"]["isIn"]["entity"]
    assert country["capital"] == {"type": "Relationship", "object": "urn:x:paris"}


def test_a_target_that_is_not_there_is_left_as_it_is():
    """4.5.23.1: only what can be retrieved is joined."""
    assert inline(linked={"urn:x:other": PARIS})["locatedAt"] == {"type": "Relationship", "object": "urn:x:paris"}


def test_a_simplified_relationship_becomes_the_entity():
    """4.5.4: the linked entity stands in the place of its URI."""
    assert inline(format="simplified")["locatedAt"] == {
        "id": "urn:x:paris",
        "type": "City",
        "title": "Paris",
        "isIn": "urn:x:france",
    }


def test_a_concise_relationship_has_the_entity():
    """4.5.3.3: entity holds the linked entity in concise representation."""
    joined = inline(format="concise")["locatedAt"]
    assert joined["object"] == "urn:x:paris"
    assert joined["entity"]["title"] == "Paris"


def test_several_targets_are_several_entities():
    """5.2.6: one-to-N relationships expand to an array; those not found are missing."""
    document = document_of({"locatedAt": {"object": ["urn:x:paris", "urn:x:none", "urn:x:france"]}})
    joined = inline(document)["locatedAt"]
    assert [one["id"] for one in joined["entity"]] == ["urn:x:paris", "urn:x:france"]
    simplified = inline(document, format="simplified")["locatedAt"]
    assert [one if isinstance(one, str) else one["id"] for one in simplified] == [
        "urn:x:paris",
        "urn:x:none",
        "urn:x:france",
    ]


def test_a_list_relationship_has_an_entity_list():
    """4.5.22.2: entityList, always an array, in order."""
    document = document_of({"route": {"objectList": ["urn:x:france", "urn:x:paris"]}})
    joined = inline(document)["route"]
    assert [one["id"] for one in joined["entityList"]] == ["urn:x:france", "urn:x:paris"]
    assert "entity" not in joined
    assert [one["id"] for one in inline(document, format="simplified")["route"]] == ["urn:x:france", "urn:x:paris"]


def test_each_instance_has_its_own_entity():
    """4.5.5: the instances of a relationship are joined one by one."""
    document = document_of(
        {"locatedAt": [{"object": "urn:x:paris"}, {"object": "urn:x:france", "datasetId": "urn:d:1"}]}
    )
    assert [one["entity"]["id"] for one in inline(document)["locatedAt"]] == ["urn:x:paris", "urn:x:france"]
    dataset = inline(document, format="simplified")["locatedAt"]["dataset"]
    assert {key: one["id"] for key, one in dataset.items()} == {"@none": "urn:x:paris", "urn:d:1": "urn:x:france"}


PICK = {"id": None, LOCATED_AT: {"id": None, TITLE: None, IS_IN: {"id": None, TITLE: None}}}


def test_pick_reaches_into_linked_entities():
    """4.21: each level is projected by what stands in braces."""
    assert inline(levels=2, pick=PICK, format="simplified") == {
        "id": "urn:x:house",
        "locatedAt": {"id": "urn:x:paris", "title": "Paris", "isIn": {"id": "urn:x:france", "title": "France"}},
    }


def test_omit_reaches_into_linked_entities():
    """4.21: what is omitted in a linked entity does not omit the relationship."""
    omit = {"type": None, name_of("floors"): None, LOCATED_AT: {TITLE: None, IS_IN: None}}
    assert inline(omit=omit, format="simplified") == {
        "id": "urn:x:house",
        "locatedAt": {"id": "urn:x:paris", "type": "City"},
    }


def test_flat_has_every_entity_once():
    """4.5.23.3: linking entities first, linked ones after them, without repetition."""
    assert [one["id"] for one in flat(levels=9)] == ["urn:x:house", "urn:x:paris", "urn:x:france"]
    assert [one["id"] for one in flat(levels=1)] == ["urn:x:house", "urn:x:paris"]
    assert [one["id"] for one in flat(levels=0)] == ["urn:x:house"]


def test_flat_entities_are_projected_level_by_level():
    """4.21: pick applies to linked entities as it does inline."""
    assert flat(levels=2, pick=PICK, format="simplified") == [
        {"id": "urn:x:house", "locatedAt": "urn:x:paris"},
        {"id": "urn:x:paris", "title": "Paris", "isIn": "urn:x:france"},
        {"id": "urn:x:france", "title": "France"},
    ]


@pytest.mark.parametrize("form", ["normalized", "concise", "simplified"])
def test_joining_alters_nothing(form):
    """Documents are shared and stay as they are."""
    before = str((HOUSE, LINKED))
    inline(levels=2, format=form)
    flat(levels=2, format=form)
    assert str((HOUSE, LINKED)) == before
