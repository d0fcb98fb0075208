"""From a committed change to a notification at a real endpoint."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.unit.subscriptions.rig import value

if TYPE_CHECKING:
    from tests.unit.subscriptions.receiver import Receiver
    from tests.unit.subscriptions.rig import Rig


async def test_a_created_entity_is_notified(rig: Rig, receiver: Receiver) -> None:
    """The creation of an entity of the subscribed type reaches the endpoint as a Notification of 5.3.1."""
    subscription = await rig.subscribe(receiver.url())
    await rig.create("a", level=value(1.5))
    (body,) = await receiver.wait(1)
    assert body["type"] == "Notification"
    assert body["subscriptionId"] == subscription
    assert body["id"].startswith("urn:ngsi-ld:Notification:")
    assert body["data"] == [{"id": "urn:x:a", "type": "River", "level": {"type": "Property", "value": 1.5}}]


async def test_the_watermark_follows_the_deliveries(rig: Rig, receiver: Receiver) -> None:
    """When all is delivered the watermark stands at the last change."""
    await rig.subscribe(receiver.url())
    for number in range(5):
        await rig.create(f"e{number}", level=value(number))
    await receiver.wait_entities(5)
    for _ in range(100):
        if await rig.log.watermark("", rig.writer) == 5:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the watermark did not come to 5")


async def test_a_hanging_endpoint_delays_nobody_else(rig: Rig, receiver: Receiver) -> None:
    """While one endpoint hangs, another one's notifications go out at once."""
    hanging = asyncio.Event()

    async def answer(request, body):
        if request.path == "/hang":
            await hanging.wait()
        return await receiver.well(request, body)

    receiver.answer = answer
    await rig.subscribe(receiver.url("/hang"))
    await rig.subscribe(receiver.url("/well"))
    for number in range(30):
        await rig.create(f"e{number}", level=value(number))
    await receiver.wait_entities(30, seconds=3)
    assert {path for path, _, _ in receiver.got} == {"/well"}
    hanging.set()


async def test_order_is_kept_per_entity(rig: Rig, receiver: Receiver) -> None:
    """Changes of one entity arrive in order, also when the endpoint fails now and then."""
    count = 0

    async def answer(request, body):
        nonlocal count
        count += 1
        await asyncio.sleep(0.003 * (count % 4))
        return type(await receiver.well(request, body))(status=503 if count % 7 == 0 else 200)

    receiver.answer = answer
    await rig.subscribe(receiver.url())
    await rig.create("a", level=value(0))
    await rig.create("b", level=value(0))
    for number in range(1, 40):
        await asyncio.gather(rig.patch("a", level=value(number)), rig.patch("b", level=value(number)))
    await receiver.wait_entities(80)
    for entity in ("urn:x:a", "urn:x:b"):
        levels = [one["level"]["value"] for one in receiver.entities if one["id"] == entity]
        assert levels == list(range(40))


async def test_nothing_is_sent_after_a_deletion(rig: Rig, receiver: Receiver) -> None:
    """After the deletion of a subscription is answered, nothing more arrives for it, not even what waited."""
    arrivals = 0

    async def answer(request, body):
        nonlocal arrivals
        arrivals += 1
        await asyncio.sleep(0.05)
        return await receiver.well(request, body)

    receiver.answer = answer
    subscription = await rig.subscribe(receiver.url())
    await rig.create("a", level=value(0))
    for number in range(1, 20):
        await rig.patch("a", level=value(number))
    await rig.subscriptions.delete("", subscription)
    before = arrivals
    await asyncio.sleep(0.3)
    assert arrivals == before < 20
    assert rig.dispatcher.outbox.waiting == 0
