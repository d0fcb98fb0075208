"""Which writes to entities are commands, and what is taken up after a process died."""

from __future__ import annotations

import asyncio
from typing import Any

from tsunagu.adapters.devices.plan import compile_plan
from tsunagu.app.command_watch import CommandWatch, requested
from tsunagu.broker.changes import Change, Touch
from tsunagu.broker.errors import ResourceNotFound
from tsunagu.broker.jsonld.context import CORE
from tsunagu.schemas.entity import stored_name

TURN, STATUS, LEVEL = (stored_name(CORE.expand_term(term)) for term in ("turn", "turn_status", "level"))
ROBOT = "urn:ngsi-ld:Robot:r1"
NAMES = {TURN: "turn"}


def document(times: dict[str, int] | None = None, **attrs: Any) -> dict[str, Any]:
    named = {{"turn": TURN, "turn_status": STATUS, "level": LEVEL}[name]: value for name, value in attrs.items()}
    sys = {{"turn": TURN, "turn_status": STATUS}[name]: {"m": at} for name, at in (times or {}).items()}
    return {"_id": ROBOT, "attrs": named, "sys": sys}


def change(*touched: str, at: int = 5, deed: Any = "updated", **attrs: Any) -> Change:
    touches = tuple(Touch({"turn": TURN, "turn_status": STATUS, "level": LEVEL}[name], deed) for name in touched)
    return Change("city", "w", 1, ROBOT, "updated", at, None, document(**attrs), touches)


def prop(value: Any, **more: Any) -> dict[str, Any]:
    return {"type": "Property", "value": value, **more}


def test_a_write_to_a_command_is_a_request() -> None:
    """With its value and the time of the change; other attributes are not."""
    assert list(requested(change("turn", "level", turn=prop("left"), level=prop(1)), NAMES)) == [
        ("city", ROBOT, "turn", "left", 5)
    ]
    assert list(requested(change("level", turn=prop("left"), level=prop(1)), NAMES)) == []


def test_readings_deletions_and_our_own_writes_are_none() -> None:
    """What was observed is a reading; a status beside it is the broker's introduction."""
    assert list(requested(change("turn", turn=prop("left", observedAt="2026-07-18T19:10:00Z")), NAMES)) == []
    assert list(requested(change("turn", deed="deleted"), NAMES)) == []
    assert list(requested(change("turn", "turn_status", turn=prop(""), turn_status=prop("UNKNOWN")), NAMES)) == []


def test_a_value_beside_an_older_observation_is_a_write_of_an_application() -> None:
    """A partial update leaves the observedAt of the reading before it where it is (5.6.4)."""
    earlier = prop(1, observedAt="2026-07-18T19:10:00Z")
    for after, found in (
        (prop(2, observedAt="2026-07-18T19:10:00Z"), [2]),
        (prop(2, observedAt="2026-07-18T19:20:00Z"), []),
        (prop(1, observedAt="2026-07-18T19:10:00Z"), []),
    ):
        one = change("turn", turn=after)._replace(before=document(turn=earlier))
        assert [value for *_, value, _ in requested(one, NAMES)] == found


def test_several_instances_are_commands_in_order() -> None:
    """The reference's sequences by datasetId."""
    both = [prop("green", datasetId="urn:a"), prop("red", datasetId="urn:b")]
    assert [value for *_, value, _ in requested(change("turn", turn=both), NAMES)] == ["green", "red"]


class Requests:
    """Remembers what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.plan = compile_plan(
            {"device_id": "r1", "commands": [{"name": "turn"}]},
            {"apikey": "k", "resource": "/iot/json", "entity_type": "Robot"},
        )

    async def load(self, tenants: list[str]) -> None:
        """Know everything."""

    def names(self, tenant: str) -> set[str]:
        return {"turn"} if tenant == "city" else set()

    async def request(self, *words: Any, at: int) -> None:
        self.asked.append((*words, at))

    async def introduce(self, plan: Any) -> None:
        """Do nothing."""

    async def with_commands(self, tenant: str) -> Any:
        yield self.plan


class Entities:
    def __init__(self, stored: dict[str, Any] | None) -> None:
        self.stored = stored

    async def retrieve(self, tenant: str, entity_id: str) -> dict[str, Any]:
        if self.stored is None:
            raise ResourceNotFound("none")
        return self.stored


async def watching(stored: dict[str, Any] | None) -> tuple[CommandWatch, Requests]:
    async def tenants() -> list[str]:
        return [""]

    requests = Requests()
    watch = CommandWatch(requests, Entities(stored), tenants)  # type: ignore[arg-type]
    await watch.start()
    await asyncio.sleep(0.05)
    return watch, requests


async def test_what_a_dead_process_left_is_taken_up_at_the_start() -> None:
    """A command written after its status was told is one that nobody has passed on."""
    for times, expected in (
        ({"turn": 9, "turn_status": 7}, [("", ROBOT, "turn", "left", 9)]),
        ({"turn": 7, "turn_status": 9}, []),
        ({"turn": 7, "turn_status": 7}, []),
        ({"turn": 7}, []),
    ):
        watch, requests = await watching(document(times, turn=prop("left"), turn_status=prop("OK")))
        assert requests.asked == expected
        await watch.stop()
    watch, requests = await watching(None)
    assert requests.asked == []
    await watch.stop()


async def test_commands_among_changes_go_to_the_devices() -> None:
    """In the order in which they were written to an entity; tenants without commands cost a look-up."""
    watch, requests = await watching(None)
    watch.committed([change("turn", turn=prop(n), at=n) for n in range(1, 4)])
    await asyncio.sleep(0.05)
    assert [(value, at) for *_, value, at in requests.asked] == [(1, 1), (2, 2), (3, 3)]
    await watch.stop()
