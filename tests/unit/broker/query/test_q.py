"""The query language q (4.9)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.broker.query.texts import LETTERS, path, write_q
from tsunagu.broker.errors import BadRequestData, TooComplexQuery
from tsunagu.broker.query.ast import And, Between, Compare, Exists, Like, Linked, Moment, Or, TypeSelection
from tsunagu.broker.query.pattern import parse_pattern
from tsunagu.broker.query.q import parse_q, percent_decoded

NOON = Moment("DateTime", "2017-12-24T12:00:00.", 1514116800000)


def parse(text: str, **options: Any) -> Any:
    return parse_q(text, LETTERS, **options)


def equals(at: Any, *values: Any) -> Compare:
    return Compare(at, "==", values)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("temperature", Exists(path("temperature"))),
        ("temperature==20", equals(path("temperature"), 20)),
        ('brandName!="Mercedes"', Compare(path("brandName"), "!=", ("Mercedes",))),
        ('isParked=="urn:ngsi-ld:X:1"', equals(path("isParked"), "urn:ngsi-ld:X:1")),
        (
            'speed>50;brandName!="Mercedes"',
            And((Compare(path("speed"), ">", (50,)), Compare(path("brandName"), "!=", ("Mercedes",)))),
        ),
        (
            '((speed>50|rpm>3000);brandName=="Mercedes")',
            And(
                (
                    Or((Compare(path("speed"), ">", (50,)), Compare(path("rpm"), ">", (3000,)))),
                    equals(path("brandName"), "Mercedes"),
                )
            ),
        ),
        (
            "(temperature>=20;temperature<=25)|capacity<=10",
            Or(
                (
                    And((Compare(path("temperature"), ">=", (20,)), Compare(path("temperature"), "<=", (25,)))),
                    Compare(path("capacity"), "<=", (10,)),
                )
            ),
        ),
        ("temperature.observedAt>=2017-12-24T12:00:00Z", Compare(path("temperature", member="o"), ">=", (NOON,))),
        ('address[city]=="Berlin"', equals(path("address", keys=("city",)), "Berlin")),
        (
            "sensor.rawdata[airquality.particulate]==40",
            equals(path("sensor", "rawdata", keys=("airquality", "particulate")), 40),
        ),
        ("sensor{humidity}==40", Linked(path("sensor"), None, equals(path("humidity"), 40))),
        (
            "sensor{Device:humidity}==40",
            Linked(path("sensor"), TypeSelection((("x:Device",),)), equals(path("humidity"), 40)),
        ),
        ("temperature==10..20", Between(path("temperature"), 10, 20)),
        ('color=="black", "red"', equals(path("color"), "black", "red")),
        ('color[*]!="red"', Compare(path("color", keys=("*",)), "!=", ("red",))),
    ],
)
def test_examples_of_the_clause(text: str, tree: Any) -> None:
    """The examples of 4.9 are read as the clause explains them."""
    assert parse(text) == tree


def test_and_binds_before_or() -> None:
    """Without parentheses, ";" takes precedence over "|"."""
    assert parse("a|b;c|d") == Or((Exists(path("a")), And((Exists(path("b")), Exists(path("c")))), Exists(path("d"))))


def test_expanded_values() -> None:
    """The values of an attribute in expandValues become IRIs, those of others stay (EXAMPLE 12)."""
    assert parse("gender==Male;name==Male", expand_values=["gender"]) == And(
        (equals(path("gender"), "x:Male"), equals(path("name"), "Male"))
    )


def test_json_keys_change_nothing() -> None:
    """A trailing path is raw JSON with or without jsonKeys (EXAMPLE 11)."""
    text = 'parkingTickets[value]=="Overstay 60 minutes"'
    assert parse(text, json_keys=["parkingTickets"]) == parse(text)


def test_links_nest() -> None:
    """Braces within braces follow one Relationship after the other, each with its own types."""
    inner = Linked(path("works"), TypeSelection((("x:A",), ("x:B",))), equals(path("name"), "x"))
    assert parse('owner{works{A,B:name}}=="x"') == Linked(path("owner"), None, inner)


def test_uri_without_quotes() -> None:
    """A URI needs no quotes after == and !=."""
    assert parse("a==urn:x:1,urn:x:2") == equals(path("a"), "urn:x:1", "urn:x:2")


def test_a_string_in_single_quotes() -> None:
    """Single quotes hold a string as in NGSIv2, after any operator, and never become part of it."""
    assert parse("a=='x;y','urn:x:1'") == equals(path("a"), "x;y", "urn:x:1")
    assert parse("a>'m'") == Compare(path("a"), ">", ("m",))
    assert parse("a~='^b|c'") == Like(path("a"), parse_pattern("^b|c"))
    assert parse("a==O'Brien") == equals(path("a"), "O'Brien")


def test_colon_in_a_value_is_no_type_hint() -> None:
    """Braces without types are no types, even if the value has a colon."""
    assert parse("a{b}==urn:x:1") == Linked(path("a"), None, equals(path("b"), "urn:x:1"))


def test_a_quoted_time_of_the_system() -> None:
    """A DateTime in quotes is a DateTime where a system time is addressed, and a text elsewhere."""
    assert parse('modifiedAt=="2017-12-24T12:00:00Z"') == equals(path(member="modified"), NOON)
    assert parse('name=="2017-12-24T12:00:00Z"') == equals(path("name"), "2017-12-24T12:00:00Z")


def test_types_of_the_entity_are_expanded() -> None:
    """`type` addresses the types of the entity, as IRIs."""
    assert parse("type==Building") == equals(path(member="type"), "x:Building")


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ('name~="^Eiffel"', "^Eiffel"),
        ("name~=^(a|b)c", "^(a|b)c"),
        ("name~=[;|)]", "[;|)]"),
        (r'name~="a\.b"', r"a\.b"),
        (r'name~="a\\.b"', r"a\.b"),
        (r'name~="a\"b"', 'a"b'),
        ('name~="\\u6c34"', "水"),
    ],
)
def test_patterns(text: str, source: str) -> None:
    """A regular expression is given in quotes, where backslashes may be doubled, or bare."""
    assert parse(text) == Like(path("name"), parse_pattern(source))


def test_bare_patterns_end() -> None:
    """A bare expression ends at ';', at '|' outside of its parentheses, and at the parenthesis of the association."""
    assert parse("(a~=x(y|z);b~=x)|c!~=w") == Or(
        (
            And((Like(path("a"), parse_pattern("x(y|z)")), Like(path("b"), parse_pattern("x")))),
            Like(path("c"), parse_pattern("w"), negated=True),
        )
    )


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 1),
        ("a;", 3),
        ("a==", 4),
        ("a==1;;b", 6),
        ("(a", 3),
        ("a)", 2),
        ("a>4..5", 4),
        ("a>true", 3),
        ("a>urn:x:1", 3),
        ("a==true..5", 4),
        ("a=1", 2),
        ("1a==1", 1),
        ("a b", 3),
        ("a[b", 4),
        ("a[]==1", 3),
        ("a[0]==1", 3),
        ("a[$b]==1", 3),
        ("a.observedAt[b]==1", 1),
        ("a{b==1", 4),
        ("a[b]{c}", 5),
        ("!a{b}", 6),
        ("a..b", 2),
        ('a=="b', 4),
        ("a=='b", 4),
        ('a=="\\x"', 4),
        ("a==1e400", 4),
        ("a==2020-02-30", 4),
        ("a==2020-02-03T25:00:00Z", 4),
        ("a~=", 4),
        ("https://example.org/a==1", 6),
        ("a[b.*]==1", 7),
    ],
)
def test_malformed(text: str, position: int) -> None:
    """What the grammar does not have is BadRequestData that names the parameter and the position."""
    with pytest.raises(BadRequestData, match=rf"^q: .* at position {position}\b"):
        parse(text)


def test_no_string() -> None:
    """A query that is no string is BadRequestData."""
    with pytest.raises(BadRequestData, match="q: a string is expected"):
        parse_q(42, LETTERS)


@pytest.mark.parametrize(
    "text",
    ["(" * 17 + "a" + ")" * 17, ";".join(["a"] * 1001), "a" * 20_000, "a{" * 17 + "a" + "}" * 17, "a~=" + "b" * 600],
)
def test_too_complex(text: str) -> None:
    """Nesting, terms and length have limits."""
    with pytest.raises(TooComplexQuery):
        parse(text)


@pytest.mark.parametrize(
    ("text", "decoded"),
    [
        ('name=="Eiffel%20Tower"', 'name=="Eiffel Tower"'),
        ("speed%3E50;brandName==%22Tesla%22", 'speed>50;brandName=="Tesla"'),
        ('name=="%E6%B0%B4"', 'name=="水"'),
        ('name=="100%"', 'name=="100%"'),
        ('name=="50% off, 20%20"', 'name=="50% off, 20%20"'),
        ('name=="%FF"', 'name=="%FF"'),
        ("name+1", "name+1"),
    ],
)
def test_percent_decoding(text: str, decoded: str) -> None:
    """Percent-encoding in a JSON body is undone where the whole text can be decoded."""
    assert percent_decoded(text) == decoded


names = st.from_regex(r"[a-zあ-ん][a-z0-9_]{0,3}", fullmatch=True).filter(
    lambda name: name not in ("id", "type", "scope", "true", "false")
)
paths = st.one_of(
    st.builds(path, names),
    st.builds(path, names, names),
    st.builds(lambda name, member: path(name, member=member), names, st.sampled_from(["o", "c", "unitCode"])),
    st.builds(lambda name, keys: path(name, keys=keys), names, st.one_of(st.just(("*",)), st.tuples(names, names))),
)
numbers = st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False))
strings = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
comparable = st.one_of(numbers, strings)
simple = st.one_of(
    st.builds(Exists, paths, st.booleans()),
    st.builds(
        lambda at, sign, values: Compare(at, sign, tuple(values)),
        paths,
        st.sampled_from(["==", "!="]),
        st.lists(st.one_of(comparable, st.booleans()), min_size=1, max_size=3),
    ),
    st.builds(
        lambda at, sign, value: Compare(at, sign, (value,)), paths, st.sampled_from([">", "<", ">=", "<="]), comparable
    ),
    st.builds(Between, paths, comparable, comparable, st.booleans()),
    st.builds(Like, paths, st.sampled_from(["^a", "b;c|d", r"\d+\\"]).map(parse_pattern), st.booleans()),
)
hints = st.one_of(
    st.none(),
    st.lists(names, min_size=1, max_size=2, unique=True).map(
        lambda all_: TypeSelection(tuple((f"x:{n}",) for n in all_))
    ),
)
linked = st.recursive(
    simple.filter(lambda node: not (isinstance(node, Exists) and node.negated)),
    lambda inner: st.builds(Linked, st.builds(path, names), hints, inner),
    max_leaves=2,
)
trees = st.recursive(
    st.one_of(simple, linked),
    lambda inner: st.builds(
        lambda kind, parts: kind(tuple(parts)), st.sampled_from([And, Or]), st.lists(inner, min_size=2, max_size=3)
    ),
    max_leaves=5,
)


@given(trees)
def test_every_tree_has_a_text(tree: Any) -> None:
    """A tree written as text is read as the same tree."""
    assert repr(parse(write_q(tree))) == repr(tree)


@given(st.text(st.sampled_from('ab.[]{}()|;,=!~<>"\\ *+?^$0129-:TZ/水'), max_size=24))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever the text, the outcome is a tree or an error of the 4xx kind."""
    with suppress(BadRequestData, TooComplexQuery):
        parse(text)
