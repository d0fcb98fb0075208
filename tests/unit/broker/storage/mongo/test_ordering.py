"""Orders that are ranked in memory, with collations by MongoDB (4.23)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pymongo import AsyncMongoClient

from tests.contract.query_documents import CONTEXT, entity, geo, name, prop
from tsunagu.broker.errors import TooManyResults
from tsunagu.broker.query.ast import ROOT_COLLATION, EntityQuery
from tsunagu.broker.query.collation import parse_collation
from tsunagu.broker.query.geo import parse_geo
from tsunagu.broker.query.order import parse_order
from tsunagu.broker.query.types import parse_types
from tsunagu.broker.storage.mongo import collation, ordering
from tsunagu.broker.storage.mongo.keys import held
from tsunagu.broker.storage.mongo.ordering import ranked_ids

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pymongo.asynchronous.collection import AsyncCollection

TEXTS = ["Zebra", "A", "b", "á", "Ähre", "a", "Azur", "$x", "10", "9"]


@pytest.fixture
async def entities(mongo_uri: str) -> AsyncIterator[AsyncCollection[dict[str, Any]]]:
    """Give a collection with names, numbers and places."""
    async with AsyncMongoClient[dict[str, Any]](mongo_uri) as client:
        collection = client["tsunagu_test_ordering"]["entities"]
        await collection.drop()
        documents = [
            *(entity(text, "Name", {"name": prop(text)}) for text in TEXTS),
            *(entity(f"n{number}", "Number", {"size": prop(number)}) for number in (10, 9, 2)),
            *(entity(f"p{x}", "Place", {"location": geo("Point", [x, 0])}) for x in (3, 1, 2)),
        ]
        await collection.insert_many(map(held, documents))
        yield collection
        await client.drop_database("tsunagu_test_ordering")


async def order(
    entities: AsyncCollection[dict[str, Any]], kind: str, text: str, tag: str | None = None, **more: Any
) -> list[str]:
    query = EntityQuery(
        types=parse_types(kind, CONTEXT),
        order=parse_order(text, CONTEXT, order_from=more.pop("order_from", None)),
        collation=ROOT_COLLATION if tag is None else parse_collation(tag),
        **more,
    )
    return [entity_id.removeprefix("urn:") for entity_id in await ranked_ids(entities, query)]


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        (None, ["$x", "10", "9", "a", "A", "á", "Ähre", "Azur", "b", "Zebra"]),
        ("und", ["$x", "10", "9", "a", "A", "á", "Ähre", "Azur", "b", "Zebra"]),
        ("und-u-kf-upper", ["$x", "10", "9", "A", "a", "á", "Ähre", "Azur", "b", "Zebra"]),
        ("und-u-kn", ["$x", "9", "10", "a", "A", "á", "Ähre", "Azur", "b", "Zebra"]),
        ("sv", ["$x", "10", "9", "a", "A", "á", "Azur", "b", "Zebra", "Ähre"]),
        ("und-u-ks-level1", ["$x", "10", "9", "A", "a", "á", "Ähre", "Azur", "b", "Zebra"]),
        ("de-u-co-phonebk", ["$x", "10", "9", "a", "A", "á", "Ähre", "Azur", "b", "Zebra"]),
    ],
)
async def test_collations(entities: AsyncCollection[dict[str, Any]], tag: str | None, expected: list[str]) -> None:
    """Texts order by the collation, by that of root if none is given (4.23.1); what is equal in it, by id."""
    assert await order(entities, "Name", "name", tag) == expected


async def test_descending(entities: AsyncCollection[dict[str, Any]]) -> None:
    """Numbers order as numbers, descending too."""
    assert await order(entities, "Number", "size;desc") == ["n10", "n9", "n2"]


async def test_distances(entities: AsyncCollection[dict[str, Any]]) -> None:
    """Places order by distance."""
    assert await order(entities, "Place", "location;dist-asc", order_from="[0,0]") == ["p1", "p2", "p3"]


async def test_what_the_filter_cannot_say(entities: AsyncCollection[dict[str, Any]]) -> None:
    """Only entities that pass the test in memory are put in order."""
    near = parse_geo("near;minDistance==150000", "Point", [0, 0], None, CONTEXT)
    assert await order(entities, "Place", "location;dist-desc", order_from="[0,0]", geo=near) == ["p3", "p2"]


async def test_too_many_entities(entities: AsyncCollection[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """More entities than can be held are refused."""
    monkeypatch.setattr(ordering, "MAX_ENTITIES", 2)
    with pytest.raises(TooManyResults, match="orderBy"):
        await order(entities, "Number", "size")


async def test_too_long_texts(entities: AsyncCollection[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """More text than a command of MongoDB holds is refused."""
    monkeypatch.setattr(collation, "MAX_BYTES", 50)
    with pytest.raises(TooManyResults, match="orderBy"):
        await order(entities, "Name", "name")


async def test_every_collation_is_known(entities: AsyncCollection[dict[str, Any]]) -> None:
    """MongoDB knows the locale of every language that has a collation of its own."""
    languages = [
        "af",
        "de",
        "es-u-co-trad",
        "fr-CA",
        "ja",
        "ko",
        "no",
        "sr-Latn",
        "zh-Hant",
        "zh-u-co-stroke",
        "ln-u-co-phonetic",
    ]
    for language in languages:
        assert len(await order(entities, "Name", "name", language)) == len(TEXTS)
    assert name("name")
