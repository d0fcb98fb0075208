"""The address under which a client sees the broker."""

from __future__ import annotations

from typing import Any

import pytest

from tsunagu.broker.api.call import Answer
from tsunagu.broker.api.origin import Origin
from tsunagu.broker.settings import Settings

OWN = "http://0.0.0.0:1026/ngsi-ld/v1/jsonldContexts/1"
TUNNELLED = {
    b"x-forwarded-host": b"city.example, inner",
    b"x-forwarded-proto": b"https",
    b"x-forwarded-prefix": b"/ld/",
}


def origin(**settings: Any) -> Origin:
    return Origin(Settings.from_environment({}, host="0.0.0.0", **settings))


@pytest.mark.parametrize(
    ("headers", "base"),
    [
        ({b"host": b"broker:1026"}, "http://broker:1026"),
        ({b"host": b"[::1]:80", b"x-forwarded-proto": b"HTTPS"}, "https://[::1]:80"),
        ({b"host": b"inner", **TUNNELLED}, "https://city.example/ld"),
        ({b"host": b"a b<>"}, "http://0.0.0.0:1026"),
        ({}, "http://0.0.0.0:1026"),
        ({b"host": b"b", b"x-forwarded-prefix": b'/x">', b"x-forwarded-proto": b"ftp"}, "http://b"),
    ],
)
def test_urls_of_ours_get_the_base_that_the_client_used(headers: dict[bytes, bytes], base: str) -> None:
    """Host and X-Forwarded-* make the base where they are well formed; other hosts' URLs stay."""
    assert origin().seen(OWN, headers) == f"{base}/ngsi-ld/v1/jsonldContexts/1"
    assert origin().seen("http://other/ngsi-ld/v1/x", headers) == "http://other/ngsi-ld/v1/x"


def test_a_public_url_wins() -> None:
    """With a public URL in the settings no header changes anything."""
    fixed = origin(public_url="https://broker.example/base/")
    assert (
        fixed.seen("https://broker.example/base/ngsi-ld/v1/x", TUNNELLED) == "https://broker.example/base/ngsi-ld/v1/x"
    )
    answer = Answer(201, None, [(b"location", b"/base/ngsi-ld/v1/entities/urn:a:1")])
    fixed.amend(answer, TUNNELLED)
    assert answer.headers == [(b"location", b"/base/ngsi-ld/v1/entities/urn:a:1")]


def test_headers_of_an_answer_lead_back_through_the_proxy() -> None:
    """Location, NGSILD-EntityMap and every link get the proxy's prefix, an @context of ours its host; nothing else."""
    headers = [
        (b"location", b"/ngsi-ld/v1/entities/urn:a:1"),
        (b"ngsild-entitymap", b"/ngsi-ld/v1/entityMaps/1"),
        (b"link", b"<" + OWN.encode() + b'>; rel="x", </ngsi-ld/v1/entities?limit=1>; rel="next", <http://z/c>'),
        (b"content-type", b"application/json"),
    ]
    answer = Answer(200, None, [*headers])
    origin().amend(answer, TUNNELLED)
    assert answer.headers == [
        (b"location", b"/ld/ngsi-ld/v1/entities/urn:a:1"),
        (b"ngsild-entitymap", b"/ld/ngsi-ld/v1/entityMaps/1"),
        (
            b"link",
            (
                b'<https://city.example/ld/ngsi-ld/v1/jsonldContexts/1>; rel="x", '
                b'</ld/ngsi-ld/v1/entities?limit=1>; rel="next", <http://z/c>'
            ),
        ),
        (b"content-type", b"application/json"),
    ]
    plain = Answer(200, None, [*headers[:2]])
    origin().amend(plain, {b"host": b"broker"})
    assert plain.headers == headers[:2]
