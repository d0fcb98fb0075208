"""Random documents and queries over few names and values, so that they meet often."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.contract.query_documents import CONTEXT, entity, geo, name, vocab
from tsunagu.broker.query.ast import (
    And,
    Between,
    Compare,
    EntityQuery,
    Exists,
    GeoQuery,
    Like,
    Or,
    Path,
    PointsTo,
)
from tsunagu.broker.query.moments import read_moment
from tsunagu.broker.query.pattern import parse_pattern
from tsunagu.broker.query.scope import parse_scope
from tsunagu.broker.query.types import parse_types
from tsunagu.schemas.entity import LOCATION

MOMENTS = [
    "2026-01-01T00:00:00Z",
    "2026-01-01T00:00:00.5Z",
    "2026-01-01T00:00:00.50Z",
    "2026-01-01T00:00:00,05Z",
    "2025-12-31T23:59:59.999Z",
    "2026-01-01",
    "2025-12-31",
    "10:00:00Z",
    "10:00:00.000001Z",
    "09:59:59Z",
]
NUMBERS = [0, 1, -1, 2, 2.5, 10, 9, 2**53, 2**62, -0.0]
TEXTS = ["a", "b", "ab", "", "urn:1", "urn:2", "aあ", "$a", "a\nb", "2026-01-01", "10"]
PATTERNS = ["^a", "b$", "a.b", "urn", ".", "^$", "[0-9]+", "(a|あ)+$", "^[^a]"]

texts = st.sampled_from(TEXTS + MOMENTS)
numbers = st.sampled_from(NUMBERS)
scalars = st.one_of(numbers, texts, st.booleans(), st.none())
KEYS = ["k", "l", "en"]


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    typed = st.builds(lambda text: {"@type": "DateTime", "@value": text}, st.sampled_from(MOMENTS))
    return st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=2), typed)


values = st.recursive(scalars, containers, max_leaves=6)
ids = st.sampled_from(["urn:1", "urn:2", "urn:3"])
words = st.one_of(texts, st.lists(texts, min_size=1, max_size=2))
moments_of_day = st.sampled_from([text for text in MOMENTS if "T" in text])


@st.composite
def instances(draw: st.DrawFn, depth: int) -> dict[str, Any]:
    instance = draw(
        st.one_of(
            st.builds(lambda value: {"type": "Property", "value": value}, values),
            st.builds(
                lambda value: {"type": "Relationship", "object": value},
                st.one_of(ids, st.lists(ids, min_size=1, max_size=2)),
            ),
            st.builds(
                lambda value: {"type": "LanguageProperty", "languageMap": value},
                st.dictionaries(st.sampled_from(["en", "k"]), words, max_size=2),
            ),
            st.builds(lambda terms: vocab(*terms), st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=2)),
            st.builds(
                lambda value: {"type": "JsonProperty", "json": value},
                st.dictionaries(st.sampled_from(KEYS), values, max_size=2),
            ),
            st.builds(lambda value: {"type": "ListProperty", "valueList": value}, st.lists(values, max_size=3)),
            st.builds(lambda value: {"type": "ListRelationship", "objectList": value}, st.lists(ids, max_size=3)),
        )
    )
    instance = dict(instance)
    if draw(st.booleans()):
        instance["observedAt"] = draw(moments_of_day)
    if draw(st.booleans()):
        instance["changed"] = draw(moments_of_day)
    if draw(st.booleans()):
        instance["unitCode"] = draw(texts)
    if depth and draw(st.booleans()):
        instance["sub"] = draw(
            st.dictionaries(st.sampled_from(["s", "t"]), attributes(depth - 1), min_size=1, max_size=1)
        )
    return instance


def attributes(depth: int) -> st.SearchStrategy[Any]:
    return st.one_of(instances(depth), st.lists(instances(depth), min_size=2, max_size=3))


coordinates = st.tuples(st.integers(0, 4), st.integers(0, 4)).map(lambda pair: [pair[0] / 10, pair[1] / 10])
lines = st.lists(coordinates, min_size=2, max_size=4, unique_by=tuple)
boxes = st.builds(
    lambda west, south, width, height: [
        [x / 10, y / 10]
        for x, y in (
            (west, south),
            (west + width, south),
            (west + width, south + height),
            (west, south + height),
            (west, south),
        )
    ],
    *[st.integers(0, 3)] * 2,
    *[st.integers(1, 3)] * 2,
)
geometries = st.one_of(
    st.builds(lambda at: geo("Point", at), coordinates),
    st.builds(lambda line: geo("LineString", line), lines),
    st.builds(lambda ring: geo("Polygon", [ring]), boxes),
    st.builds(lambda points: geo("MultiPoint", points), st.lists(coordinates, min_size=1, max_size=3)),
    st.builds(lambda some: geo("MultiLineString", some), st.lists(lines, min_size=1, max_size=2)),
)


@st.composite
def documents(draw: st.DrawFn) -> list[dict[str, Any]]:
    drawn = []
    for number in range(draw(st.integers(1, 4))):
        attrs = draw(st.dictionaries(st.sampled_from(["a", "b"]), attributes(2), max_size=2))
        if draw(st.booleans()):
            attrs["location"] = draw(st.one_of(geometries, st.lists(geometries, min_size=2, max_size=2)))
        members: dict[str, Any] = {}
        if draw(st.booleans()):
            members["scope"] = draw(
                st.lists(st.sampled_from(["/A", "/A/B", "A/B/C", "B"]), min_size=1, max_size=2, unique=True)
            )
        if draw(st.booleans()):
            members["expires"] = draw(st.integers(0, 3))
        kinds = draw(st.lists(st.sampled_from(["T", "U"]), min_size=1, max_size=2, unique=True))
        drawn.append(entity(str(number), kinds, attrs, **members))
    return drawn


names = st.sampled_from([("a",), ("b",), ("a", "s"), ("a", "s", "t"), ("b", "t")]).map(
    lambda terms: tuple(map(name, terms))
)
value_paths = st.one_of(
    st.builds(Path, names),
    st.builds(Path, names, st.sampled_from(["unitCode", "datasetId", "type"])),
    st.builds(lambda at, keys: Path(at, None, keys), names, st.sampled_from([("k",), ("k", "l"), ("en",), ("*",)])),
    st.builds(Path, st.just(()), st.sampled_from(["id", "type", "scope"])),
)
time_paths = st.one_of(
    st.builds(Path, names, st.sampled_from(["o", "c", "m", "e"])),
    st.builds(Path, st.just(()), st.sampled_from(["created", "modified", "expires"])),
)
paths = st.one_of(value_paths, value_paths, time_paths)
moments = st.sampled_from(MOMENTS).map(read_moment)
query_values = st.one_of(numbers, texts, moments)


def comparisons(paths: st.SearchStrategy[Path]) -> st.SearchStrategy[Any]:
    equalities = st.builds(
        Compare,
        paths,
        st.sampled_from(["==", "!="]),
        st.lists(st.one_of(query_values, st.booleans()), min_size=1, max_size=3).map(tuple),
    )
    orders = st.builds(
        lambda path, operator, value: Compare(path, operator, (value,)),
        paths,
        st.sampled_from([">", ">=", "<", "<="]),
        query_values,
    )
    return st.one_of(equalities, orders, st.builds(Between, paths, query_values, query_values, st.booleans()))


terms = st.one_of(
    st.builds(Exists, paths, st.booleans()),
    comparisons(paths),
    comparisons(paths),
    st.builds(Like, paths, st.sampled_from(PATTERNS).map(parse_pattern), st.booleans()),
    st.builds(PointsTo, names.map(Path), st.frozensets(ids, max_size=2)),
)
trees = st.recursive(
    terms,
    lambda inner: st.one_of(
        st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=4,
)
scope_queries = st.sampled_from(["/A", "/A/#", "/+/B", "/#", "(/A;/B)|/A/B/C", "/+/+", "/+/#"]).map(parse_scope)
type_queries = st.sampled_from(["T", "T|U", "(T;U)", "V"]).map(lambda text: parse_types(text, CONTEXT))


@st.composite
def geo_queries(draw: st.DrawFn) -> GeoQuery:
    geometry = draw(geometries)["value"]
    relation = draw(st.sampled_from(["near", "within", "contains", "overlaps", "intersects", "equals", "disjoint"]))
    distances: dict[str, float] = {}
    if relation == "near":
        distances[draw(st.sampled_from(["max_distance", "min_distance"]))] = draw(
            st.sampled_from([1.0, 11_000.0, 30_000.0])
        )
    return GeoQuery(relation, geometry, LOCATION, **distances)


queries = st.builds(
    EntityQuery,
    types=st.one_of(st.none(), type_queries),
    q=st.one_of(st.none(), trees),
    geo=st.one_of(st.none(), geo_queries()),
    scope=st.one_of(st.none(), scope_queries),
    now=st.one_of(st.none(), st.just(1)),
)
