"""Linked terms of q (4.9, EXAMPLES 13 and 14)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.query_documents import CONTEXT, entity, prop, rel, rels
from tsunagu.broker.query.ast import EntityQuery
from tsunagu.broker.query.linked import resolve_linked, targets_of
from tsunagu.broker.query.match import compile_matcher, link_depth
from tsunagu.broker.query.q import parse_q

DOCUMENTS = [
    entity("station1", "Station", {"sensor": rel("urn:device1")}),
    entity("station2", "Station", {"sensor": [rel("urn:device2"), rel("urn:device1", datasetId="urn:d:1")]}),
    entity("station3", "Station", {"sensor": rels("urn:device2", "urn:nowhere")}),
    entity("device1", "Device", {"humidity": prop(40), "owner": rel("urn:owner1")}),
    entity("device2", ["Device", "Old"], {"humidity": prop(20), "owner": rel("urn:owner2")}),
    entity("owner1", "Owner", {"name": prop("x")}),
    entity("owner2", "Owner", {"name": prop("y")}),
]


class Store:
    """Finds the documents by the matcher and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[EntityQuery] = []

    async def find(self, query: EntityQuery) -> list[str]:
        self.asked.append(query)
        return [document["_id"] for document in filter(compile_matcher(query), DOCUMENTS)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sensor{humidity}==40", "station1 station2"),
        ("sensor{Device:humidity}<30", "station2 station3"),
        ("sensor{Old:humidity}", "station2 station3"),
        ("sensor{Owner,Old:humidity}==40", ""),
        ("sensor{Vehicle:humidity}==40", ""),
        ('sensor{owner{name}}=="y"', "station2 station3"),
        ('sensor{humidity}==40;sensor{owner{name}}=="y"', "station2"),
        ("sensor{humidity}==40|humidity==20", "station1 station2 device2"),
        ("sensor{nothing}", ""),
    ],
)
async def test_resolved_terms(text: str, expected: str) -> None:
    """A linked term holds of the entities whose Relationship points to one that meets the inner condition."""
    query = await resolve_linked(EntityQuery(q=parse_q(text, CONTEXT)), Store().find)
    found = [document["_id"].removeprefix("urn:") for document in filter(compile_matcher(query), DOCUMENTS)]
    assert found == expected.split()


async def test_nothing_to_resolve() -> None:
    """A query without linked terms stays as it is, and nothing is looked up."""
    store, query = Store(), EntityQuery(q=parse_q("humidity==40", CONTEXT))
    assert await resolve_linked(query, store.find) is query
    assert not store.asked


async def test_only_what_documents_point_to() -> None:
    """For given documents, only the entities that they point to are looked up."""
    store, query = Store(), EntityQuery(q=parse_q("sensor{humidity}==20", CONTEXT), now=5)
    resolved = await resolve_linked(query, store.find, documents=DOCUMENTS[:1])
    assert not compile_matcher(resolved)(DOCUMENTS[0])
    assert [(each.ids, each.now) for each in store.asked] == [(("urn:device1",), 5)]


async def test_documents_that_point_to_nothing() -> None:
    """If the documents point to nothing, nothing is looked up."""
    store, query = Store(), EntityQuery(q=parse_q("sensor{humidity}==20", CONTEXT))
    resolved = await resolve_linked(query, store.find, documents=DOCUMENTS[5:])
    assert not any(map(compile_matcher(resolved), DOCUMENTS))
    assert not store.asked


def test_targets() -> None:
    """The targets of Relationships and ListRelationships are collected over all instances and sub-attributes."""
    nested: dict[str, Any] = entity("n", attrs={"a": prop(1, sub={"by": rel(["urn:1", "urn:2"])})})
    assert targets_of((CONTEXT.attribute("sensor"),), DOCUMENTS) == {"urn:device1", "urn:device2", "urn:nowhere"}
    assert targets_of((CONTEXT.attribute("a"), CONTEXT.attribute("by")), [nested]) == {"urn:1", "urn:2"}


@pytest.mark.parametrize(("text", "depth"), [("a", 0), ("a{b}", 1), ("a|b{c{d}}==1;e{f}", 2)])
def test_depth(text: str, depth: int) -> None:
    """The depth of a query is the number of Relationships that its deepest term follows."""
    assert link_depth(parse_q(text, CONTEXT)) == depth


def test_unresolved_terms_are_refused() -> None:
    """A reader refuses a linked term: nobody can follow a Relationship within one document."""
    with pytest.raises(TypeError, match="resolved"):
        compile_matcher(EntityQuery(q=parse_q("a{b}", CONTEXT)))
