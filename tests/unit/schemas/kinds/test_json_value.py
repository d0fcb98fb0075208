"""JSON values: what the broker keeps, and when two mean the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsunagu.schemas.entity import NULL
from tsunagu.schemas.kinds.json_value import MAX_DEPTH, check_json, check_patch, check_value, equal_json

SCALARS = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.from_regex("[a-z]{1,4}", fullmatch=True), inner, max_size=3)
    ),
    max_leaves=8,
)


def nested(levels, wrap):
    value = 1
    for _ in range(levels):
        value = wrap(value)
    return value


@given(VALUES)
def test_json_values_are_kept_as_they_are(value):
    """4.6.3: all native JSON types are values, nested as one likes, and come back unchanged."""
    assert equal_json(check_value(value), value)


@pytest.mark.parametrize("value", [None, [1, None], {"a": None}, {"a": [{"b": None}]}])
def test_null_is_no_value(value):
    """4.5.0: null cannot be used as a value in NGSI-LD, at whatever depth."""
    with pytest.raises(ValueError, match="null is not a value"):
        check_value(value)


@pytest.mark.parametrize("value", [NULL, [NULL], {"a": NULL}, {"a": {"b": [NULL]}}])
def test_an_ngsi_ld_null_is_no_value(value):
    """5.5.4: the NGSI-LD Null may not stand within the value of a Property."""
    with pytest.raises(ValueError, match="deletes"):
        check_value(value)


def test_an_ngsi_ld_null_may_stand_within_the_value_of_a_merge_patch():
    """5.5.12: there it removes a member."""
    assert check_patch({"country": NULL, "city": "Berlin"}) == {"country": NULL, "city": "Berlin"}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("-inf")]])
def test_numbers_that_json_does_not_have_are_refused(value):
    """RFC 8259 has neither NaN nor infinity."""
    with pytest.raises(ValueError, match="NaN and infinity"):
        check_value(value)


@pytest.mark.parametrize(
    ("value", "kept"), [(2**63, float(2**63)), ([1, 2**70], [1, float(2**70)]), ({"a": -(2**64)}, {"a": -float(2**64)})]
)
def test_an_integer_beyond_64_bits_becomes_a_floating_point_number(value, kept):
    """4.5.2.2: insignificant digits may be lost."""
    checked = check_value(value)
    assert checked == kept
    assert "." in repr(checked) or "e+" in repr(checked)


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"a": inner}])
def test_nesting_has_a_limit(wrap):
    """A value nested beyond MAX_DEPTH levels is refused, one at the limit is kept."""
    check_value(nested(MAX_DEPTH, wrap))
    with pytest.raises(ValueError, match="nested deeper"):
        check_value(nested(MAX_DEPTH + 1, wrap))


def test_a_member_name_with_a_zero_character_is_refused():
    """The store cannot keep such a name."""
    with pytest.raises(ValueError, match=r"U\+0000"):
        check_value({"a\0b": 1})


def test_a_context_inside_a_value_is_refused():
    """5.5.7: no part of the user @context may stand below the top level."""
    with pytest.raises(ValueError, match="@context may stand only at the top"):
        check_value({"@context": {"a": "http://example.org/a"}})


@pytest.mark.parametrize(
    "value",
    [
        {"@type": "DateTime", "@value": "2018-12-04T12:00:00Z"},
        {"@value": 5},
        {"@type": "@json", "@value": None},
        {"@type": "@json", "@value": {"a": None}},
    ],
)
def test_a_json_ld_typed_value_is_a_value(value):
    """4.6.3 and 4.5.0: a typed value may be kept, and null as a JSON literal."""
    assert check_value(value) == value


@pytest.mark.parametrize(
    "value", [{"@value": None}, {"@value": [1]}, {"@value": 1, "unit": "x"}, {"@value": 1, "@type": 1}]
)
def test_a_broken_typed_value_is_refused(value):
    """A JSON-LD value object has a scalar @value, a text as @type and no members of its own."""
    with pytest.raises(ValueError, match="value object"):
        check_value(value)


@pytest.mark.parametrize("value", [{}, {"a": None, "b": NULL, "@context": {}}, [{"a": 1}, {}], []])
def test_raw_json_may_hold_anything_within_objects(value):
    """4.5.24.2: json is not available for JSON-LD interpretation, so null is a value there."""
    assert check_json(value) == value


@pytest.mark.parametrize("value", [5, "text", True, None, [1], [{"a": 1}, 2]])
def test_raw_json_is_an_object_or_an_array_of_objects(value):
    """4.5.24.2: a scalar is no content of a JsonProperty."""
    with pytest.raises(ValueError, match="JSON object"):
        check_json(value)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        ([1, {"a": 2}], [1.0, {"a": 2.0}], True),
        ([1], [True], False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ([1, 2], [2, 1], False),
        ("1", 1, False),
    ],
)
def test_equality_is_that_of_json(left, right, expected):
    """1 and 1.0 are one number, true is none; arrays have an order, objects have not."""
    assert equal_json(left, right) is expected
