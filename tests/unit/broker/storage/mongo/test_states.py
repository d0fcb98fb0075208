"""States of an entity follow from its log records, forwards and back."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.broker.storage.mongo.histories import AGES, GONE, NAMES, changes, changes_of
from tsunagu.broker.changes import Change
from tsunagu.broker.storage.mongo.records import is_whole, records_of
from tsunagu.broker.storage.mongo.states import bare, change_of, redo, undo

wholes = st.lists(
    st.fixed_dictionaries({name: st.sampled_from([age for age in AGES if age != GONE]) for name in NAMES}),
    min_size=2,
    max_size=5,
)


@given(changes())
def test_states_follow_from_records_forwards_and_back(history: list[Change]) -> None:
    """Redoing a record gives the document after its change, undoing it the one before."""
    for one in history:
        own = records_of(one)[0]
        assert redo(own, one.before) == one.after
        assert undo(own, one.after) == one.before


@given(wholes)
def test_what_was_before_follows_from_the_record_below(ages: list[dict[str, int | None]]) -> None:
    """A record without the part before is undone by what the record below has after its change."""
    history = changes_of([(1000, step) for step in ages])
    records = [records_of(change)[0] for change in history]
    for (_, below), (change, record) in pairwise(zip(history, records, strict=True)):
        assert is_whole(record)
        short = {**{key: part for key, part in record.items() if key != "b"}, "p": True}
        assert is_whole(short)
        assert undo(short, change.after, below) == change.before
        assert redo(short, change.before) == change.after
        assert change_of(short, "", change.before, change.after) == change


def test_without_the_record_below_there_are_no_attributes_before() -> None:
    """Where the history was erased, what was before is the entity without attributes, under its version."""
    _, change = changes_of([(0, {"a": None}), (1000, {"a": None})])
    record = {**records_of(change)[0], "p": True}
    assert change.before is not None
    before = undo(record, change.after)
    assert before == {**change.before, "attrs": {}, "sys": {}, "modified": change.at}


def test_a_change_of_nothing_is_told_as_such() -> None:
    """A record whose entity is not there raises an error that names it."""
    record = records_of(changes_of([(0, {"a": None}), (1000, {"b": None})])[1])[0]
    for step in (undo, redo):
        with pytest.raises(ValueError, match="changes an entity that is not there"):
            step(record, None)


def test_what_only_mongodb_has_is_taken_out() -> None:
    """The keys, the span that earlier versions had, and the mark are of MongoDB's form of a document alone."""
    assert bare({"_id": "urn:e", "keys": ["T", 5], "span": 5, "whole": 3, "v": 3}) == {"_id": "urn:e", "v": 3}
