"""Picking out of a history, read in order, what a wish asks for: so many of each attribute, so many in all."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tsunagu.broker.storage.history import Fact, Wish


class Selection:
    """Takes instances in the order of their time until there are enough.

    `lacking` are the attributes of which more is wanted, with the wish's `last`. `whole` is False once an instance was
    refused because of the wish's `limit`; instances of the time of the last one taken are always taken.
    """

    def __init__(self, wish: Wish, lacking: set[str]) -> None:
        self.wish = wish
        self.lacking = lacking
        self.facts: list[Fact] = []
        self.whole = True
        self._counts: dict[str, int] = {}
        self._boundary: int | None = None

    def add(self, fact: Fact) -> bool:
        """Take an instance, if more of its attribute is wanted; return False when nothing more is wanted at all."""
        last = self.wish.last
        count = self._counts.get(fact.attribute, 0)
        if last is not None and count >= last:
            return True
        moment = fact.moment(self.wish.member)
        if len(self.facts) >= self.wish.limit and moment != self._boundary:
            self.whole = False
            return False
        self._boundary = moment
        self.facts.append(fact)
        self._counts[fact.attribute] = count + 1
        if count + 1 == last:
            self.lacking.discard(fact.attribute)
        return True

    def in_order(self) -> list[Fact]:
        """Return what was taken, oldest first."""
        return sorted(self.facts, key=lambda fact: (fact.moment(self.wish.member) or 0, fact.at))
