"""Both readers of a query, the matcher in memory and the MongoDB filter, give the answers of one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo import GEOSPHERE, MongoClient

from tests.contract import query_strategies as strategies
from tests.contract import query_table as table
from tests.contract.query_documents import CONTEXT, entity, name, prop
from tests.examples import examples
from tests.unit.broker.query.patterns import patterns as random_patterns
from tests.unit.broker.query.patterns import texts as random_texts
from tsunagu.broker.query.ast import EntityQuery, EntitySelector, Like, Path
from tsunagu.broker.query.geo import parse_geo
from tsunagu.broker.query.match import compile_matcher
from tsunagu.broker.query.pattern import parse_pattern
from tsunagu.broker.query.q import parse_q
from tsunagu.broker.query.scope import parse_scope
from tsunagu.broker.query.types import parse_types
from tsunagu.broker.storage.mongo.filters import residual, to_filter
from tsunagu.broker.storage.mongo.keys import held
from tsunagu.broker.storage.mongo.usual_times import fill_in, leave_out

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymongo.collection import Collection

Q_ROWS = [
    *table.NUMBERS, *table.TEXTS, *table.PATTERNS, *table.PATHS, *table.TIMES, *table.ENTITY, *table.LOGIC
]  # fmt: skip


@pytest.fixture(scope="module")
def query_collection(mongo_uri: str) -> Iterator[Collection[dict[str, Any]]]:
    """Give a collection with the documents of the table, and with the index on location that the broker has."""
    with MongoClient[dict[str, Any]](mongo_uri) as client:
        collection = client["tsunagu_test_query"]["entities"]
        collection.drop()
        collection.create_index([("geo", GEOSPHERE)])
        collection.insert_many(map(stored, table.DOCUMENTS))
        yield collection
        client.drop_database("tsunagu_test_query")


@pytest.fixture(scope="module")
def scratch_collection(mongo_uri: str) -> Iterator[Collection[dict[str, Any]]]:
    """Give an empty collection for random documents."""
    with MongoClient[dict[str, Any]](mongo_uri) as client:
        yield client["tsunagu_test_query_random"]["entities"]
        client.drop_database("tsunagu_test_query_random")


def stored(document: dict[str, Any], *, times_left_out: bool = True) -> dict[str, Any]:
    """Return a document as MongoDB has it, of this version or (False) as earlier versions stored it."""
    row = held(document)
    if times_left_out:
        leave_out(row)
    return row


def labels(documents: Any) -> list[str]:
    return sorted(document["_id"].removeprefix("urn:") for document in documents)


def check(collection: Collection[dict[str, Any]], query: EntityQuery, expected: str) -> None:
    wanted = sorted(expected.split())
    matches = compile_matcher(query)
    assert labels(filter(matches, table.DOCUMENTS)) == wanted
    remains = residual(query)
    for nearest_first in (False, True):
        found = [fill_in(row) for row in collection.find(to_filter(query, nearest_first=nearest_first))]
        assert set(labels(found)) >= set(wanted), "the filter loses what matches"
        assert labels(found if remains is None else filter(remains, found)) == wanted


@pytest.mark.parametrize(("text", "expected"), Q_ROWS)
def test_q(query_collection: Collection[dict[str, Any]], text: str, expected: str) -> None:
    """A query in the language q matches the documents of the table (4.9)."""
    check(query_collection, EntityQuery(q=parse_q(text, CONTEXT)), expected)


@pytest.mark.parametrize(("text", "expected"), table.EXPANDED)
def test_q_with_expanded_values(query_collection: Collection[dict[str, Any]], text: str, expected: str) -> None:
    """Values of attributes in expandValues are expanded to IRIs before they are compared (4.9, EXAMPLE 12)."""
    check(query_collection, EntityQuery(q=parse_q(text, CONTEXT, expand_values=["color"])), expected)


@pytest.mark.parametrize(("text", "expected"), table.TYPES)
def test_types(query_collection: Collection[dict[str, Any]], text: str, expected: str) -> None:
    """A type selection matches the documents of the table (4.17)."""
    check(query_collection, EntityQuery(types=parse_types(text, CONTEXT)), expected)


@pytest.mark.parametrize(("text", "expected"), table.SCOPES)
def test_scopes(query_collection: Collection[dict[str, Any]], text: str, expected: str) -> None:
    """A scope query matches the documents of the table (4.19)."""
    check(query_collection, EntityQuery(scope=parse_scope(text)), expected)


@pytest.mark.parametrize(("parameters", "expected"), table.GEO)
def test_geo(query_collection: Collection[dict[str, Any]], parameters: tuple[Any, ...], expected: str) -> None:
    """A geoquery matches the documents of the table (4.10)."""
    check(query_collection, EntityQuery(geo=parse_geo(*parameters, CONTEXT)), expected)


def test_ids(query_collection: Collection[dict[str, Any]]) -> None:
    """Any of the ids will do, and ids that do not exist do no harm."""
    check(query_collection, EntityQuery(ids=("urn:num1", "urn:red", "urn:nowhere")), "num1 red")


def test_one_id(query_collection: Collection[dict[str, Any]]) -> None:
    """A single id selects one entity."""
    check(query_collection, EntityQuery(ids=("urn:num1",)), "num1")


def test_ids_and_pattern(query_collection: Collection[dict[str, Any]]) -> None:
    """Ids and an id pattern in one query must both hold (5.7.2.4)."""
    query = EntityQuery(ids=("urn:num1", "urn:red"), id_pattern=parse_pattern("num"))
    check(query_collection, query, "num1")


def test_selectors(query_collection: Collection[dict[str, Any]]) -> None:
    """An entity has to meet one of several selectors (5.2.33)."""
    canal, odd = parse_types("Canal", CONTEXT), parse_types("Odd", CONTEXT)
    selectors = (
        EntitySelector(canal),
        EntitySelector(odd, id_pattern=parse_pattern("pan$")),
        EntitySelector(None, ("urn:red",)),
    )
    check(query_collection, EntityQuery(selectors=selectors), "num3 japan red")


def test_a_selector_for_everything(query_collection: Collection[dict[str, Any]]) -> None:
    """A selector with type * selects every entity."""
    everything = " ".join(labels(table.DOCUMENTS))
    check(query_collection, EntityQuery(selectors=(EntitySelector(),)), everything)


def test_attributes(query_collection: Collection[dict[str, Any]]) -> None:
    """An entity has to have one of the attributes at least."""
    check(query_collection, EntityQuery(attrs=(name("temp"), name("price"))), "acc1 acc2 acc3 acc4 dollar")


def test_expired(query_collection: Collection[dict[str, Any]]) -> None:
    """An entity whose expiry is not later than now does not match (4.22)."""
    check(query_collection, EntityQuery(types=parse_types("Fading", CONTEXT), now=1000), "new")


def test_all_conditions_hold(query_collection: Collection[dict[str, Any]]) -> None:
    """All conditions of a query have to hold at once (5.7.2.4)."""
    query = EntityQuery(
        types=parse_types("River", CONTEXT),
        id_pattern=parse_pattern("num"),
        attrs=(name("level"),),
        q=parse_q("level>1", CONTEXT),
        now=5,
    )
    check(query_collection, query, "num2 num3")


def test_known_members(query_collection: Collection[dict[str, Any]]) -> None:
    """Where an attribute is known to hold plain values, the filter is one condition on one path."""
    query = EntityQuery(q=parse_q("level>2", CONTEXT))
    condition = to_filter(query, members={name("level"): {"value"}})
    assert condition == {f"attrs.{name('level')}.value": {"$gt": 2}}
    assert labels(query_collection.find(condition)) == ["mixed", "multi", "num2", "num3", "wide"]


@settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(documents=strategies.documents(), trees=st.lists(strategies.trees, min_size=1, max_size=8))
def test_q_readers_agree(
    scratch_collection: Collection[dict[str, Any]], documents: list[dict[str, Any]], trees: list[Any]
) -> None:
    """On random documents and random trees of q, both readers give the same answer."""
    agree(scratch_collection, documents, [EntityQuery(q=tree) for tree in trees])


@settings(
    max_examples=examples(40),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(documents=strategies.documents(), queries=st.lists(strategies.queries, min_size=1, max_size=6))
def test_readers_agree(
    scratch_collection: Collection[dict[str, Any]], documents: list[dict[str, Any]], queries: list[EntityQuery]
) -> None:
    """On random documents and random queries, geoqueries among them, both readers give the same answer."""
    agree(scratch_collection, documents, queries)


@settings(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sources=st.lists(random_patterns, min_size=1, max_size=4),
    candidates=st.lists(random_texts, min_size=1, max_size=8, unique=True),
)
def test_patterns_agree(
    scratch_collection: Collection[dict[str, Any]], sources: list[str], candidates: list[str]
) -> None:
    """On random regular expressions and random texts, our search and MongoDB's give the same answer."""
    documents = [entity(str(number), attrs={"a": prop(text)}) for number, text in enumerate(candidates)]
    patterns = map(parse_pattern, sources)
    agree(scratch_collection, documents, [EntityQuery(q=Like(Path((name("a"),)), pattern)) for pattern in patterns])


def agree(collection: Collection[dict[str, Any]], documents: list[dict[str, Any]], queries: list[EntityQuery]) -> None:
    collection.delete_many({})
    collection.insert_many(stored(one, times_left_out=bool(place % 2)) for place, one in enumerate(documents, 1))
    for query in queries:
        matches, remains = compile_matcher(query), residual(query)
        found = [fill_in(row) for row in collection.find(to_filter(query))]
        wanted = labels(filter(matches, documents))
        assert labels(found if remains is None else filter(remains, found)) == wanted, to_filter(query)
