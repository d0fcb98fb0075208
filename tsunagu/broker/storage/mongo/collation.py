"""Putting texts in the order of an ICU collation (4.23.3).

MongoDB has ICU inside. A collation on the query itself would rule out every index, so the texts alone are sent:
`$documents` sorts them without looking at any collection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.broker.errors import TooManyResults

if TYPE_CHECKING:
    from collections.abc import Collection

    from pymongo.asynchronous.database import AsyncDatabase

    from tsunagu.broker.query.ast import Collation

MAX_BYTES = 12 * 1024 * 1024
"""Texts of one ordering at most; a command of MongoDB holds 16 MiB."""


async def places_of(
    database: AsyncDatabase[dict[str, Any]], texts: Collection[str], collation: Collation
) -> dict[str, int]:
    """Return the place of each text in the collation; texts that it holds equal share one.

    Raises TooManyResults if the texts are too long altogether.
    """
    if len(texts) < 2:  # noqa: PLR2004 - nothing to compare
        return dict.fromkeys(texts, 0)
    if sum(len(text.encode()) + 20 for text in texts) > MAX_BYTES:
        raise TooManyResults("orderBy: the texts to put in order exceed 12 MiB; narrow the query")
    pipeline: list[dict[str, Any]] = [
        {"$documents": [{"t": {"$literal": text}} for text in texts]},
        {"$group": {"_id": "$t", "all": {"$push": "$t"}}},
        {"$sort": {"_id": 1}},
    ]
    rules = {"locale": collation.locale, **dict(collation.attributes)}
    places: dict[str, int] = {}
    async with await database.aggregate(pipeline, collation=rules, allowDiskUse=True) as cursor:
        place = 0
        async for group in cursor:
            places.update(dict.fromkeys(group["all"], place))
            place += 1
    return places
