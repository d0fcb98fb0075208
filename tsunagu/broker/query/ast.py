"""The syntax trees of the query languages (ETSI GS CIM 009 v1.9.1, 4.9 to 4.11, 4.17, 4.19, 4.21, 4.23).

Parsers make these trees; `match` reads them in memory and `storage.mongo.filters` turns them into MongoDB filters.
All names in a tree are stored names (expanded IRIs, "." escaped), so that a tree stands without its @context.
All nodes are frozen and hashable, except that a GeoQuery holds its GeoJSON geometry as given.

What a term of q looks at, the *targets* of an attribute instance, is for both readers the same:

=================  ===========================================================================================
Property           `value`; a JSON array stands for its elements
Relationship       `object`; only == and != can match
LanguageProperty   any string of `languageMap`, or those of one language, `name[en]`
VocabProperty      `vocab`, as IRIs
JsonProperty       `json`, only with a trailing path
ListProperty       the elements of `valueList`
ListRelationship   the elements of `objectList`; only == and != can match
=================  ===========================================================================================

An attribute with several instances (datasetId) matches if any of its instances does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tsunagu.broker.query.pattern import Pattern


class Terms(Protocol):
    """What the parsers need of a resolved @context."""

    def expand_term(self, term: str) -> str:
        """Return the IRI of a term."""

    def attribute(self, term: str) -> str:
        """Return the stored name of an attribute."""


# --- values ---------------------------------------------------------------------------------------------------

MomentKind = Literal["DateTime", "Date", "Time"]


@dataclass(frozen=True, slots=True)
class Moment:
    """A DateTime, Date or Time of 4.6.3 in a query.

    `key` orders moments of one kind by time when compared as text (see `moments`); `ms` is epoch milliseconds,
    of a Date its midnight UTC, None for a Time.
    """

    kind: MomentKind
    key: str
    ms: int | None


Value = float | int | bool | str | Moment
Operator = Literal["==", "!=", ">", ">=", "<", "<="]


# --- q --------------------------------------------------------------------------------------------------------

EntityMember = Literal["id", "type", "scope", "created", "modified", "expires"]
TimeMember = Literal["o", "c", "m", "e"]
TextMember = Literal["unitCode", "datasetId", "objectType", "valueType", "type"]


@dataclass(frozen=True, slots=True)
class Path:
    """What a term of q, or an ordering term, addresses.

    `names`: the attribute and its sub-attributes, e.g. (temperature, accuracy). Empty: a member of the entity itself.
    `member`: instead of the value, a member of the entity (id, type, scope, created, modified, expires), or of the
    instance: a system time, as key of `sys` ("o" observedAt, "c" createdAt, "m" modifiedAt, "e" expiresAt), or text.
    `keys`: the trailing path into the value, e.g. ("city",); ("*",) means any language.
    """

    names: tuple[str, ...]
    member: EntityMember | TimeMember | TextMember | None = None
    keys: tuple[str, ...] = ()

    @property
    def is_time(self) -> bool:
        """Whether the path addresses a time that the documents hold as epoch milliseconds."""
        return self.member in TIMES


TIMES = frozenset({"o", "c", "m", "e", "created", "modified", "expires"})


@dataclass(frozen=True, slots=True)
class Exists:
    """The target element is there; `negated`: it is not (`!attr`, which other brokers and the test suite know)."""

    path: Path
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Compare:
    """The target compares to a value. == and != take one or more values (a ValueList), the others exactly one.

    == matches if a target equals any of the values, != if the target element is there and no target equals any.
    Values of different types are unequal and have no order.
    """

    path: Path
    operator: Operator
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Between:
    """A target lies in the closed interval; `negated` (!=): the target element is there and no target does."""

    path: Path
    low: Value
    high: Value
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Like:
    """A string among the targets matches the pattern; `negated` (!~=): there are strings and none matches."""

    path: Path
    pattern: Pattern
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Linked:
    """An entity that the Relationship points to meets `inner`: `sensor{Device:humidity}==40`.

    `types` narrows the entities to look at. `linked.resolve_linked` replaces this node by PointsTo;
    the readers refuse it.
    """

    path: Path
    types: TypeSelection | None
    inner: QNode


@dataclass(frozen=True, slots=True)
class PointsTo:
    """The Relationship or ListRelationship has any of the ids as an object."""

    path: Path
    ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class And:
    """All of the parts."""

    parts: tuple[QNode, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of the parts."""

    parts: tuple[QNode, ...]


QNode = Exists | Compare | Between | Like | Linked | PointsTo | And | Or


# --- types, scopes, selectors ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TypeSelection:
    """Alternatives, each a set of types (IRIs) that an entity must have all of: (A;B)|C is ((A, B), (C,))."""

    alternatives: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class ScopePattern:
    """Levels of a scope, "+" for any one level; `subtree`: and everything below. No levels: any scope (/#)."""

    levels: tuple[str, ...]
    subtree: bool = False


@dataclass(frozen=True, slots=True)
class ScopeSelection:
    """Alternatives, each a set of patterns that an entity's scopes must all meet."""

    alternatives: tuple[tuple[ScopePattern, ...], ...]


@dataclass(frozen=True, slots=True)
class EntitySelector:
    """An EntitySelector of 5.2.33. `types` None means any type ("*"). Make it with `types.parse_selector`."""

    types: TypeSelection | None = None
    ids: tuple[str, ...] | None = None
    id_pattern: Pattern | None = None


# --- geo, time, order -----------------------------------------------------------------------------------------

Georel = Literal["near", "within", "contains", "overlaps", "intersects", "equals", "disjoint"]


@dataclass(frozen=True, slots=True, eq=False)
class GeoQuery:
    """A geoquery: the GeoProperty `attribute` stands in the relation to `geometry` (GeoJSON, checked).

    Of a near relation, exactly one of the distances (metres) is given.
    """

    relation: Georel
    geometry: Mapping[str, Any]
    attribute: str
    max_distance: float | None = None
    min_distance: float | None = None


@dataclass(frozen=True, slots=True)
class TemporalQuery:
    """An interval on a time member ("o", "c", "m" or "d" for deletedAt): start <= t < end, None for no bound."""

    relation: Literal["before", "after", "between"]
    member: Literal["o", "c", "m", "d"]
    start: int | None
    end: int | None

    def includes(self, moment: int) -> bool:
        """Return whether the epoch milliseconds lie in the interval."""
        return (self.start is None or moment >= self.start) and (self.end is None or moment < self.end)


@dataclass(frozen=True, slots=True, eq=False)
class OrderKey:
    """One ordering term. `distance_from`: order by the distance to this GeoJSON geometry instead of by value."""

    path: Path
    descending: bool = False
    distance_from: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Collation:
    """An ICU collation (RFC 6067), in MongoDB's terms: the locale and the attributes that differ from its defaults."""

    locale: str
    attributes: tuple[tuple[str, str | int | bool], ...] = ()


ROOT_COLLATION = Collation("en")
"""The root collation, the default of 4.23.1. MongoDB has no name for it; English does not depart from it."""


# --- the whole ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class EntityQuery:
    """A query over entities: all of the conditions that are given hold.

    `ids`: the entity has one of them. `selectors`: the entity meets one of them (POST queries, subscriptions).
    `attrs`: stored names; the entity has at least one of them. `now`: epoch milliseconds; entities whose `expires`
    is not later do not match; None where expiry does not matter. `order` and `collation` do not concern matching.
    """

    ids: tuple[str, ...] | None = None
    id_pattern: Pattern | None = None
    types: TypeSelection | None = None
    selectors: tuple[EntitySelector, ...] = ()
    attrs: tuple[str, ...] | None = None
    q: QNode | None = None
    geo: GeoQuery | None = None
    scope: ScopeSelection | None = None
    order: tuple[OrderKey, ...] = ()
    collation: Collation = ROOT_COLLATION
    now: int | None = None
