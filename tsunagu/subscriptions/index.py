"""Finding the few subscriptions that a change may concern among very many.

A subscription is put where a change must look for it, by the most telling thing that it fixes, in this order: the
entity's id, the start of its id (idPattern), a type, nothing; and below that by watched attribute (or "any"); and below
that by a *gate*, a condition that it cannot do without: `attribute == value`, an area, `attribute > number` and such.
Thresholds are kept in order and bisected, areas in a grid: 100,000 subscriptions to 100,000 thresholds cost a change no
more than those that it really crosses.

What is found may still not match: `matching.concerns` decides.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from typing import TYPE_CHECKING, Any

from tsunagu.broker.query.ast import And, Compare, QNode
from tsunagu.subscriptions.areas import Areas, area_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tsunagu.subscriptions.matching import Effect
    from tsunagu.subscriptions.subscription import Subscription

Gate = tuple[str, str, Any]
SCALARS = (int, float, str)
SHORTEST_PREFIX = 4
SPECIAL = frozenset("^$.[]()*+?{}|")
REPEATS = frozenset("*?{")


def gate_of(subscription: Subscription) -> Gate | None:
    """Return what must hold for a subscription's conditions to hold: (attribute, operator, value), None if nothing.

    The operator "@" stands for an area, its value for the cells.
    """
    compared = _comparison(subscription.query.q) if subscription.meets is not None else None
    if compared is not None and compared[1] == "==":
        return compared
    geo = subscription.query.geo
    cells = area_of(geo) if geo is not None else None
    if geo is not None and cells is not None:
        return geo.attribute, "@", cells
    return compared


def _comparison(node: QNode | None) -> Gate | None:
    if isinstance(node, And):
        found = [gate for gate in map(_comparison, node.parts) if gate is not None]
        return min(found, key=lambda gate: gate[1] != "==", default=None)
    if not isinstance(node, Compare) or len(node.values) != 1:
        return None
    path, value = node.path, node.values[0]
    if len(path.names) != 1 or path.member is not None or path.keys or isinstance(value, bool):
        return None
    if node.operator == "==" and isinstance(value, SCALARS):
        return path.names[0], "==", value
    if node.operator in {">", ">=", "<", "<="} and isinstance(value, int | float):
        return path.names[0], node.operator[0], value
    return None


class Thresholds:
    """Subscriptions in the order of a number that q compares with."""

    __slots__ = ("_rows",)

    def __init__(self) -> None:
        self._rows: list[tuple[float, int, Subscription]] = []

    def add(self, number: float, subscription: Subscription) -> None:
        """Put a subscription in."""
        insort(self._rows, (number, id(subscription), subscription))

    def remove(self, number: float, subscription: Subscription) -> None:
        """Take a subscription out."""
        place = bisect_left(self._rows, (number, id(subscription)))
        if place < len(self._rows) and self._rows[place][2] is subscription:
            del self._rows[place]

    def up_to(self, number: float) -> Iterator[Subscription]:
        """Return those whose number is at most `number`."""
        return (row[2] for row in self._rows[: bisect_right(self._rows, number, key=lambda row: row[0])])

    def from_(self, number: float) -> Iterator[Subscription]:
        """Return those whose number is at least `number`."""
        return (row[2] for row in self._rows[bisect_left(self._rows, number, key=lambda row: row[0]) :])

    def everything(self) -> Iterator[Subscription]:
        """Return all."""
        return (row[2] for row in self._rows)

    def __len__(self) -> int:
        return len(self._rows)


class Gates:
    """Subscriptions whose conditions cannot hold unless one attribute compares to a value or lies in an area."""

    __slots__ = ("above", "areas", "below", "equal")

    def __init__(self) -> None:
        self.areas = Areas()
        self.equal: dict[Any, dict[Subscription, None]] = {}
        self.above = Thresholds()
        self.below = Thresholds()

    def add(self, operator: str, value: Any, subscription: Subscription) -> None:
        """Put a subscription in."""
        if operator == "@":
            self.areas.add(value, subscription)
        elif operator == "==":
            self.equal.setdefault(value, {})[subscription] = None
        else:
            (self.above if operator == ">" else self.below).add(value, subscription)

    def remove(self, operator: str, value: Any, subscription: Subscription) -> None:
        """Take a subscription out."""
        if operator == "@":
            self.areas.remove(value, subscription)
        elif operator == "==":
            same = self.equal.get(value)
            if same is not None:
                same.pop(subscription, None)
                if not same:
                    del self.equal[value]
        else:
            (self.above if operator == ">" else self.below).remove(value, subscription)

    def __bool__(self) -> bool:
        return bool(self.equal or len(self.above) or len(self.below) or self.areas)

    def passing(self, value: Any) -> Iterator[Subscription]:
        """Return those that the attribute, as it stands in a document, may let through."""
        if self.areas:
            yield from self.areas.at(value)
        scalar = _scalar(value)
        if scalar is None:
            for same in self.equal.values():
                yield from same
            yield from self.above.everything()
            yield from self.below.everything()
            return
        yield from self.equal.get(scalar, ())
        if isinstance(scalar, int | float):
            yield from self.above.up_to(scalar)
            yield from self.below.from_(scalar)


def _scalar(value: Any) -> Any:
    """Return the one number or string that an attribute holds; None if it holds something else, or several."""
    if isinstance(value, dict):
        found = value.get("value") if value.get("type") == "Property" else value.get("object")
        if isinstance(found, SCALARS) and not isinstance(found, bool):
            return found
    return None


class Shelf:
    """Subscriptions that share id, type and watched attribute."""

    __slots__ = ("gated", "plain")

    def __init__(self) -> None:
        self.plain: dict[Subscription, None] = {}
        self.gated: dict[str, Gates] = {}

    def add(self, subscription: Subscription, gate: Gate | None) -> None:
        """Put a subscription in."""
        if gate is None:
            self.plain[subscription] = None
        else:
            self.gated.setdefault(gate[0], Gates()).add(gate[1], gate[2], subscription)

    def remove(self, subscription: Subscription, gate: Gate | None) -> None:
        """Take a subscription out."""
        if gate is None:
            self.plain.pop(subscription, None)
        elif gate[0] in self.gated:
            gates = self.gated[gate[0]]
            gates.remove(gate[1], gate[2], subscription)
            if not gates:
                del self.gated[gate[0]]

    def __bool__(self) -> bool:
        return bool(self.plain or self.gated)

    def gather(self, attrs: dict[str, Any], found: dict[Subscription, None]) -> None:
        """Put those that a document with these attributes may concern into `found`."""
        found.update(self.plain)
        for name, gates in self.gated.items():
            value = attrs.get(name)
            if value is not None:
                found.update(dict.fromkeys(gates.passing(value)))


Key = tuple[str, str]
ANYTHING: Key = ("", "")
Shelves = dict[str | None, Shelf]


class SubscriptionIndex:
    """The subscriptions of one tenant."""

    def __init__(self) -> None:
        self._shelves: dict[Key, Shelves] = {}
        self._count = 0
        self._prefixes: dict[int, int] = {}

    def __len__(self) -> int:
        return self._count

    def add(self, subscription: Subscription) -> None:
        """Put a subscription in."""
        self._count += 1
        gate = gate_of(subscription)
        for key, attribute in places(subscription):
            if key[0] == "p":
                self._prefixes[len(key[1])] = self._prefixes.get(len(key[1]), 0) + 1
            self._shelves.setdefault(key, {}).setdefault(attribute, Shelf()).add(subscription, gate)

    def remove(self, subscription: Subscription) -> None:
        """Take a subscription out that was put in."""
        self._count -= 1
        gate = gate_of(subscription)
        for key, attribute in places(subscription):
            if key[0] == "p":
                self._prefixes[len(key[1])] -= 1
                if not self._prefixes[len(key[1])]:
                    del self._prefixes[len(key[1])]
            shelves = self._shelves.get(key, {})
            shelf = shelves.get(attribute)
            if shelf is None:
                continue
            shelf.remove(subscription, gate)
            if not shelf:
                del shelves[attribute]
                if not shelves:
                    del self._shelves[key]

    def shelves_for(self, entity_id: str, types: Iterable[str]) -> list[Shelves]:
        """Return where subscriptions to an entity with this id and these types (IRIs) stand."""
        shelves = self._shelves
        found = [shelves[key] for key in [("t", iri) for iri in types] if key in shelves]
        for length in self._prefixes:
            key = ("p", entity_id[:length])
            if key in shelves:
                found.append(shelves[key])
        if ("i", entity_id) in shelves:
            found.append(shelves["i", entity_id])
        if ANYTHING in shelves:
            found.append(shelves[ANYTHING])
        return found


def candidates(shelves: list[Shelves], effect: Effect) -> Iterable[Subscription]:
    """Return the subscriptions on these shelves that a change may concern, each once."""
    found: dict[Subscription, None] = {}
    attrs = effect.document["attrs"]
    for one in shelves:
        shelf = one.get(None)
        if shelf is not None:
            shelf.gather(attrs, found)
        if len(one) > 1 or shelf is None:
            for name in effect.names:
                shelf = one.get(name)
                if shelf is not None:
                    shelf.gather(attrs, found)
    return found


def prefix_of(pattern: str) -> str:
    """Return what every text that a regular expression matches must begin with, as far as it is easily seen."""
    if not pattern.startswith("^") or "|" in pattern:
        return ""
    found: list[str] = []
    at = 1
    while at < len(pattern) and pattern[at] not in SPECIAL:
        if pattern[at] == "\\":
            at += 1
            if at >= len(pattern) or pattern[at].isalnum():
                break
        found.append(pattern[at])
        at += 1
    if at < len(pattern) and pattern[at] in REPEATS and found:
        found.pop()
    return "".join(found)


def places(subscription: Subscription) -> list[tuple[Key, str | None]]:
    """Return where a subscription belongs: each (id or type, watched attribute or None) that it is found under."""
    keys: dict[Key, None] = {}
    for selector in subscription.selectors:
        if selector.ids is not None:
            keys.update({("i", one): None for one in selector.ids})
            continue
        prefix = prefix_of(selector.id_pattern.source) if selector.id_pattern is not None else ""
        if len(prefix) >= SHORTEST_PREFIX:
            keys["p", prefix] = None
        elif selector.types is not None:
            keys.update({("t", alternative[0]): None for alternative in selector.types.alternatives})
        else:
            keys[ANYTHING] = None
    if not keys:
        keys[ANYTHING] = None
    attributes: Iterable[str | None] = subscription.watched or (None,)
    return [(key, attribute) for key in keys for attribute in sorted(attributes, key=str)]
