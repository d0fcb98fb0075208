"""The index of subscriptions: it finds all that match, and keeps nothing of what was taken out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.subscriptions.samples import NOW, creation, document, subscription
from tsunagu.subscriptions.index import SubscriptionIndex, candidates
from tsunagu.subscriptions.matching import Effect, concerns

VALUES = st.sampled_from([-1, 0, 1, 2.5, "x", "1", True, [1, "x"], {"a": 1}])
OPERATORS = st.sampled_from(["==", "!=", ">", ">=", "<", "<="])
TERMS = st.builds(
    lambda name, operator, value: f"{name}{operator}{value}",
    st.sampled_from("abc"),
    OPERATORS,
    st.sampled_from(["0", "1", "2.5", '"x"', '"1"']),
)
QUERIES = st.one_of(TERMS, st.builds("{};{}".format, TERMS, TERMS), st.builds("{}|{}".format, TERMS, TERMS), st.none())
SELECTORS = st.one_of(
    st.none(),
    st.lists(
        st.fixed_dictionaries(
            {"type": st.sampled_from(["River", "Lake", "River|Lake", "(River;Lake)", "*"])},
            optional={"id": st.sampled_from(["urn:x:a", "urn:x:b"]), "idPattern": st.sampled_from(["a$", "b$"])},
        ),
        min_size=1,
        max_size=3,
    ),
)
MEMBERS = st.fixed_dictionaries(
    {"entities": SELECTORS, "q": QUERIES},
    optional={"watchedAttributes": st.lists(st.sampled_from("abc"), min_size=1, max_size=2, unique=True)},
)


@given(st.lists(MEMBERS, max_size=12), st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3))
def test_the_index_finds_what_a_look_at_all_finds(
    members: list[dict[str, object]], attributes: dict[str, object]
) -> None:
    """Whatever matches a change when every subscription is looked at is among the candidates of the index."""
    everything = [subscription(**{**one, "localOnly": True}) for one in members]
    index = SubscriptionIndex()
    for one in everything:
        index.add(one)
    what = creation(document(**attributes))
    effect = Effect(what)
    found = set(candidates(index.shelves_for(what.entity_id, effect.document["type"]), effect))
    selected = [one for one in everything if _selected(one, effect)]
    assert {one for one in selected if concerns(one, effect, NOW)} == {
        one for one in found if concerns(one, effect, NOW)
    }
    for one in everything:
        index.remove(one)
    assert not index._shelves
    assert len(index) == 0


def _selected(one, effect) -> bool:
    """Tell whether an entity is selected, without the index."""
    from tsunagu.broker.query.ast import EntityQuery
    from tsunagu.broker.query.match import compile_matcher

    return not one.selectors or compile_matcher(EntityQuery(selectors=one.selectors))(effect.document)


def test_thresholds_are_bisected() -> None:
    """Of many subscriptions to thresholds only those that the value passes are looked at."""
    index = SubscriptionIndex()
    for number in range(1000):
        index.add(subscription(id=f"urn:s:{number}", q=f"a>{number}"))
    what = creation(document(a=10.5))
    effect = Effect(what)
    found = list(candidates(index.shelves_for(what.entity_id, effect.document["type"]), effect))
    assert len(found) == 11
