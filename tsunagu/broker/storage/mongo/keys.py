"""What MongoDB finds an entity by, beside its id and its place: its types, scopes, last modification and expiry.

All stand in one array, so that one index serves them all: what an update costs MongoDB grows with the square of the
number of indexes (docs/decisions/0028). They are told apart by their kinds, which MongoDB never compares with each
other::

    {"keys": [type (an IRI), ..., scope ("/…"), ..., span (a number), due (a date)]}

The array exists in MongoDB's form of a document alone. It changes at most once in ten minutes (`spans`), unless the
types, the scope or the expiry do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bson.datetime_ms import DatetimeMS

from tsunagu.broker.storage.mongo.spans import SPAN_MS, span_of

if TYPE_CHECKING:
    from tsunagu.schemas.entity import Document

KEYS = "keys"
FORMER = "span"
"""A member that earlier versions had in MongoDB's form of a document."""
FIRST_TYPE = "0"
"""Before all types, which begin with a letter, and after all scopes: "/" is the character before it."""
_KEYED = frozenset({"type", "scope", "due"})


def keys_of(document: Document) -> list[Any]:
    """Return the keys of an entity."""
    keys: list[Any] = [*document["type"], span_of(document["modified"])]
    if "scope" in document:
        keys += map(scope_key, document["scope"])
    if "due" in document:
        keys.append(DatetimeMS(document["due"]))
    return keys


def held(document: Document) -> Document:
    """Return an entity's document as MongoDB holds it."""
    return {**document, KEYS: keys_of(document)}


def keys_differ(old: Document, new: Document, left: Document, right: Document) -> bool:
    """Return whether two states of an entity have different keys; `left` and `right` hold what differs of them."""
    if span_of(old["modified"]) != span_of(new["modified"]):
        return True
    return not (_KEYED.isdisjoint(left) and _KEYED.isdisjoint(right))


def scope_key(scope: str) -> str:
    """Return the key of a scope, which may be stored without its first "/" (4.18)."""
    return scope if scope.startswith("/") else f"/{scope}"


def due_before(now: int) -> dict[str, Any]:
    """Return the condition that an entity, or something of it, has expired (epoch ms)."""
    return {KEYS: {"$lte": DatetimeMS(now)}}


_SCOPES = {
    "$map": {
        "input": {"$ifNull": ["$scope", []]},
        "in": {"$concat": ["/", {"$ltrim": {"input": "$$this", "chars": "/"}}]},
    }
}
_DUE = {"$cond": [{"$isNumber": "$due"}, [{"$toDate": {"$toLong": "$due"}}], []]}
_SPAN = {"$toLong": {"$floor": {"$divide": ["$modified", SPAN_MS]}}}
IN_MONGODB: dict[str, Any] = {"$concatArrays": ["$type", [_SPAN], _SCOPES, _DUE]}
"""The keys of an entity as an expression of MongoDB's, for entities that an earlier version stored."""
