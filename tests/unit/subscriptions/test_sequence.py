"""The order of an entity's versions where changes come from several processes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tsunagu.broker.changes import Change
from tsunagu.subscriptions.sequence import Sequence


def change(version: int, *, entity: str = "e", writer: str = "w", kind: Any = "updated") -> Change:
    def document(v: int) -> dict[str, Any]:
        return {"_id": entity, "type": [], "attrs": {}, "sys": {}, "v": v}

    before = None if kind == "created" else document(version - 1)
    after = None if kind == "deleted" else document(version)
    return Change("", writer, version, entity, kind, 0, before, after, ())


@dataclass
class Heard:
    """What a sequence let go, and the commits that are open meanwhile."""

    versions: list[int] = field(default_factory=list)
    open: frozenset[int] = frozenset()

    def sequence(self) -> Sequence:
        return Sequence(lambda one, _: self.versions.append(one.version), lambda: self.open)


def test_what_follows_goes_at_once() -> None:
    """A change whose predecessor has gone on goes on at once; a repeat does, too."""
    heard = Heard()
    sequence = heard.sequence()
    sequence.offer(change(5), read=True, sure=True)
    assert sequence.offer(change(6), read=False)
    assert sequence.offer(change(5), read=True)
    assert heard.versions == [5, 6, 5]


def test_an_unknown_predecessor_is_waited_for() -> None:
    """A change waits for the one before it, and goes when that has come, from wherever."""
    heard = Heard()
    sequence = heard.sequence()
    sequence.offer(change(5), read=True, sure=True)
    assert not sequence.offer(change(7), read=False)
    assert not sequence.offer(change(8), read=False)
    assert heard.versions == [5]
    sequence.offer(change(6, writer="other"), read=True)
    assert heard.versions == [5, 6, 7, 8]
    assert not sequence.waiting


def test_after_a_whole_look_nothing_is_waited_for() -> None:
    """When all logs were read after a change came, what was not found before it does not exist."""
    heard = Heard()
    sequence = heard.sequence()
    assert not sequence.offer(change(7), read=False)
    sequence.release()
    assert heard.versions == []
    sequence.look()
    sequence.release()
    assert heard.versions == [7]


def test_a_commit_under_way_is_waited_for() -> None:
    """A change whose predecessor may be a commit of this process that is not settled waits until it is."""
    heard = Heard(open=frozenset({1, 2}))
    sequence = heard.sequence()
    sequence.offer(change(7, writer="other"), read=True)
    sequence.look()
    heard.open = frozenset({2, 3})
    sequence.release()
    assert heard.versions == []
    sequence.offer(change(6), read=False)
    heard.open = frozenset()
    sequence.look()
    sequence.release()
    assert heard.versions == [6, 7]


def test_a_long_row_of_waiting_versions_goes_on() -> None:
    """Thousands of versions of one entity that wait for one before them go on when it comes."""
    heard = Heard()
    sequence = heard.sequence()
    for version in range(2, 5000):
        sequence.offer(change(version), read=False)
    sequence.offer(change(1), read=True, sure=True)
    assert heard.versions == list(range(1, 5000))


def test_entities_do_not_wait_for_each_other() -> None:
    """A change that waits holds up its entity only."""
    heard = Heard()
    sequence = heard.sequence()
    sequence.offer(change(1, entity="a"), read=True, sure=True)
    sequence.offer(change(3, entity="a"), read=False)
    sequence.offer(change(10, entity="b"), read=True, sure=True)
    assert sequence.offer(change(11, entity="b"), read=False)
    assert heard.versions == [1, 10, 11]


@given(st.permutations(range(2, 12)), st.sets(st.integers(2, 11)))
def test_any_order_becomes_the_order_of_versions(order: list[int], looked: set[int]) -> None:
    """However the versions come, each before the look that would give it up, they go on in order."""
    heard = Heard()
    sequence = heard.sequence()
    sequence.offer(change(1), read=True, sure=True)
    for version in order:
        sequence.offer(change(version, writer=str(version % 3)), read=version in looked)
    sequence.look()
    sequence.release()
    assert heard.versions == list(range(1, 12))
