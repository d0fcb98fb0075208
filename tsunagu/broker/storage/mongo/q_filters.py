"""q as a MongoDB condition (4.9; for what targets are see `tsunagu.broker.query.ast`).

Most conditions are exact. Where MongoDB cannot say what is meant, the condition lets more through than it should, and
is marked: an interval on a trailing path (`a[b]==1..3`, whose two bounds could hold of different elements of an array)
and conditions on one instance deeper than MAX_LEVELS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.broker.query.ast import And, Between, Compare, Exists, Like, Linked, Or, PointsTo
from tsunagu.broker.query.leaves import milliseconds
from tsunagu.broker.query.q_match import KEYED_MEMBERS, OBJECT_MEMBERS, VALUE_MEMBERS, is_negated
from tsunagu.broker.storage.mongo.conditions import NOTHING, all_of, any_of, on_one_instance
from tsunagu.broker.storage.mongo.keys import KEYS
from tsunagu.broker.storage.mongo.language_maps import any_language
from tsunagu.broker.storage.mongo.operands import is_interval, operands_of
from tsunagu.broker.storage.mongo.spans import span_operators
from tsunagu.broker.storage.mongo.usual_times import MEMBERS, USUAL

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from tsunagu.broker.query.ast import Path, QNode
    from tsunagu.broker.storage.mongo.conditions import Condition
    from tsunagu.broker.storage.mongo.operands import Operands

    Members = Mapping[str, Collection[str]]

MAX_LEVELS = 3
ALL_MEMBERS = frozenset({*VALUE_MEMBERS, *OBJECT_MEMBERS, "languageMap", "json"})
_MIXED = ("value", "valueList")
_ORDER = {">": "$gt", ">=": "$gte", "<": "$lt", "<=": "$lte"}


def q_condition(node: QNode, members: Members) -> Condition:
    """Return the condition of a tree without Linked nodes. `members`: see `filters.to_filter`."""
    if isinstance(node, And | Or):
        join = all_of if isinstance(node, And) else any_of
        return join([q_condition(part, members) for part in node.parts])
    if isinstance(node, Linked):
        raise TypeError("a linked term must be resolved before it becomes a filter")
    if isinstance(node, Exists):
        return _exists(node)
    if isinstance(node, PointsTo):
        return _points_to(node)
    return _time_condition(node) if node.path.is_time else _Term(node, members).condition()


def is_exact(node: QNode) -> bool:
    """Return whether the condition of a tree says exactly what the tree says."""
    if isinstance(node, And | Or):
        return all(map(is_exact, node.parts))
    if not isinstance(node, Compare | Between | Like) or not node.path.names:
        return True
    interval = is_interval(node)
    if interval and node.path.keys:
        return False
    together = interval or is_negated(node) or (isinstance(node, Between) and node.path.is_time)
    return not together or len(node.path.names) <= MAX_LEVELS


def _attribute(path: Path) -> str:
    return ".".join(("attrs", *path.names))


def _exists(node: Exists) -> Condition:
    path = node.path
    if path.is_time:
        condition: Condition = _time_meets(path, {"$exists": True})
    elif not path.names:
        condition = {"_id" if path.member == "id" else str(path.member): {"$exists": True}}
    else:
        places = [f"{_attribute(path)}{place}" for place in _places(path)]
        condition = any_of({place: {"$exists": True}} for place in places)
    return {"$nor": [condition]} if node.negated else condition


def _places(path: Path) -> list[str]:
    """Return where below an instance the target element is, if it is there."""
    if path.member:
        return [f".{path.member}"]
    if path.keys == ("*",):
        return [".languageMap"]
    if path.keys:
        return [f".{member}.{'.'.join(path.keys)}" for member in KEYED_MEMBERS]
    return [""]


def _points_to(node: PointsTo) -> Condition:
    if not node.ids:
        return NOTHING
    ids = sorted(node.ids)
    return any_of({f"{_attribute(node.path)}.{member}": {"$in": ids}} for member in OBJECT_MEMBERS)


class _Term:
    """One comparison or pattern on values or texts of an attribute, or on texts of the entity."""

    def __init__(self, node: Compare | Between | Like, members: Members) -> None:
        self.path = node.path
        self.negated = is_negated(node)
        self.exact = is_exact(node)
        self.pattern = isinstance(node, Like)
        self.operands: Operands = operands_of(node)
        known = members.get(node.path.names[0]) if len(node.path.names) == 1 else None
        self.members = ALL_MEMBERS if known is None else frozenset(known)

    def condition(self) -> Condition:
        here = f"{_attribute(self.path)}."
        if not self.path.names:
            return self._none_here("") if self.negated else any_of(self._any_here(""))
        if self.path.keys == ("*",):
            return any_of(self._language())
        if not self.exact:
            return (
                {here[:-1]: {"$exists": True}} if self.negated else any_of([*self._any_here(here), *self._language()])
            )
        if not self.negated and not self.operands.interval:
            return any_of([*self._any_here(here), *self._language()])
        segments = (f"attrs.{self.path.names[0]}", *self.path.names[1:])
        make = self._none_here if self.negated else self._one_here
        return any_of([*on_one_instance(segments, make), *self._language()])

    def _one_here(self, prefix: str) -> Condition:
        return any_of(self._any_here(prefix))

    def _none_here(self, prefix: str) -> Condition:
        """Return the condition that the instance at the prefix has the target element, and no target that matches."""
        parts = [self._present(prefix)]
        matching = [each for each in self._any_here(prefix) if each != NOTHING]
        if matching:
            parts.append({"$nor": matching})
        if self._speaks():
            parts.append({f"{prefix}languageMap": {"$exists": False}})
        return all_of(parts)

    def _present(self, prefix: str) -> Condition:
        if self.pattern:
            return any_of({place: {"$type": "string"}} for place in self._text_places(prefix))
        if not self.path.names:
            return {"_id" if self.path.member == "id" else str(self.path.member): {"$exists": True}}
        places = _places(self.path)
        return {} if places == [""] else any_of({prefix + place[1:]: {"$exists": True}} for place in places)

    def _text_places(self, prefix: str) -> Iterator[str]:
        if not self.path.names:
            yield "_id" if self.path.member == "id" else str(self.path.member)
        elif self.path.member or self.path.keys:
            yield from (prefix + place[1:] for place in _places(self.path))
        else:
            yield from (prefix + member for member in VALUE_MEMBERS)

    def _speaks(self) -> bool:
        """Return whether strings in any language are among the targets, and may match."""
        if self.path.keys == ("*",):
            return True
        return (
            self.operands.language is not None and not self.path.member and not self.path.keys and bool(self.path.names)
        )

    def _language(self) -> list[Condition]:
        if not self._speaks() or "languageMap" not in self.members:
            return []
        test = self.operands.language
        if test is None:
            return [{f"{_attribute(self.path)}.languageMap": {"$exists": True}}] if self.negated else []
        return [any_language(self.path.names, test, negated=self.negated, some=self.pattern)]

    def _any_here(self, prefix: str) -> list[Condition]:
        """Return the alternatives that a target of the instance at the prefix matches, languages aside."""
        operands = self.operands
        conditions: list[Condition] = []
        for place, operand in self._operand_places(prefix):
            if operand is None:
                continue
            if not operands.interval or not self.exact:
                conditions.append({place: operand})
                continue
            conditions.append({place: {"$elemMatch": operand}})
            if not place.endswith("valueList"):
                conditions.append({place: {**operand, "$not": {"$type": "array"}}})
        return conditions

    def _operand_places(self, prefix: str) -> Iterator[tuple[str, Any]]:
        """Yield the paths where a target may be, each with what it is compared to there."""
        operands, path = self.operands, self.path
        if not path.names:
            yield "_id" if path.member == "id" else str(path.member), operands.text
        elif path.member:
            yield f"{prefix}{path.member}", operands.text
        elif path.keys:
            for place in _places(path):
                spoken = place.startswith(".languageMap.")
                yield prefix + place[1:], operands.text if spoken else operands.plain
                yield f"{prefix}{place[1:]}.@value", None if spoken else operands.typed
        else:
            yield from self._member_places(prefix)

    def _member_places(self, prefix: str) -> Iterator[tuple[str, Any]]:
        for member in _MIXED:
            if member in self.members:
                yield prefix + member, self.operands.plain
                yield f"{prefix}{member}.@value", self.operands.typed
        for member in ("vocab", *(OBJECT_MEMBERS if self.operands.objects else ())):
            if member in self.members:
                yield prefix + member, self.operands.text


def _time_path(path: Path) -> str:
    return f"{'.'.join(_time_segments(path))}.{path.member}" if path.names else str(path.member)


def _time_segments(path: Path) -> list[str]:
    """Return the paths from one level of `sys` to the next."""
    return [f"sys.{path.names[0]}", *(f"s.{name}" for name in path.names[1:])]


def _time_condition(node: Compare | Between | Like) -> Condition:
    """Return the condition on a system time; a time is no string, so that patterns never match."""
    path = node.path
    if isinstance(node, Like):
        return NOTHING
    negated = is_negated(node)
    operators = _time_operators(node)
    if operators is None:
        return _exists(Exists(path)) if negated else NOTHING
    if negated:
        operators = {"$exists": True, "$not": operators}
    elif path.member == "modified" and not path.names:
        return {KEYS: {"$elemMatch": span_operators(operators)}, "modified": operators}
    if not path.names or (isinstance(node, Compare) and not negated):
        return _time_meets(path, operators)
    if not is_exact(node):
        return _exists(Exists(path))
    member = path.member
    here = on_one_instance(_time_segments(path), lambda prefix: {f"{prefix}{member}": operators})
    return any_of([*here, *_usual(path, operators)])


def _time_meets(path: Path, operators: Condition) -> Condition:
    """Return the condition that a system time of any instance is there and meets the operators."""
    return any_of([{_time_path(path): operators}, *_usual(path, operators)])


def _usual(path: Path, operators: Condition) -> list[Condition]:
    """Return the condition on the time of an attribute of which nothing stands in `sys` (`usual_times`), if any."""
    if len(path.names) != 1 or path.member not in MEMBERS:
        return []
    name = path.names[0]
    left_out = {f"attrs.{name}": {"$exists": True}, f"sys.{name}": {"$exists": False}}
    return [{**left_out, f"{USUAL}.{path.member}": operators}]


def _time_operators(node: Compare | Between) -> Condition | None:
    """Return the operators of the positive form, None if no time can match."""
    if isinstance(node, Between):
        low, high = milliseconds(node.low), milliseconds(node.high)
        return None if low is None or high is None else {"$gte": low, "$lte": high}
    moments = [moment for moment in map(milliseconds, node.values) if moment is not None]
    if not moments:
        return None
    return {_ORDER[node.operator]: moments[0]} if node.operator in _ORDER else {"$in": moments}
