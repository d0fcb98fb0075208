"""Room for larger bodies: so many bytes at once, in order, and no waiting without end."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.broker.api.echo import BASE, echo_api, echo_client
from tsunagu.asgi import CLIENT_GONE
from tsunagu.broker.api.intake import SMALL, WAITING, Intake
from tsunagu.broker.api.problems import ClientGone
from tsunagu.broker.errors import Unavailable

PATIENT = 60.0


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@given(st.lists(st.tuples(st.integers(1, 15), st.booleans()), max_size=30))
async def test_never_more_than_there_is_room_for_and_in_order(plan: list[tuple[int, bool]]) -> None:
    """Bodies are let in in their order, together at most the limit or one alone; who gives up frees the way."""
    intake = Intake(10, patience=PATIENT)
    inside: list[int] = []
    order: list[int] = []
    most = 0

    async def body(number: int, size: int) -> None:
        nonlocal most
        async with intake.room(size):
            order.append(number)
            inside.append(size)
            most = max(most, sum(inside) if len(inside) > 1 else 0)
            try:
                await settle()
            finally:
                inside.remove(size)

    tasks = [asyncio.create_task(body(number, size)) for number, (size, _) in enumerate(plan)]
    await asyncio.sleep(0)
    for task, (_, stays) in zip(tasks, plan, strict=True):
        if not stays:
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert most <= 10
    assert order == sorted(order)
    assert set(order) >= {number for number, (_, stays) in enumerate(plan) if stays}
    async with intake.room(10):
        pass


async def test_who_waits_too_long_is_told_to_come_again() -> None:
    """A body for which there is no room in time gets 503 with Retry-After, and those behind it get their turn."""
    intake = Intake(10, patience=0.01)
    async with intake.room(10):
        with pytest.raises(Unavailable):
            async with intake.room(1):
                pass
    async with intake.room(10):
        pass


async def test_no_more_wait_than_memory_allows() -> None:
    """When the bytes that wait reach their bound, further bodies are refused at once."""
    intake = Intake(10, patience=PATIENT)

    async def hold() -> None:
        async with intake.room(10):
            await asyncio.sleep(PATIENT)

    tasks = [asyncio.create_task(hold()) for _ in range(1 + WAITING)]
    await settle()
    with pytest.raises(Unavailable):
        async with intake.room(1):
            pass
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_large_bodies_go_through_one_after_the_other() -> None:
    """Of bodies beyond the room all are answered, whole, and as if each had been alone."""
    large: dict[str, Any] = {"text": "x" * SMALL}
    async with echo_client(max_body=10 * SMALL, intake_limit=SMALL) as client:
        answers = await asyncio.gather(
            *(client.post("/things", json={**large, "number": number}) for number in range(8))
        )
        broken = await client.post(
            "/things", content=orjson.dumps(large)[:-1], headers={"Content-Type": "application/json"}
        )
    assert [answer.json()["body"] for answer in answers] == [{**large, "number": number} for number in range(8)]
    assert broken.status_code == httpx.codes.BAD_REQUEST


async def test_nothing_is_done_for_a_client_that_has_gone() -> None:
    """A large body whose turn comes when its client has closed the connection is not worked on."""
    api = echo_api(max_body=10 * SMALL, intake_limit=SMALL)
    gone = False

    async def served(scope: Any, receive: Any, send: Any) -> None:
        await api({**scope, "extensions": {CLIENT_GONE: lambda: gone}}, receive, send)

    large = {"text": "x" * SMALL}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=served), base_url=BASE) as client:
        assert (await client.post("/things", json=large)).status_code == httpx.codes.OK
        async with api.services.intake.room(SMALL):
            waiting = asyncio.create_task(client.post("/things", json=large))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            gone = True
        answer = await waiting
    assert answer.status_code == ClientGone.status
