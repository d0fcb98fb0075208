"""Media types, preferences, Link headers."""

from __future__ import annotations

from contextlib import suppress

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.broker.api.echo import echo_client
from tsunagu.broker.api.links import context_link, context_link_header, page_links
from tsunagu.broker.api.negotiation import DOCUMENTS, ENTITIES, negotiate, preferences
from tsunagu.broker.api.problems import NotAcceptable
from tsunagu.broker.errors import BadRequestData

JSON, LD, GEO = "application/json", "application/ld+json", "application/geo+json"
RELATION = 'rel="http://www.w3.org/ns/json-ld#context"'


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("*/*", JSON),
        ("application/*", JSON),
        (LD, LD),
        (f"{LD}, {JSON}", JSON),
        (f"{GEO}, {JSON}", JSON),
        (f"{JSON};q=0.1, {LD};q=0.9", LD),
        (f"{JSON};q=0, */*", LD),
        (f"*/*;q=0.9, {LD};q=0.8", JSON),
        (f"{LD};q=notanumber", LD),
        (f"{LD};q=nan, {JSON};q=0.5", LD),
        (f"{LD}; profile=x ; Q=1, {JSON};q=0.5", LD),
        (f"application/xml, {GEO}", GEO),
        ("text/html, APPLICATION/LD+JSON", LD),
    ],
)
def test_the_heaviest_offer_wins_and_the_first_among_equals(accept: str, chosen: str) -> None:
    """Each offer has the weight of the most specific range that matches it; ties follow the order of 6.3.4."""
    assert negotiate(accept.encode(), ENTITIES) == chosen


@pytest.mark.parametrize("accept", ["application/xml", GEO, f"{JSON};q=0, {LD};q=0", ",", "text/*"])
def test_nothing_acceptable_lists_what_is_available(accept: str) -> None:
    """When no offer is acceptable, the 406 problem lists the available representations."""
    with pytest.raises(NotAcceptable) as caught:
        negotiate(accept.encode(), DOCUMENTS)
    assert caught.value.problem()["availableRepresentations"] == [JSON, LD]


@given(st.text(st.characters(codec="latin-1")))
def test_any_accept_header_is_an_answer_or_406(accept: str) -> None:
    """Whatever stands in the header, one of the offers is chosen or none."""
    with suppress(NotAcceptable):
        assert negotiate(accept.encode("latin-1"), ENTITIES) in ENTITIES


async def test_406_comes_before_the_operation() -> None:
    """An Accept header that nothing satisfies is refused with a problem as application/json."""
    async with echo_client() as client:
        response = await client.get("/things/urn:a:1", headers={"Accept": GEO})
        assert (response.status_code, response.headers["content-type"]) == (406, JSON)


async def test_no_accept_header_means_json() -> None:
    """A request without Accept gets application/json."""
    async with echo_client() as client:
        request = client.build_request("GET", "/things")
        del request.headers["accept"]
        assert (await client.send(request)).json()["media"] == JSON


async def test_repeated_accept_headers_count_as_one() -> None:
    """Several Accept headers are read as one list."""
    headers = [("Accept", "application/xml"), ("Accept", LD)]
    async with echo_client() as client:
        assert (await client.get("/things", headers=httpx.Headers(headers))).json()["media"] == LD


@pytest.mark.parametrize(
    ("header", "name", "value"),
    [
        (b"ngsi-ld=1.5", "ngsi-ld", "1.5"),
        (b"NGSI-LD=1.5", "ngsi-ld", "1.5"),
        (b'ngsi-ld="1.0"', "ngsi-ld", "1.0"),
        (b"respond-async, ngsi-ld=1.0;q=0.1", "ngsi-ld", "1.0"),
        (b"body=json", "body", "json"),
        (b"respond-async", "respond-async", ""),
    ],
)
def test_preferences_are_read_by_name(header: bytes, name: str, value: str) -> None:
    """Names are not case-sensitive, values may be quoted, parameters do not matter (RFC 7240)."""
    assert preferences(header)[name] == value


@pytest.mark.parametrize(
    ("header", "url"),
    [
        (f'<https://e.org/c>; {RELATION}; type="application/ld+json"', "https://e.org/c"),
        (f"<https://e.org/c>;{RELATION}", "https://e.org/c"),
        (f'<https://e.org/c>; type="a,b;c"; {RELATION};', "https://e.org/c"),
        ("<https://e.org/c>; rel=http://www.w3.org/ns/json-ld#context", "https://e.org/c"),
        (f'<https://e.org/next>; rel="next", <https://e.org/c>; {RELATION}', "https://e.org/c"),
        ('<https://e.org/c>; rel="alternate http://www.w3.org/ns/json-ld#context"', "https://e.org/c"),
        ('<https://e.org/next>; rel="next"', None),
        ("<https://e.org/c>", "https://e.org/c"),
        (f"<https://e.org/a>, <https://e.org/c>; {RELATION}", "https://e.org/c"),
        ('<https://uri.etsi.org/ngsi-ld/profile/version>; rel="profile"', None),
        ("", None),
    ],
)
def test_the_context_is_found_among_links(header: str, url: str | None) -> None:
    """The link with the relation of JSON-LD counts, without one a link that has none; others are ignored."""
    assert context_link(header.encode()) == url


@pytest.mark.parametrize("header", ["https://e.org/c", f"<https://e.org/a>; {RELATION}, <https://e.org/b>; {RELATION}"])
def test_a_malformed_or_ambiguous_link_is_refused(header: str) -> None:
    """A header that is no list of links, and two @contexts, are BadRequestData."""
    with pytest.raises(BadRequestData):
        context_link(header.encode())


@given(st.from_regex(r"https://[a-z]{1,9}/[A-Za-z0-9/._~!$&'()*+,;=:@-]{0,30}", fullmatch=True))
def test_a_context_link_reads_back(url: str) -> None:
    """What we write as Link header of an answer, a client can send back."""
    assert context_link(context_link_header(url)) == url


def test_pages_in_the_middle_have_both_neighbours() -> None:
    """The links keep the parameters, sorted, with limit and offset of the neighbour; commas are encoded."""
    query = [("type", "A,B"), ("limit", "2"), ("q", 'a=="x y"'), ("offset", "2")]
    links = page_links("/ngsi-ld/v1/entities", query, limit=2, offset=2, more=True, media=JSON)
    path = "/ngsi-ld/v1/entities?limit=2&offset={}&q=a%3D%3D%22x%20y%22&type=A%2CB"
    assert links == (
        f'<{path.format(0)}>; rel="prev"; type="application/json", '
        f'<{path.format(4)}>; rel="next"; type="application/json"'
    )


def test_a_single_page_has_no_links() -> None:
    """The only page has neither neighbour."""
    assert page_links("/x", [], limit=10, offset=0, more=False, media=JSON) == ""


def test_the_page_before_starts_at_zero_at_least() -> None:
    """The previous page of an offset below the limit starts at 0."""
    assert "offset=0" in page_links("/x", [], limit=10, offset=3, more=False, media=JSON)
