"""Ordering entities in memory (4.23)."""

from __future__ import annotations

from typing import Any

from tests.contract.query_documents import CONTEXT, entity, geo, lang, prop, rel, values
from tsunagu.broker.query.order import parse_order
from tsunagu.broker.query.ranking import compile_ranker, ordered_ids, texts_of


def ordered(documents: list[dict[str, Any]], text: str, **options: Any) -> list[str]:
    """Return the labels in the order, texts by their code points."""
    order = parse_order(text, CONTEXT, **options)
    rows = [compile_ranker(order)(document) for document in documents]
    places = {text: place for place, text in enumerate(sorted(texts_of(rows)))}
    return [entity_id.removeprefix("urn:") for entity_id in ordered_ids(rows, order, places)]


MIXED = [
    entity("none"),
    entity("null", attrs={"a": prop([None])}),
    entity("datetime", attrs={"a": prop("2026-01-01T00:00:00Z")}),
    entity("date", attrs={"a": prop("2026-01-01")}),
    entity("time", attrs={"a": prop("10:00:00Z")}),
    entity("truth", attrs={"a": prop(False)}),
    entity("array", attrs={"a": values(1, 2)}),
    entity("object", attrs={"a": lang(en="x")}),
    entity("text", attrs={"a": rel("urn:x")}),
    entity("number", attrs={"a": prop(10**9)}),
]
DATATYPES = ["number", "text", "object", "array", "truth", "time", "date", "datetime", "null", "none"]


def test_datatypes() -> None:
    """Datatypes order as 4.23.2 has it, null and then absence last."""
    assert ordered(MIXED, "a") == DATATYPES


def test_datatypes_descending() -> None:
    """Descending order is the reverse, yet null and absence stay last."""
    assert ordered(MIXED, "a;desc") == [*reversed(DATATYPES[:-2]), "null", "none"]


def test_numbers_and_texts() -> None:
    """Numbers order as numbers, texts by the places that the collation gave them, ties by id."""
    documents = [
        entity(label, attrs={"a": prop(value)})
        for label, value in [("b", 10), ("a", 9), ("d", "x"), ("c", "y"), ("e", "x")]
    ]
    assert ordered(documents, "a") == ["a", "b", "d", "e", "c"]


def test_moments_order_by_time() -> None:
    """DateTimes order by time, however many digits they have."""
    documents = [
        entity("a", attrs={"a": prop("2026-01-01T00:00:00.5Z")}),
        entity("b", attrs={"a": prop("2026-01-01T00:00:00Z")}),
        entity("c", attrs={"a": prop({"@type": "DateTime", "@value": "2025-12-31T00:00:00Z"})}),
    ]
    assert ordered(documents, "a") == ["c", "b", "a"]


def test_several_keys() -> None:
    """Later keys decide among entities that are equal by the earlier ones, each in its own direction."""
    documents = [
        entity("a", attrs={"x": prop(1), "y": prop(1)}),
        entity("b", attrs={"x": prop(1), "y": prop(2)}),
        entity("c", attrs={"x": prop(0), "y": prop(0)}),
    ]
    assert ordered(documents, "x,y;desc") == ["c", "b", "a"]
    assert ordered(documents, "x;desc,y") == ["a", "b", "c"]


def test_members() -> None:
    """Entities order by their own members and times, and by the times of their attributes."""
    documents = [
        entity("a", "U", {"t": prop(1, observedAt="2026-01-02T00:00:00Z")}, created=2),
        entity("b", "T", {"t": prop(1, observedAt="2026-01-01T00:00:00Z")}, created=3),
        entity("c", "V", {"t": prop(1)}, created=1),
    ]
    assert ordered(documents, "createdAt") == ["c", "a", "b"]
    assert ordered(documents, "id;desc") == ["c", "b", "a"]
    assert ordered(documents, "type") == ["b", "a", "c"]
    assert ordered(documents, "t.observedAt") == ["b", "a", "c"]


def test_paths() -> None:
    """Sub-attributes, their times and members of the value can be ordered by; the first instance counts."""
    documents = [
        entity("a", attrs={"t": prop({"k": {"l": 2}}, sub={"s": prop(1, observedAt="2026-01-02T00:00:00Z")})}),
        entity(
            "b",
            attrs={
                "t": [
                    prop({"k": {"l": 1}}, sub={"s": prop(2, observedAt="2026-01-01T00:00:00Z")}),
                    prop(0, datasetId="urn:d"),
                ]
            },
        ),
        entity("c", attrs={"t": prop(5)}),
    ]
    assert ordered(documents, "t.s") == ["a", "b", "c"]
    assert ordered(documents, "t[k.l]") == ["b", "a", "c"]
    assert ordered(documents, "t.s.observedAt") == ["b", "a", "c"]


def test_distances() -> None:
    """Entities order by distance, those without the GeoProperty after them by value."""
    documents = [
        entity("far", attrs={"location": geo("Point", [9, 41])}),
        entity("near", attrs={"location": geo("Point", [8.1, 40])}),
        entity("line", attrs={"location": geo("LineString", [[7, 40.1], [9, 40.1]])}),
        entity("text", attrs={"location": prop("here")}),
        entity("none"),
    ]
    assert ordered(documents, "location;dist-asc", order_from="[8,40]") == ["near", "line", "far", "text", "none"]
    assert ordered(documents, "location;dist-desc", order_from="[8,40]") == ["text", "far", "line", "near", "none"]
