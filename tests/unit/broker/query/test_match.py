"""Entity queries in memory; what matches is in tests/contract/test_query_readers.py."""

from __future__ import annotations

import pytest

from tests.contract.query_documents import CONTEXT, entity, name, prop
from tsunagu.broker.query.ast import EntityQuery
from tsunagu.broker.query.geo import parse_geo
from tsunagu.broker.query.match import attributes_of, compile_matcher
from tsunagu.broker.query.q import parse_q
from tsunagu.broker.query.types import parse_types
from tsunagu.schemas.entity import LOCATION


def test_no_condition() -> None:
    """A query without conditions matches every document."""
    assert compile_matcher(EntityQuery())(entity("a"))


def test_documents_without_times() -> None:
    """A document that was read without its system times has none to match."""
    document = entity("a", attrs={"level": prop(1, observedAt="2026-07-18T19:10:00Z")})
    matches = compile_matcher(EntityQuery(q=parse_q("level.observedAt", CONTEXT)))
    assert matches(document)
    del document["sys"]
    assert not matches(document)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a", ["a"]),
        ("a.b==1;(c>2|!d)", ["a", "c", "d"]),
        ("a{b}==1", ["a"]),
        ("a.observedAt>2026-01-01", ["a"]),
        ('modifiedAt>"2020-01-01T00:00:00Z"', []),
        ("observedAt", []),
        ("id==urn:a;type==B", []),
    ],
)
def test_attributes_of_q(text: str, names: list[str]) -> None:
    """The attributes of a query are those of the entity itself, not system times and not those of linked entities."""
    assert attributes_of(EntityQuery(q=parse_q(text, CONTEXT))) == set(map(name, names))


def test_attributes_of_all_parts() -> None:
    """Attribute list, q and geoquery all count."""
    query = EntityQuery(
        types=parse_types("T", CONTEXT),
        attrs=(name("x"), name("createdAt")),
        q=parse_q("y", CONTEXT),
        geo=parse_geo("within", "Point", [0, 0], None, CONTEXT),
    )
    assert attributes_of(query) == {name("x"), name("y"), LOCATION}
