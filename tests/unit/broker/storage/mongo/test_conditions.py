"""The algebra of MongoDB conditions."""

from __future__ import annotations

from tsunagu.broker.storage.mongo.conditions import NOTHING, all_of, any_of, on_one_instance


def test_all_of() -> None:
    """Conditions on different paths share one object; others are joined; repeats are left out."""
    assert all_of([{"a": 1}, {"b": 2}]) == {"a": 1, "b": 2}
    assert all_of([{"a": 1}, {"b": 2}, {"a": 3}]) == {"$and": [{"a": 1, "b": 2}, {"a": 3}]}
    assert all_of([{"a": 1}, {"a": 1}]) == {"a": 1}
    assert all_of([]) == {}


def test_any_of() -> None:
    """Alternatives are flat, without repeats and without those that never hold."""
    assert any_of([{"a": 1}]) == {"a": 1}
    assert any_of([{"a": 1}, {"$or": [{"b": 2}, {"a": 1}]}, NOTHING]) == {"$or": [{"a": 1}, {"b": 2}]}
    assert any_of([]) == NOTHING
    assert any_of([NOTHING]) == NOTHING


def test_one_instance() -> None:
    """A condition on one instance has an alternative for a single instance and one for a list, on every level."""
    single = {"$exists": True, "$not": {"$type": "array"}}
    found = on_one_instance(["attrs.a", "b"], lambda prefix: {f"{prefix}value": 1})
    assert found == [
        {"attrs.a": single, "attrs.a.b": single, "attrs.a.b.value": 1},
        {"attrs.a": single, "attrs.a.b": {"$elemMatch": {"value": 1}}},
        {"attrs.a": {"$elemMatch": {"b": single, "b.value": 1}}},
        {"attrs.a": {"$elemMatch": {"b": {"$elemMatch": {"value": 1}}}}},
    ]
