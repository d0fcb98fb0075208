"""Every recorded message of every format becomes exactly what stands beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

import tsunagu.adapters
from tests.adapters.memory import Site, site
from tsunagu.adapters import clock
from tsunagu.adapters.inbound.http import DeviceDoor
from tsunagu.adapters.inbound.topics import TopicTree
from tsunagu.adapters.message import Message
from tsunagu.adapters.registry import FORMATS

FOLDER = Path(tsunagu.adapters.__file__).parent
FIXTURES = sorted(p for p in FOLDER.glob("*/fixtures/*.json") if not p.name.endswith(".expected.json"))
TREE = TopicTree(FORMATS.values())
SECRET = "00" * 32


def body_of(message: dict[str, Any]) -> bytes:
    if "hex" in message:
        return bytes.fromhex(message["hex"])
    if "text" in message:
        return message["text"].encode()
    return json.dumps(message["body"], ensure_ascii=False).encode()


async def provisioned(recording: dict[str, Any]) -> Site:
    """Return a site with what the recording provisions."""
    place = await site()
    await place.catalogue.insert("", "adapter_secrets", "tag_pseudonyms", {"key": SECRET})
    await place.store.create_groups("", "/", recording.get("groups", []))
    await place.store.create_devices("", "/", recording.get("devices", []))
    return place


def outcome_of(place: Site, answers: list[Any]) -> dict[str, Any]:
    """Return what came of a recording."""
    result: dict[str, Any] = {
        "updates": [
            {
                "id": update.id,
                "type": update.type,
                "attrs": update.attrs,
                **({"static": sorted(update.static)} if update.static else {}),
                **({} if update.history else {"history": False}),
            }
            for update in place.sink.updates
        ]
    }
    if answers:
        result["answers"] = answers
    if place.quarantined:
        result["quarantined"] = [entry["reason"] for entry in place.quarantined]
    return result


async def replay(recording: dict[str, Any]) -> dict[str, Any]:
    """Provision what the recording says, let its messages in by their doors, and tell what came of them."""
    place = await provisioned(recording)
    received = clock.read_text(recording["received"])
    door = DeviceDoor(place.pipeline, now=lambda: received)
    answers = []
    async with httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://city") as client:
        for message in recording["messages"]:
            if "request" in message:
                answers.append(await requested(client, message))
                continue
            found = TREE.match(message["topic"])
            assert found is not None, f"no format takes {message['topic']}"
            at = clock.read_text(message["received"]) if "received" in message else received
            one = Message(
                found[0], body_of(message), at, found[1], message["topic"], retained=message.get("retained", False)
            )
            work = await place.pipeline.prepare([one])
            await place.pipeline.commit(work)
    return outcome_of(place, answers)


async def requested(client: httpx.AsyncClient, message: dict[str, Any]) -> list[Any]:
    """Send a recorded request; return its answer."""
    method, url = message["request"].split(" ", 1)
    headers = {"content-type": message["type"]} if "type" in message else {}
    content = body_of(message) if method == "POST" else None
    answer = await client.request(method, url, content=content, headers=headers)
    return [answer.status_code, answer.json()]


@pytest.mark.parametrize("path", FIXTURES, ids=lambda p: f"{p.parent.parent.name}/{p.stem}")
async def test_recorded_messages_become_what_is_expected(path: Path) -> None:
    """A recorded message becomes the entity updates, answers and quarantine entries that stand beside it."""
    expected = json.loads(path.with_suffix(".expected.json").read_text())
    assert await replay(json.loads(path.read_text())) == expected


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_recordings(name: str) -> None:
    """A format without recorded messages cannot be told from one that does not work."""
    assert [p for p in FIXTURES if p.parent.parent.name == name]
