"""How long a fetched @context may be kept."""

from __future__ import annotations

import pytest

from tsunagu.broker.jsonld.freshness import lifetime

NOON = "Sat, 18 Jul 2026 12:00:00 GMT"
ONE = "Sat, 18 Jul 2026 13:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"cache-control": "public"}, None),
        ({"cache-control": "public, max-age=600"}, 600),
        ({"cache-control": "max-age=600, s-maxage=60"}, 60),
        ({"cache-control": 'max-age="600"', "age": "100"}, 500),
        ({"cache-control": "max-age=10", "age": "100"}, 0),
        ({"cache-control": "no-store, max-age=600"}, 0),
        ({"expires": ONE, "date": NOON}, 3600),
        ({"expires": NOON, "date": ONE}, 0),
        ({"expires": "0", "date": NOON}, 0),
        ({"expires": ONE, "date": NOON, "cache-control": "max-age=5"}, 5),
    ],
)
def test_the_server_says_how_long(headers: dict[str, str], seconds: float | None) -> None:
    """Cache-Control counts before Expires, s-maxage before max-age, Age is taken off, nonsense means stale."""
    assert lifetime(headers) == seconds
