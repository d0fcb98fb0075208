"""Finding the few subscriptions that a change may concern among very many.

A subscription is put where a change must look for it (`placement`), by the most telling thing that it fixes, in this
order: the entity's id, the start of its id (idPattern), a type, nothing; and below that by watched attribute (or
"any"); and below that by a *gate*, a condition that it cannot do without: `attribute == value`, an area,
`attribute > number` and such. Thresholds are kept in order and bisected, areas in a grid: 100,000 subscriptions to
100,000 thresholds cost a change no more than those that it really crosses.

What is found may still not match: `matching.concerns` decides.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Any

from tsunagu.subscriptions.areas import Areas
from tsunagu.subscriptions.bunch import with_one, without
from tsunagu.subscriptions.placement import ANY, ID, PREFIX, SCALARS, TYPE, placement_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tsunagu.subscriptions.bunch import Bunch
    from tsunagu.subscriptions.matching import Effect
    from tsunagu.subscriptions.placement import Gate
    from tsunagu.subscriptions.subscription import Subscription

UNGATED = 2  # a shelf with so few needs no gates


class Thresholds:
    """Subscriptions in the order of a number that q compares with."""

    __slots__ = ("_numbers", "_rows")

    def __init__(self) -> None:
        self._numbers: list[float] = []
        self._rows: list[Subscription] = []

    def add(self, number: float, subscription: Subscription) -> None:
        """Put a subscription in."""
        place = bisect_right(self._numbers, number)
        self._numbers.insert(place, number)
        self._rows.insert(place, subscription)

    def remove(self, number: float, subscription: Subscription) -> None:
        """Take a subscription out."""
        for place in range(bisect_left(self._numbers, number), bisect_right(self._numbers, number)):
            if self._rows[place] is subscription:
                del self._numbers[place], self._rows[place]
                return

    def up_to(self, number: float) -> Iterable[Subscription]:
        """Return those whose number is at most `number`."""
        return self._rows[: bisect_right(self._numbers, number)]

    def from_(self, number: float) -> Iterable[Subscription]:
        """Return those whose number is at least `number`."""
        return self._rows[bisect_left(self._numbers, number) :]

    def everything(self) -> Iterable[Subscription]:
        """Return all."""
        return self._rows

    def __len__(self) -> int:
        return len(self._rows)


class Gates:
    """Subscriptions whose conditions cannot hold unless one attribute compares to a value or lies in an area."""

    __slots__ = ("above", "areas", "below", "equal")

    def __init__(self) -> None:
        self.areas = Areas()
        self.equal: dict[Any, Bunch] = {}
        self.above = Thresholds()
        self.below = Thresholds()

    def add(self, operator: str, value: Any, subscription: Subscription) -> None:
        """Put a subscription in."""
        if operator == "@":
            self.areas.add(value, subscription)
        elif operator == "==":
            self.equal[value] = with_one(self.equal.get(value, ()), subscription)
        else:
            (self.above if operator == ">" else self.below).add(value, subscription)

    def remove(self, operator: str, value: Any, subscription: Subscription) -> None:
        """Take a subscription out."""
        if operator == "@":
            self.areas.remove(value, subscription)
        elif operator == "==":
            rest = without(self.equal.get(value, ()), subscription)
            if rest:
                self.equal[value] = rest
            else:
                self.equal.pop(value, None)
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
    """Subscriptions that share what they are looked for by; `watching`: those of them to one attribute, by its name.

    Those in `plain` are always looked at, those in `gated` when they may pass.
    """

    __slots__ = ("gated", "plain", "watching")

    def __init__(self) -> None:
        self.plain: Bunch = ()
        self.gated: dict[str, Gates] | None = None
        self.watching: dict[str, Shelf] | None = None

    def add(self, subscription: Subscription, attribute: str | None, gate: Gate | None) -> None:
        """Put a subscription in."""
        if attribute is not None:
            if self.watching is None:
                self.watching = {}
            self.watching.setdefault(attribute, Shelf()).add(subscription, None, gate)
        elif gate is None or len(self.plain) < UNGATED:
            self.plain = with_one(self.plain, subscription)
        else:
            if self.gated is None:
                self.gated = {}
            self.gated.setdefault(gate[0], Gates()).add(gate[1], gate[2], subscription)

    def remove(self, subscription: Subscription, attribute: str | None, gate: Gate | None) -> None:
        """Take a subscription out."""
        if attribute is not None:
            shelf = self.watching.get(attribute) if self.watching is not None else None
            if self.watching is not None and shelf is not None:
                shelf.remove(subscription, None, gate)
                if not shelf:
                    del self.watching[attribute]
            return
        self.plain = without(self.plain, subscription)
        if gate is not None and self.gated is not None and gate[0] in self.gated:
            gates = self.gated[gate[0]]
            gates.remove(gate[1], gate[2], subscription)
            if not gates:
                del self.gated[gate[0]]

    def __bool__(self) -> bool:
        return bool(self.plain or self.gated or self.watching)

    def gather(self, attrs: dict[str, Any], found: dict[Subscription, None]) -> None:
        """Put those to any attribute that a document with these attributes may concern into `found`."""
        found.update(dict.fromkeys(self.plain))
        if self.gated is not None:
            for name, gates in self.gated.items():
                value = attrs.get(name)
                if value is not None:
                    found.update(dict.fromkeys(gates.passing(value)))


class SubscriptionIndex:
    """The subscriptions of one tenant; `late` is how many of them ask for late data."""

    def __init__(self) -> None:
        self.late = 0
        self._shelves: dict[str, dict[str, Shelf]] = {ANY: {}, ID: {}, PREFIX: {}, TYPE: {}}
        self._count = 0
        self._prefixes: dict[int, int] = {}

    def __len__(self) -> int:
        return self._count

    def add(self, subscription: Subscription) -> None:
        """Put a subscription in."""
        placement = placement_of(subscription)
        self._count += 1
        self.late += subscription.late
        for kind, name in placement.keys:
            if kind == PREFIX:
                self._prefixes[len(name)] = self._prefixes.get(len(name), 0) + 1
            shelves = self._shelves[kind]
            shelf = shelves.get(name)
            if shelf is None:
                shelf = shelves[name] = Shelf()
            for attribute in placement.attributes:
                shelf.add(subscription, attribute, placement.gate)

    def remove(self, subscription: Subscription) -> None:
        """Take a subscription out that was put in."""
        self._count -= 1
        self.late -= subscription.late
        placement = placement_of(subscription)
        for kind, name in placement.keys:
            if kind == PREFIX:
                self._prefixes[len(name)] -= 1
                if not self._prefixes[len(name)]:
                    del self._prefixes[len(name)]
            shelves = self._shelves[kind]
            shelf = shelves.get(name)
            if shelf is None:
                continue
            for attribute in placement.attributes:
                shelf.remove(subscription, attribute, placement.gate)
            if not shelf:
                del shelves[name]

    def shelves_for(self, entity_id: str, types: Iterable[str]) -> list[Shelf]:
        """Return where subscriptions to an entity with this id and these types (IRIs) stand."""
        by_type, by_prefix = self._shelves[TYPE], self._shelves[PREFIX]
        found = [by_type[iri] for iri in types if iri in by_type]
        for length in self._prefixes:
            shelf = by_prefix.get(entity_id[:length])
            if shelf is not None:
                found.append(shelf)
        shelf = self._shelves[ID].get(entity_id)
        if shelf is not None:
            found.append(shelf)
        found.extend(self._shelves[ANY].values())
        return found


def candidates(shelves: list[Shelf], effect: Effect) -> Iterable[Subscription]:
    """Return the subscriptions on these shelves that a change may concern, each once."""
    found: dict[Subscription, None] = {}
    attrs = effect.document["attrs"]
    for shelf in shelves:
        shelf.gather(attrs, found)
        if shelf.watching is not None:
            for name in effect.names:
                watching = shelf.watching.get(name)
                if watching is not None:
                    watching.gather(attrs, found)
    return found
