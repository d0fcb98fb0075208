"""The shape of MongoDB filters; what they match is in tests/contract/test_query_readers.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pymongo import ASCENDING, GEOSPHERE, MongoClient

from tests.contract.query_documents import CONTEXT, entity, geo, name, prop
from tsunagu.broker.query.ast import EntityQuery
from tsunagu.broker.query.geo import parse_geo
from tsunagu.broker.query.order import parse_order
from tsunagu.broker.query.pattern import parse_pattern
from tsunagu.broker.query.q import parse_q
from tsunagu.broker.query.scope import parse_scope
from tsunagu.broker.query.types import parse_types
from tsunagu.broker.storage.mongo.filters import needs_ranking, order_fields, residual, to_filter, to_sort
from tsunagu.broker.storage.mongo.keys import held

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymongo.collection import Collection

RIVER = CONTEXT.expand_term("River")


def q(text: str) -> EntityQuery:
    return EntityQuery(q=parse_q(text, CONTEXT))


def test_one_type() -> None:
    """A query by one type is the plain condition on the type."""
    assert to_filter(EntityQuery(types=parse_types("River", CONTEXT))) == {"keys": RIVER}


def test_several_types() -> None:
    """Alternatives of single types are one $in."""
    found = to_filter(EntityQuery(types=parse_types("River|Lake", CONTEXT)))
    assert found == {"keys": {"$in": [RIVER, CONTEXT.expand_term("Lake")]}}


def test_ids() -> None:
    """Ids are looked up directly."""
    assert to_filter(EntityQuery(ids=("urn:a",))) == {"_id": "urn:a"}
    assert to_filter(EntityQuery(ids=("urn:a", "urn:b"))) == {"_id": {"$in": ["urn:a", "urn:b"]}}


def test_nothing() -> None:
    """A query without conditions filters nothing."""
    assert to_filter(EntityQuery()) == {}


def test_expiry() -> None:
    """Expiry is one condition, which entities without expiry meet."""
    assert to_filter(EntityQuery(now=5)) == {"expires": {"$not": {"$lte": 5}}}


def test_a_number() -> None:
    """A comparison with a number looks at values and lists of values only."""
    path = f"attrs.{name('level')}"
    assert to_filter(q("level>2")) == {"$or": [{f"{path}.value": {"$gt": 2}}, {f"{path}.valueList": {"$gt": 2}}]}


@pytest.mark.parametrize(
    "text",
    [
        "level>2",
        'a!="b"',
        "a==1..5",
        'a!~="^b"',
        "a.b==1..5",
        "a.b.c!=1",
        "a==2026-01-01..2026-02-01",
        'a[*]=="x"',
        "a[b]!=1",
    ],
)
def test_exact(text: str) -> None:
    """MongoDB can say what these mean: nothing is left to test in memory."""
    assert residual(q(text)) is None


@pytest.mark.parametrize("text", ["a[b]==1..5", "a.b.c.d!=1", "a.b.c.d==1..2", "a.b.c.d.observedAt!=2026-01-01"])
def test_inexact(text: str) -> None:
    """MongoDB cannot say what these mean: what it finds must be tested in memory."""
    assert residual(q(text)) is not None


def test_sort() -> None:
    """MongoDB sorts by members that every entity has, and always by id in the end."""
    assert to_sort(()) is None
    assert to_sort(parse_order("createdAt;desc,modifiedAt", CONTEXT)) == {"created": -1, "modified": 1, "_id": 1}
    assert to_sort(parse_order("id;desc,createdAt", CONTEXT)) == {"_id": -1, "created": 1}


@pytest.mark.parametrize("text", ["name", "createdAt,name", "type", "expiresAt", "name.createdAt"])
def test_ranking(text: str) -> None:
    """MongoDB cannot follow orders of mixed types, texts and members that may be absent."""
    order = parse_order(text, CONTEXT)
    assert needs_ranking(order)
    assert to_sort(order) is None


def test_order_fields() -> None:
    """Ranking reads only what it looks at; of an attribute's times all that they may stand in."""
    order = parse_order("name.sub,level.observedAt,createdAt,id", CONTEXT)
    level = {f"attrs.{name('level')}": 1, f"sys.{name('level')}": 1, "usual": 1}
    assert order_fields(order) == {"_id": 1, f"attrs.{name('name')}": 1, "created": 1, **level}


@pytest.fixture(scope="module")
def indexed(mongo_uri: str) -> Iterator[Collection[dict[str, Any]]]:
    """Give a collection with the indexes that the broker makes, and one on the value of an attribute."""
    with MongoClient[dict[str, Any]](mongo_uri) as client:
        collection = client["tsunagu_test_filters"]["entities"]
        collection.create_index([("keys", ASCENDING), ("_id", ASCENDING)], name="keys")
        collection.create_index([("geo", GEOSPHERE)], name="geo")
        collection.create_index([(f"attrs.{name('level')}.value", ASCENDING)], name="level")
        collection.insert_many(
            held(
                entity(
                    f"{number:04}",
                    f"T{number % 50}",
                    {"level": prop(number), "location": geo("Point", [139 + number / 1000, 35])},
                    scope=[f"/A/s{number % 100}/x", "B"],
                )
            )
            for number in range(1000)
        )
        yield collection
        client.drop_database("tsunagu_test_filters")


@pytest.mark.parametrize(
    ("query", "index", "examined"),
    [
        (EntityQuery(types=parse_types("T7", CONTEXT)), "keys", 20),
        (EntityQuery(types=parse_types("T7", CONTEXT), now=5), "keys", 20),
        (EntityQuery(types=parse_types("T7|T8", CONTEXT)), "keys", 40),
        (EntityQuery(geo=parse_geo("near;maxDistance==500", "Point", [139.5, 35], None, CONTEXT)), "geo", 30),
        (EntityQuery(geo=parse_geo("equals", "Point", [139.5, 35], None, CONTEXT)), "geo", 12),
        (EntityQuery(id_pattern=parse_pattern("^urn:00[0-9]{2}")), "_id_", 100),
        (EntityQuery(q=parse_q("level>990", CONTEXT)), "level", 9),
        (EntityQuery(q=parse_q("level==5,7", CONTEXT)), "level", 2),
        (EntityQuery(scope=parse_scope("/A/s7/#")), "keys", 10),
        (EntityQuery(scope=parse_scope("/A/s7/x")), "keys", 10),
        (EntityQuery(scope=parse_scope("/A/s7/+")), "keys", 10),
        (EntityQuery(types=parse_types("T7", CONTEXT), scope=parse_scope("/A/s7/#")), "keys", 10),
        (EntityQuery(types=parse_types("T7", CONTEXT), scope=parse_scope("/B")), "keys", 20),
    ],
)
def test_indexes_serve(indexed: Collection[dict[str, Any]], query: EntityQuery, index: str, examined: int) -> None:
    """The filter of a selective query is served by an index, and few documents are looked at."""
    condition = to_filter(query, members={name("level"): {"value"}})
    plan = indexed.database.command("explain", {"find": indexed.name, "filter": condition}, verbosity="executionStats")
    assert f"'indexName': '{index}'" in str(plan["queryPlanner"]["winningPlan"])
    assert plan["executionStats"]["totalDocsExamined"] <= examined
