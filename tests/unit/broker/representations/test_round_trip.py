"""Whatever is shown losslessly can be sent back and means the same."""

from __future__ import annotations

from copy import deepcopy

import pytest
from hypothesis import given, settings

from tests.examples import examples
from tests.unit.broker.jsonld.bodies import BODIES
from tests.unit.broker.jsonld.contexts import CITY
from tests.unit.broker.representations.stored import document_of
from tsunagu.broker.jsonld.expand import expand_entity
from tsunagu.broker.representations import View


@pytest.mark.parametrize("form", ["normalized", "concise"])
@settings(max_examples=examples(120), deadline=None)
@given(body=BODIES)
def test_a_lossless_form_reads_as_what_is_stored(form, body):
    """4.5.2.1: normalized and concise are equally valid lossless formats."""
    document = document_of(deepcopy(body))
    shown = View(format=form, sys_attrs=True).render(document, CITY)
    back = expand_entity(deepcopy(shown), CITY)
    assert back == {"id": document["_id"], "type": document["type"], "attrs": document["attrs"]}
