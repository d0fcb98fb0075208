"""Whatever is sent to the device API, the answer is a success or says what would be right."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.adapters.memory import FAULTS, site
from tsunagu.adapters.commands import Commands
from tsunagu.adapters.inbound.http import DeviceDoor
from tsunagu.adapters.management.router import management_router

BASE = "/tsunagu/v1/devices"
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-5, 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6)
)
WORDS = st.sampled_from(
    [
        *("id", "url", "tls", "topic", "path", "format", "apikey", "device", "devices", "named", "require", "header"),
        *("value", "json", "version", "title", "entity_type", "attributes", "requires", "golden", "name", "message"),
        *("weak", "overlap", "fingerprint", "model", "group", "body", "text", "base64", "receivedAt", "contentType"),
        *("expiresIn", "ids", "reason", "internal_attributes", "static_attributes", "expression", "object_id"),
    ]
)
VALUES = st.sampled_from(
    [
        *("mqtt://h", "mqtts://u:p@h:8883", "a/{b}/c", "/iot/hooks/x", "tabular", "k", "d", "1.0.0", "my-model"),
        *("2026-07-18T19:10:41Z", "Number", "a + b", "********", {"header": "X"}, {"json": "$.a"}, "/iot/json?k=k&i=d"),
    ]
)
INNER = st.recursive(
    LEAVES | VALUES, lambda one: st.lists(one, max_size=3) | st.dictionaries(WORDS, one, max_size=5), max_leaves=12
)
BODIES = st.dictionaries(WORDS, INNER, max_size=8) | INNER
CALLS = [
    ("POST", "/connections"),
    ("PUT", "/connections/none"),
    ("POST", "/routes"),
    ("POST", "/models"),
    ("POST", "/credentials/rotate"),
    ("POST", "/d/credentials"),
    ("PUT", "/d/credentials/certificate"),
    ("POST", "/d/commands"),
    ("POST", "/preview"),
    ("POST", "/quarantine/replay"),
    ("POST", "/candidates/admit"),
]


async def ask(method: str, path: str, body: Any) -> httpx.Response:
    place = await site()
    place.pipeline.commands = Commands(place.catalogue, FAULTS, place.sink)
    group = {"apikey": "k", "resource": "/iot/json", "entity_type": "Gauge", "commands": [{"name": "turn"}]}
    await place.store.create_groups("", "/", [group])
    await place.store.create_devices("", "/", [{"device_id": "d", "apikey": "k"}])
    app = FastAPI()
    app.include_router(management_router(place.store, DeviceDoor(place.pipeline)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://city") as client:
        return await client.request(method, BASE + path, json=body)


@pytest.mark.parametrize(("method", "path"), CALLS)
@settings(max_examples=20, deadline=None)
@given(body=BODIES)
def test_no_body_is_a_fault_of_ours(method: str, path: str, body: Any) -> None:
    """Never a 5xx nor an exception; a refusal is a problem document with a detail."""
    answer = asyncio.run(ask(method, path, body))
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.json()["detail"]
