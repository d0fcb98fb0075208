"""The data models that ship: complete, consistent, and their checks."""

from __future__ import annotations

from typing import Any

import pytest

from tsunagu.broker.jsonld.context import CORE
from tsunagu.schemas.models import Model, models

ALL = list(models().values())
OF_THE_CORE = frozenset(("id", "type", "location"))


def by_name(model: Model) -> str:
    return model.name


@pytest.mark.parametrize("model", ALL, ids=by_name)
def test_the_example_passes_its_own_checks(model: Model) -> None:
    """An example may be copied."""
    for name, instance in model.example.items():
        if name not in ("id", "type"):
            assert model.checks[name].finding(instance) is None, name


@pytest.mark.parametrize("model", ALL, ids=by_name)
def test_the_example_has_what_is_required(model: Model) -> None:
    """With the type of the model."""
    assert set(model.schema["required"]) <= set(model.example)
    assert model.example["type"] == model.type
    assert model.example["id"].startswith(f"urn:ngsi-ld:{model.type}:")


@pytest.mark.parametrize("model", ALL, ids=by_name)
def test_every_attribute_has_a_term_and_a_description(model: Model) -> None:
    """No attribute is without meaning."""
    for name, member in model.schema["properties"].items():
        if name not in OF_THE_CORE:
            assert model.terms[name] == f"https://uri.etsi.org/ngsi-ld/default-context/{name}"
        if name not in ("id", "type"):
            assert member["description"]


@pytest.mark.parametrize("model", ALL, ids=by_name)
def test_the_terms_say_what_a_query_without_them_says(model: Model) -> None:
    """The core @context alone expands the names to the same IRIs: no term is one of the core's, which are protected."""
    assert {term: CORE.expand_term(term) for term in model.terms} == dict(model.terms)


@pytest.mark.parametrize(
    ("kind", "name", "instance", "said"),
    [
        ("RiverLevelObserved", "waterLevel", {"type": "Property", "value": 214}, "above 100"),
        ("RiverLevelObserved", "waterLevel", {"type": "Property", "value": -30.5}, "below -20"),
        ("RiverLevelObserved", "waterLevel", {"type": "Property", "value": "high"}, "of type number"),
        ("RiverLevelObserved", "waterLevel", {"type": "Property", "value": True}, "of type number"),
        ("RiverLevelObserved", "waterLevel", {"type": "Property", "value": 2.1, "unitCode": "CMT"}, "'MTR'"),
        ("RiverLevelObserved", "refDevice", {"type": "Property", "value": "x"}, "Relationship"),
        ("RiverLevelObserved", "municipalityCode", {"type": "Property", "value": "28210"}, "match"),
        ("TagSighting", "presence", {"type": "Property", "value": "here"}, "one of enter"),
        ("TagSighting", "location", {"type": "GeoProperty", "value": {"type": "Point"}}, "lacks coordinates"),
        ("CrowdFlowObserved", "peopleCount", {"type": "Property", "value": 1.5}, "of type integer"),
        ("CrowdFlowObserved", "dateObserved", {"type": "Property", "value": {"@value": "x"}}, "DateTime"),
    ],
)
def test_what_a_model_does_not_allow_is_said(kind: str, name: str, instance: dict[str, Any], said: str) -> None:
    """The finding tells what would be right."""
    finding = models()[kind].checks[name].finding(instance)
    assert finding is not None
    assert said in finding
