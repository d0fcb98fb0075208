"""The TIMES tree beside an instance."""

from __future__ import annotations

from tsunagu.schemas.system_times import system_times

ACCURACY = "~accuracy"
SOURCE = "~source"


def prop(value, **members):
    return {"type": "Property", "value": value, **members}


def test_a_new_instance_is_created_and_modified_now():
    """4.8: both system times of something new are the time of writing."""
    assert system_times(prop(1), 500) == {"c": 500, "m": 500}


def test_creation_time_is_kept_from_the_instance_before():
    """5.6.2.4: createdAt of a replaced instance remains unchanged."""
    assert system_times(prop(2), 900, {"c": 500, "m": 500, "o": 3}) == {"c": 500, "m": 900}


def test_observed_and_expiry_times_are_kept_as_numbers():
    """The observedAt and expiresAt of an instance stand in its TIMES as epoch ms."""
    instance = prop(1, observedAt="1970-01-01T00:00:01Z", expiresAt="1970-01-01T00:00:02.5Z")
    assert system_times(instance, 5) == {"c": 5, "m": 5, "o": 1000, "e": 2500}


def test_sub_attributes_have_times_of_their_own():
    """5.2.2: every attribute, at whatever depth, has its system times."""
    instance = prop(1, **{ACCURACY: prop(2, **{SOURCE: prop("x", observedAt="1970-01-01T00:00:01Z")})})
    assert system_times(instance, 5) == {
        "c": 5,
        "m": 5,
        "s": {ACCURACY: {"c": 5, "m": 5, "s": {SOURCE: {"c": 5, "m": 5, "o": 1000}}}},
    }


def test_structured_values_are_no_sub_attributes():
    """Objects in the value members are values, not attributes with times."""
    instance = {"type": "LanguageProperty", "languageMap": {"en": "x"}}
    assert system_times(instance, 5) == {"c": 5, "m": 5}


def test_a_sub_attribute_keeps_its_creation_time():
    """A sub-attribute that was there before keeps createdAt; a new one is created now."""
    previous = {"c": 1, "m": 2, "s": {ACCURACY: {"c": 1, "m": 2}}}
    instance = prop(1, **{ACCURACY: prop(3), SOURCE: prop("x")})
    assert system_times(instance, 9, previous)["s"] == {ACCURACY: {"c": 1, "m": 9}, SOURCE: {"c": 9, "m": 9}}


def test_an_unchanged_sub_attribute_keeps_all_its_times():
    """Where the instance before is known, what did not change was not modified."""
    before = prop(1, **{ACCURACY: prop(3), SOURCE: prop("x")})
    previous = {"c": 1, "m": 2, "s": {ACCURACY: {"c": 1, "m": 2}, SOURCE: {"c": 1, "m": 2}}}
    after = prop(5, **{ACCURACY: prop(3), SOURCE: prop("y")})
    assert system_times(after, 9, previous, before=before)["s"] == {
        ACCURACY: {"c": 1, "m": 2},
        SOURCE: {"c": 1, "m": 9},
    }


def test_several_instances_of_a_sub_attribute_have_a_list_of_times():
    """The TIMES of a multi-attribute are parallel to its instances, and are matched by datasetId."""
    first, second = prop(1), prop(2, datasetId="urn:x:2")
    before = prop(0, **{ACCURACY: [first, second]})
    previous = system_times(before, 5)
    assert previous["s"] == {ACCURACY: [{"c": 5, "m": 5}, {"c": 5, "m": 5}]}
    after = prop(0, **{ACCURACY: [prop(2, datasetId="urn:x:2"), prop(3, datasetId="urn:x:3")]})
    times = system_times(after, 9, previous, before=before)
    assert times["s"] == {ACCURACY: [{"c": 5, "m": 5}, {"c": 9, "m": 9}]}


def test_a_sub_attribute_that_became_one_of_several_keeps_its_times():
    """An instance is found again by its datasetId when the number of instances changes."""
    before = prop(0, **{ACCURACY: prop(1)})
    previous = system_times(before, 5)
    after = prop(0, **{ACCURACY: [prop(1), prop(3, datasetId="urn:x:3")]})
    assert system_times(after, 9, previous, before=before)["s"] == {ACCURACY: [{"c": 5, "m": 5}, {"c": 9, "m": 9}]}
