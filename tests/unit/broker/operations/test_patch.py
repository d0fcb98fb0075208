"""The patch algebra: what each provision operation makes of a document (5.5.8, 5.5.12, 5.6)."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsunagu.broker.errors import AlreadyExists, BadRequestData, PreconditionFailed, ResourceNotFound
from tsunagu.broker.operations import patch
from tsunagu.schemas.entity import NULL, instances

ID = "urn:ngsi-ld:T:1"
TEMPERATURE = {"type": "Property", "value": 25, "unitCode": "CEL", "observedAt": "2022-03-14T01:59:26.535Z"}


def entity(**attrs: Any) -> dict[str, Any]:
    return {"id": ID, "type": ["https://example.org/T"], "attrs": attrs}


def document(**attrs: Any) -> dict[str, Any]:
    after = patch.create(None, entity(**attrs), 1000).after
    assert after is not None
    after["v"] = 1000
    return after


def fragment(**attrs: Any) -> dict[str, Any]:
    return {"attrs": attrs}


def touched(outcome: Any) -> set[tuple[str, str, str | None]]:
    return {(touch.attribute, touch.deed, touch.dataset_id) for touch in outcome.touched}


def test_create_refuses_an_entity_that_exists() -> None:
    """5.6.1: creating an entity that is there is AlreadyExists."""
    with pytest.raises(AlreadyExists):
        patch.create(document(), entity(), 2000)


def test_create_gives_system_times() -> None:
    """4.8: a new entity and its attributes carry creation and modification times, and the observation in ms."""
    after = document(t=TEMPERATURE)
    assert (after["created"], after["modified"]) == (1000, 1000)
    assert after["sys"]["t"] == {"c": 1000, "m": 1000, "o": 1647223166535}


def test_update_replaces_the_whole_attribute() -> None:
    """5.5.8 example 2: an update replaces the whole attribute, so that unitCode is gone; createdAt stays."""
    new = {"type": "Property", "value": 100, "observedAt": "2022-03-14T13:00:00.000Z"}
    outcome = patch.update(document(t=TEMPERATURE), ID, fragment(t=new), 2000)
    assert outcome.after is not None
    assert outcome.after["attrs"]["t"] == new
    assert outcome.after["sys"]["t"]["c"] == 1000
    assert outcome.after["sys"]["t"]["m"] == 2000
    assert touched(outcome) == {("t", "updated", None)}


def test_update_deletes_with_a_null() -> None:
    """5.5.8 example 3: an NGSI-LD null as the value deletes the attribute."""
    outcome = patch.update(document(t=TEMPERATURE), ID, fragment(t={"type": "Property", "value": NULL}), 2000)
    assert outcome.after is not None
    assert outcome.after["attrs"] == {}
    assert outcome.after["sys"] == {}
    assert touched(outcome) == {("t", "deleted", None)}


def test_update_appends_what_is_not_there_and_reports_what_it_cannot_delete() -> None:
    """5.6.2: unknown attributes are appended; deleting one that is not there is reported as not updated."""
    outcome = patch.update(
        document(), ID, fragment(a={"type": "Property", "value": 1}, b={"type": "Property", "value": NULL}), 2000
    )
    assert outcome.answer.updated == ["a"]
    assert [name for name, _ in outcome.answer.not_updated] == ["b"]


def test_update_of_one_dataset_leaves_the_others() -> None:
    """4.5.5: only the instance with the same datasetId is replaced; the default instance stands first."""
    one = {"type": "Property", "value": 1, "datasetId": "urn:d:1"}
    outcome = patch.update(document(t=one), ID, fragment(t=TEMPERATURE), 2000)
    assert outcome.after is not None
    assert outcome.after["attrs"]["t"] == [TEMPERATURE, one]
    assert [times["c"] for times in outcome.after["sys"]["t"]] == [2000, 1000]
    outcome.after["v"] = 1
    again = patch.update(outcome.after, ID, fragment(t={**one, "value": 2}), 3000)
    assert again.after is not None
    assert again.after["attrs"]["t"] == [TEMPERATURE, {**one, "value": 2}]
    assert touched(again) == {("t", "updated", "urn:d:1")}


def test_append_without_overwrite_leaves_what_is_there() -> None:
    """5.6.3: with noOverwrite an attribute that exists stays, and is reported."""
    outcome = patch.append(
        document(t=TEMPERATURE), ID, fragment(t={"type": "Property", "value": 1}, u=TEMPERATURE), 2000, overwrite=False
    )
    assert outcome.after is not None
    assert outcome.after["attrs"]["t"] == TEMPERATURE
    assert outcome.answer.updated == ["u"]
    assert [name for name, _ in outcome.answer.not_updated] == ["t"]


def test_an_append_that_does_nothing_changes_nothing() -> None:
    """An append of which nothing remains leaves the very document, so that no change is logged."""
    before = document(t=TEMPERATURE)
    assert patch.append(before, ID, fragment(t=TEMPERATURE), 2000, overwrite=False).after is before


def test_scope_follows_the_rules_of_each_operation() -> None:
    """5.6.2/5.6.3: update replaces a scope only where there is one; append sets it, or adds to it without overwrite."""
    plain, scoped = document(), {**document(), "scope": ["/a"]}
    with_scope = {"attrs": {}, "scope": ["/b"]}
    assert patch.update(plain, ID, with_scope, 2000).after is plain
    assert patch.update(scoped, ID, with_scope, 2000).after["scope"] == ["/b"]  # type: ignore[index]
    assert patch.append(plain, ID, with_scope, 2000).after["scope"] == ["/b"]  # type: ignore[index]
    assert patch.append(scoped, ID, with_scope, 2000, overwrite=False).after["scope"] == ["/a", "/b"]  # type: ignore[index]
    assert "scope" not in patch.delete_attribute(scoped, ID, "scope", 2000).after  # type: ignore[operator]


def test_types_are_added_never_taken() -> None:
    """5.5.8: the types of a fragment are added to those of the entity."""
    outcome = patch.update(
        document(), ID, {"attrs": {}, "type": ["https://example.org/U", "https://example.org/T"]}, 2000
    )
    assert outcome.after is not None
    assert outcome.after["type"] == ["https://example.org/T", "https://example.org/U"]


def test_partial_update_leaves_the_other_members() -> None:
    """5.5.8 example 1: a partial update overwrites the members it names and leaves unitCode."""
    new = {"type": "Property", "value": 100, "observedAt": "2022-03-14T13:00:00.000Z"}
    outcome = patch.partial_update(document(t=TEMPERATURE), ID, "t", new, 2000)
    assert outcome.after is not None
    assert outcome.after["attrs"]["t"] == {**TEMPERATURE, **new}


def test_partial_update_cannot_change_the_kind() -> None:
    """5.6.4: the type of an attribute stays what it is."""
    with pytest.raises(BadRequestData, match="Property"):
        patch.partial_update(document(t=TEMPERATURE), ID, "t", {"type": "Relationship", "object": "urn:x:1"}, 2000)


def test_operations_on_one_attribute_need_it() -> None:
    """5.6.4, 5.6.5, 5.6.19: without the instance they aim at they are ResourceNotFound."""
    before = document(t=TEMPERATURE)
    for act in (
        lambda: patch.partial_update(before, ID, "u", {"value": 1}, 2000),
        lambda: patch.partial_update(before, ID, "t", {"value": 1, "datasetId": "urn:d:9"}, 2000),
        lambda: patch.replace_attribute(before, ID, "u", TEMPERATURE, 2000),
        lambda: patch.delete_attribute(before, ID, "u", 2000),
        lambda: patch.delete_attribute(before, ID, "t", 2000, dataset_id="urn:d:9"),
        lambda: patch.delete_attribute(before, ID, "u", 2000, delete_all=True),
        lambda: patch.delete(None, ID),
        lambda: patch.update(None, ID, fragment(), 2000),
    ):
        with pytest.raises(ResourceNotFound):
            act()


def test_merge_keeps_members_and_goes_into_values() -> None:
    """5.5.12 examples 1 and 2: unnamed members stay, compound values are merged, a null inside removes a key."""
    address = {"type": "Property", "value": {"street": "Straße des 17. Juni", "city": "Berlin", "country": "Germany"}}
    before = document(t=TEMPERATURE, address=address)
    change = fragment(
        t={"type": "Property", "value": 100, "observedAt": "2022-03-14T13:00:00.000Z"},
        address={"type": "Property", "value": {"street": "Pariser Platz", "country": NULL}},
    )
    after = patch.merge(before, ID, change, 2000).after
    assert after is not None
    assert after["attrs"]["t"] == {**TEMPERATURE, "value": 100, "observedAt": "2022-03-14T13:00:00.000Z"}
    assert after["attrs"]["address"]["value"] == {"street": "Pariser Platz", "city": "Berlin"}


def test_merge_takes_the_kind_of_what_is_there_for_plain_values() -> None:
    """5.6.17: a simplified value keeps the kind, a string goes to the language asked for."""
    before = document(
        name={"type": "LanguageProperty", "languageMap": {"en": "bridge", "ja": "橋"}},
        owner={"type": "Relationship", "object": "urn:x:1"},
        t=TEMPERATURE,
    )
    change = fragment(name={"value": "Brücke"}, owner={"value": "urn:x:2"}, t={"value": 7})
    after = patch.merge(before, ID, change, 2000, observed_at="2023-01-01T00:00:00Z", lang="de").after
    assert after is not None
    assert after["attrs"]["name"]["languageMap"] == {"en": "bridge", "ja": "橋", "de": "Brücke"}
    assert after["attrs"]["owner"] == {"type": "Relationship", "object": "urn:x:2"}
    assert after["attrs"]["t"] == {**TEMPERATURE, "value": 7, "observedAt": "2023-01-01T00:00:00Z"}


def test_replace_keeps_createdat_and_tells_what_went() -> None:
    """5.6.18: all content is replaced, createdAt stays; what is gone counts as deleted."""
    outcome = patch.replace(document(a=TEMPERATURE, b=TEMPERATURE), ID, entity(b=TEMPERATURE, c=TEMPERATURE), 2000)
    assert outcome.after is not None
    assert outcome.after["created"] == 1000
    assert touched(outcome) == {("a", "deleted", None), ("b", "updated", None), ("c", "created", None)}


def test_if_match_refuses_another_version() -> None:
    """An If-Match with another version is PreconditionFailed, and the right one goes through."""
    before = document(t=TEMPERATURE)
    with pytest.raises(PreconditionFailed):
        patch.delete(before, ID, if_match=999)
    assert patch.delete(before, ID, if_match=1000).after is None


def test_purge_keeps_or_drops() -> None:
    """5.6.21: purge deletes the entity, the attributes to drop, or all but those to keep."""
    before = {**document(a=TEMPERATURE, b=TEMPERATURE), "scope": ["/x"]}
    assert patch.purge(before, 2000, keep=None, drop=None).after is None
    assert set(patch.purge(before, 2000, keep=["a", "scope"], drop=None).after["attrs"]) == {"a"}  # type: ignore[index]
    dropped = patch.purge(before, 2000, keep=None, drop=["a", "scope"]).after
    assert dropped is not None
    assert set(dropped["attrs"]) == {"b"}
    assert "scope" not in dropped


def test_expiry_takes_the_attribute_or_the_entity() -> None:
    """4.22: an expired attribute goes alone, an expired entity goes whole; the next expiry is known."""
    soon = {"type": "Property", "value": 1, "expiresAt": "1970-01-01T00:00:05Z"}
    later = {"type": "Property", "value": 1, "expiresAt": "1970-01-01T00:00:09Z"}
    before = document(a=soon, b=later, c=TEMPERATURE)
    assert before["due"] == 5000
    after = patch.expire(before, 5000).after
    assert after is not None
    assert set(after["attrs"]) == {"b", "c"}
    assert after["due"] == 9000
    assert patch.expire({**before, "expires": 5000}, 5000).after is None


def test_a_report_never_moves_the_state_backwards() -> None:
    """A reading older than the one that is there stays out of the state and is answered as late; newer ones go in."""
    before = patch.report(None, entity(t=TEMPERATURE), 1000).after
    assert before is not None
    before["v"] = 1
    old = {**TEMPERATURE, "value": 1, "observedAt": "2022-03-14T01:59:26Z"}
    new = {**TEMPERATURE, "value": 2, "observedAt": "2022-03-14T02:00:00Z"}
    outcome = patch.report(before, entity(t=old), 2000)
    assert outcome.after is before
    assert outcome.answer == [("t", old)]
    assert patch.report(before, entity(t=new), 2000).after["attrs"]["t"] == new  # type: ignore[index]


VALUES = st.recursive(
    st.one_of(st.integers(-5, 5), st.text("ab", max_size=2), st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.sampled_from("xyz"), inner, max_size=2)),
    max_leaves=4,
)
INSTANCES = st.builds(
    lambda value, dataset: {"type": "Property", "value": value} | ({"datasetId": dataset} if dataset else {}),
    VALUES,
    st.sampled_from([None, "urn:d:1", "urn:d:2"]),
)


def attribute(found: list[dict[str, Any]]) -> Any:
    unique = list({one.get("datasetId"): one for one in found}.values())
    unique.sort(key=lambda one: "datasetId" in one)
    return unique[0] if len(unique) == 1 else unique


ATTRIBUTES = st.dictionaries(
    st.sampled_from(["a", "b", "c"]), st.lists(INSTANCES, min_size=1, max_size=3).map(attribute), max_size=3
)


@given(ATTRIBUTES, ATTRIBUTES)
def test_update_and_append_put_every_given_instance_in(old: dict[str, Any], new: dict[str, Any]) -> None:
    """After an update or append every given instance is there, all others are as before, and `before` is untouched."""
    before = document(**copy.deepcopy(old))
    kept = copy.deepcopy(before)
    for outcome in (patch.update(before, ID, fragment(**new), 2000), patch.append(before, ID, fragment(**new), 2000)):
        assert outcome.after is not None
        given_keys = {(name, one.get("datasetId")) for name, value in new.items() for one in instances(value)}
        for name in {*old, *new}:
            found = {one.get("datasetId"): one for one in instances(outcome.after["attrs"][name])}
            for one in instances(new.get(name, [])):
                assert found.pop(one.get("datasetId")) == one
            for one in instances(old.get(name, [])):
                if (name, one.get("datasetId")) not in given_keys:
                    assert found.pop(one.get("datasetId")) == one
            assert not found
            value, times = outcome.after["attrs"][name], outcome.after["sys"][name]
            assert isinstance(value, list) == isinstance(times, list)
            assert len(instances(value)) == len(instances(times))
    assert before == kept


@given(ATTRIBUTES, ATTRIBUTES)
def test_merging_a_fragment_twice_is_merging_it_once(old: dict[str, Any], new: dict[str, Any]) -> None:
    """A merge is idempotent but for the modification times."""
    once = patch.merge(document(**old), ID, fragment(**new), 2000).after
    assert once is not None
    once["v"] = 1
    twice = patch.merge(once, ID, fragment(**new), 3000).after
    assert twice is not None
    assert twice["attrs"] == once["attrs"]
