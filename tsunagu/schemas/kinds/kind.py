"""What an attribute kind is: one frozen record of small pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Terms(Protocol):
    """What a kind needs of a JSON-LD context."""

    def expand_term(self, term: str) -> str:
        """Return the IRI of a vocabulary term; raises ValueError for an impossible one."""

    def expand_id(self, value: str) -> str:
        """Return a URI with a declared prefix resolved."""

    def compact_iri(self, iri: str) -> str:
        """Return the shortest term or name for a vocabulary IRI."""


def same(value: Any) -> Any:
    """Return the value itself."""
    return value


def keep(value: Any, _terms: Terms) -> Any:
    """Return the value itself, whatever the terms."""
    return value


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kind:
    """One kind of attribute (Property, Relationship …) and all that is peculiar to it.

    `member` holds its value in the normalized form, `previous` the value before a change (notifications), `plural` the
    values over time (temporal representation). Of the functions, `value` is always what stands in `member`:

    * `read(value, terms)`: as a client gave it → as it is stored; raises ValueError saying what would be right.
    * `patch(value, terms)`: the same for a merge patch, in which NGSI-LD Nulls stand for removals.
    * `write(value, terms)`: as stored → normalized output.
    * `concise(value)`: normalized output → concise output.
    * `simplify(value)`: normalized output → simplified output (4.5.4).
    * `wrap(value)`: simplified input → the value for `read`.
    * `is_null(value)`: whether it is the NGSI-LD Null of this kind, that asks for deletion; `null` is that value.
    * `equal(a, b)`: whether two stored values mean the same.

    `extras` are the members, beyond those of every attribute, that it may have: unitCode, valueType, objectType.
    """

    name: str
    member: str
    previous: str
    plural: str
    null: Any
    read: Callable[[Any, Terms], Any]
    patch: Callable[[Any, Terms], Any]
    is_null: Callable[[Any], bool]
    write: Callable[[Any, Terms], Any] = keep
    concise: Callable[[Any], Any] = same
    simplify: Callable[[Any], Any] = same
    wrap: Callable[[Any], Any] = same
    equal: Callable[[Any, Any], bool]
    extras: frozenset[str] = frozenset()
