"""Amending entities to earlier versions of the standard (4.3.6.8)."""

from __future__ import annotations

from typing import Any

import pytest

from tsunagu.broker.api.versions import amend_entity

ENTITY: dict[str, Any] = {
    "id": "urn:a:1",
    "type": ["A", "B"],
    "scope": "/x",
    "expiresAt": "2030-01-01T00:00:00Z",
    "p": {"type": "Property", "value": 1, "unitCode": "MTR", "valueType": "x", "observedAt": "2026-01-01T00:00:00Z"},
    "multi": [{"type": "Property", "value": 1, "datasetId": "urn:d:1"}, {"type": "Property", "value": 2}],
    "l": {"type": "LanguageProperty", "languageMap": {"ja": "川"}},
    "v": {"type": "VocabProperty", "vocab": "high"},
    "j": {"type": "JsonProperty", "json": {"type": "x", "scope": 1}},
    "lp": {"type": "ListProperty", "valueList": [1, 2]},
    "lr": {"type": "ListRelationship", "objectList": [{"object": "urn:b:1"}, {"object": "urn:b:2"}]},
    "r": {"type": "Relationship", "object": "urn:b:1", "objectType": "B",
          "since": {"type": "VocabProperty", "vocab": "now"}},
}  # fmt: skip


def test_the_version_of_today_changes_nothing() -> None:
    """Nothing is amended for the version that the broker speaks."""
    assert amend_entity(ENTITY, (1, 9)) == ENTITY


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("v", {"type": "Property", "value": "high"}),
        ("j", {"type": "Property", "value": {"type": "x", "scope": 1}}),
        ("lp", {"type": "Property", "value": [1, 2]}),
        ("lr", {"type": "Relationship", "object": ["urn:b:1", "urn:b:2"]}),
        ("l", {"type": "LanguageProperty", "languageMap": {"ja": "川"}}),
        ("r", {"type": "Relationship", "object": "urn:b:1", "since": {"type": "Property", "value": "now"}}),
        ("scope", "/x"),
        ("type", ["A", "B"]),
    ],
)
def test_kinds_of_later_versions_become_plain_attributes(name: str, expected: object) -> None:
    """For 1.5 the kinds of 1.8 become Property or Relationship, sub-attributes too; what 1.5 has stays."""
    assert amend_entity(ENTITY, (1, 5))[name] == expected


def test_the_first_version_has_one_of_everything() -> None:
    """For 1.0 one type and the default instance remain; scope and the members of later versions go."""
    amended = amend_entity(ENTITY, (1, 0))
    assert amended["type"] == "A"
    assert amended["multi"] == {"type": "Property", "value": 2}
    assert amended["p"] == {"type": "Property", "value": 1}
    assert amended["l"] == {"type": "Property", "value": {"ja": "川"}}
    assert "scope" not in amended
    assert "expiresAt" not in amended
