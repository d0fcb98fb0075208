"""q over registrations and snapshots (4.9)."""

from __future__ import annotations

import pytest

from tests.unit.broker.query.texts import LETTERS
from tsunagu.broker.query.ast import EntityQuery
from tsunagu.broker.query.match import compile_matcher
from tsunagu.broker.query.members import document_of
from tsunagu.broker.query.q import parse_q

REGISTRATION = {
    "id": "urn:ngsi-ld:ContextSourceRegistration:1",
    "type": "ContextSourceRegistration",
    "endpoint": "http://a.example.org",
    "sourceType": "sensor",
    "priority": 5,
    "management": {"timeout": 300},
    "createdAt": "2026-07-18T19:10:00Z",
}


@pytest.mark.parametrize(
    "text",
    [
        'sourceType=="sensor"',
        'endpoint=="http://a.example.org"',
        "endpoint==http://a.example.org;priority>4",
        "management[timeout]==300",
        "createdAt<2026-07-19T00:00:00Z",
        "type==ContextSourceRegistration",
        'id~="Registration:1$"',
        "!expiresAt",
    ],
)
def test_matches(text: str) -> None:
    """The members of a record are what q addresses."""
    assert compile_matcher(EntityQuery(q=parse_q(text, LETTERS, parameter="csf")))(document_of(REGISTRATION, LETTERS))


@pytest.mark.parametrize("text", ['sourceType=="archive"', "priority<5", "location", "scope"])
def test_does_not_match(text: str) -> None:
    """A member that is absent or differs does not match."""
    assert not compile_matcher(EntityQuery(q=parse_q(text, LETTERS)))(document_of(REGISTRATION, LETTERS))
