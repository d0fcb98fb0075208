"""Reading request bodies: length, type, size, syntax, nesting, @context."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.broker.api.echo import echo_client
from tsunagu.broker.api.bodies import may_be_too_deep, parse_json, too_deep, with_finite_integers
from tsunagu.broker.errors import BadRequestData, InvalidRequest

ERRORS = "https://uri.etsi.org/ngsi-ld/errors/"
LINK = '<https://example.org/c.jsonld>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'
JSON = {"Content-Type": "application/json"}
LD = {"Content-Type": "application/ld+json"}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with echo_client(max_body=4096, max_depth=8) as one:
        yield one


async def chunks() -> AsyncIterator[bytes]:
    yield b"{}"


@pytest.mark.parametrize(("method", "path"), [("POST", "/things"), ("PATCH", "/things/urn:a:1")])
async def test_a_body_without_length_is_a_bare_411(client: httpx.AsyncClient, method: str, path: str) -> None:
    """A POST or PATCH without Content-Length gives 411 and no body, whatever else is wrong with it."""
    headers = {**JSON, "NGSILD-Tenant": "no tenant"}
    response = await client.request(method, path, content=chunks(), headers=headers)
    assert (response.status_code, response.content) == (411, b"")


@pytest.mark.parametrize("media", ["application/xml", "text/plain", "", "application/merge-patch+json"])
async def test_another_media_type_is_a_bare_415(client: httpx.AsyncClient, media: str) -> None:
    """A POST that is neither application/json nor application/ld+json gives 415 and no body."""
    response = await client.post("/things", content=b"{}", headers={"Content-Type": media})
    assert (response.status_code, response.content) == (415, b"")


async def test_a_patch_may_be_a_merge_patch(client: httpx.AsyncClient) -> None:
    """application/merge-patch+json is as good as application/json in a PATCH."""
    headers = {"Content-Type": "application/merge-patch+json", "Link": LINK}
    response = await client.patch("/things/urn:a:1", content=b'{"a": 1}', headers=headers)
    assert response.json()["context"] == "https://example.org/c.jsonld"


async def test_a_media_type_may_carry_parameters(client: httpx.AsyncClient) -> None:
    """Parameters of the Content-Type, and its case, do not matter."""
    response = await client.post("/things", content=b"{}", headers={"Content-Type": "Application/JSON; charset=utf-8"})
    assert response.status_code == 200


async def test_a_large_body_is_413(client: httpx.AsyncClient) -> None:
    """A body above the limit gives the problem 413 by its announced length."""
    response = await client.post("/things", content=b" " * 4097, headers=JSON)
    assert response.status_code == 413
    assert "4096" in response.json()["detail"]


async def test_a_body_longer_than_announced_is_413(client: httpx.AsyncClient) -> None:
    """A body that goes on beyond the limit is not read further, whatever its Content-Length said."""
    headers = {**JSON, "Content-Length": "10"}
    response = await client.post("/things", content=b" " * 9000, headers=headers)
    assert response.status_code == 413


@pytest.mark.parametrize("body", [b"", b"{", b"{,}", b'{"a": NaN}', b"\xff", b'"\\ud800"', b'"text"', b"[]", b"null"])
async def test_what_is_no_json_object_is_an_invalid_request(client: httpx.AsyncClient, body: bytes) -> None:
    """No body, broken JSON, broken UTF-8 and JSON that is no object are InvalidRequest."""
    response = await client.post("/things", content=body, headers=JSON)
    assert (response.status_code, response.json()["type"]) == (400, ERRORS + "InvalidRequest")


@pytest.mark.parametrize("body", [b'{"a":' * 9 + b"1" + b"}" * 9, b"[" * 1500 + b"]" * 1500, b'{"a\\u0000": 1}'])
async def test_what_the_store_cannot_hold_is_bad_request_data(client: httpx.AsyncClient, body: bytes) -> None:
    """Deep nesting and the NUL character are BadRequestData."""
    response = await client.patch("/things/urn:a:1/parts/b", content=body, headers=JSON)
    assert (response.status_code, response.json()["type"]) == (400, ERRORS + "BadRequestData")


async def test_plain_json_takes_its_context_from_the_link(client: httpx.AsyncClient) -> None:
    """A body of type application/json gets the @context of the Link header, or the core one."""
    linked = await client.post("/things", content=b'{"a": 1}', headers={**JSON, "Link": LINK})
    assert (linked.json()["context"], linked.json()["body"]) == ("https://example.org/c.jsonld", {"a": 1})
    assert (await client.post("/things", content=b"{}", headers=JSON)).json()["context"] is None


async def test_linked_data_brings_its_context(client: httpx.AsyncClient) -> None:
    """A body of type application/ld+json has its @context inside; it is taken out."""
    response = await client.post("/things", content=b'{"@context": ["https://e.org/c"], "a": 1}', headers=LD)
    assert (response.json()["context"], response.json()["body"]) == (["https://e.org/c"], {"a": 1})


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (JSON, b'{"@context": "https://e.org/c"}'),
        ({**JSON, "Link": LINK}, b'{"@context": "https://e.org/c"}'),
        (LD, b'{"a": 1}'),
        (LD, b'{"@context": null}'),
        ({**LD, "Link": LINK}, b'{"@context": "https://e.org/c"}'),
        ({**JSON, "Link": "nonsense"}, b"{}"),
        ({**JSON, "Link": f"{LINK}, {LINK.replace('/c', '/d')}"}, b"{}"),
    ],
)
async def test_a_context_in_the_wrong_place_is_bad_request_data(
    client: httpx.AsyncClient, headers: dict[str, str], body: bytes
) -> None:
    """Mixing the places of the @context, leaving it out of linked data, and two of them are BadRequestData (6.3.5)."""
    response = await client.post("/things", content=body, headers=headers)
    assert (response.status_code, response.json()["type"]) == (400, ERRORS + "BadRequestData")


def test_a_byte_order_mark_is_ignored() -> None:
    """A UTF-8 byte order mark before the JSON text does no harm."""
    assert parse_json(b'\xef\xbb\xbf{"a": 1}', 8) == {"a": 1}


def test_integers_beyond_64_bits_become_floats() -> None:
    """An integer that the store cannot hold is read as a floating-point number."""
    assert parse_json(b'{"a": [18446744073709551615, 1]}', 8) == {"a": [float(2**64), 1]}


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@given(JSON_VALUES, st.integers(0, 6))
def test_depth_is_counted_in_objects_and_arrays(value: object, limit: int) -> None:
    """too_deep agrees with the plain recursive count."""
    assert too_deep(value, limit) == (depth(value) > limit)


BRACKETED = st.recursive(
    st.text(alphabet='{}[]"\\\x00a') | st.integers(0, 9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='{]"\\b'), inner, max_size=3),
)


@given(BRACKETED, st.integers(0, 6))
def test_no_deep_text_escapes_the_count_of_brackets(value: object, limit: int) -> None:
    """may_be_too_deep never lets a deep text pass, whatever brackets, quotes and backslashes its strings hold."""
    assert may_be_too_deep(orjson.dumps(value), limit) or depth(value) <= limit


@given(
    st.recursive(st.none() | st.text(alphabet='é"\\b'), lambda inner: st.lists(inner, max_size=3)), st.integers(0, 6)
)
def test_without_brackets_in_strings_the_count_is_exact(value: object, limit: int) -> None:
    """Quotes, backslashes and other characters in strings do not make a shallow text look deep."""
    assert may_be_too_deep(orjson.dumps(value), limit) == (depth(value) > limit)


@pytest.mark.parametrize("digits", [18, 19, 25])
def test_integers_keep_their_value_as_far_as_they_can(digits: int) -> None:
    """Integers of up to 64 bits stay, also among texts of many digits; longer ones become the nearest float."""
    number = int("9" * digits)
    found = parse_json(orjson.dumps({"text": "1234567890" * 3, "a": 1})[:-1] + b',"b":%d}' % number, 8)
    assert found["a"] == 1
    assert found["b"] == (number if digits == 18 else float(number))


@given(JSON_VALUES)
def test_only_huge_integers_change(value: object) -> None:
    """with_finite_integers leaves everything equal up to the precision of huge integers."""

    def same(one: object, other: object) -> bool:
        if isinstance(one, dict) and isinstance(other, dict):
            return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
        if isinstance(one, list) and isinstance(other, list):
            return len(one) == len(other) and all(map(same, one, other))
        return type(other) is float if type(one) is int and not -(2**63) <= one < 2**63 else one == other

    assert same(value, with_finite_integers(value))


@pytest.mark.parametrize("body", [b"", b"{"])
def test_no_json_raises_invalid_request(body: bytes) -> None:
    """The parser itself raises the standard's error."""
    with pytest.raises(InvalidRequest):
        parse_json(body, 8)


def test_depth_counts_only_when_it_is_exceeded() -> None:
    """A body with many brackets but little depth is accepted; one level too much is not."""
    assert parse_json(b"[" + b"[]," * 20 + b"[]]", 2) == [[]] * 21
    with pytest.raises(BadRequestData):
        parse_json(b"[" + b"[]," * 20 + b"[[]]]", 2)
