"""Delivery under adversity: endpoints that fail, refuse, hang; memory that is full; subscriptions that change."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson
import paho.mqtt.client as paho
from aiohttp import web

from tests.unit.subscriptions.rig import SWIFT, value

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.unit.subscriptions.receiver import Receiver
    from tests.unit.subscriptions.rig import Rig

    Start = Callable[..., Awaitable[Rig]]

PATIENT = replace(SWIFT, patience=60.0)
IMPATIENT = replace(SWIFT, patience=0.2, queue=20)


def levels(receiver: Receiver, entity: str = "urn:x:a") -> list[int]:
    return [one["level"]["value"] for one in receiver.entities if one["id"] == entity]


async def watermark(rig: Rig, number: int, seconds: float = 5.0) -> None:
    """Wait until the watermark of a process has come to a number."""
    async with asyncio.timeout(seconds):
        while await rig.log.watermark("", rig.writer) < number:
            await asyncio.sleep(0.02)


async def test_a_dead_endpoint_gets_everything_in_order_when_it_returns(rigs: Start, receiver: Receiver) -> None:
    """While an endpoint is away its notifications are parked, memory stays bounded; later all arrive in order."""
    rig = await rigs(policy=IMPATIENT)
    port = receiver.port
    await rig.subscribe(receiver.url())
    await receiver.stop()
    await rig.create("a", level=value(0))
    await rig.create("b", level=value(0))
    for number in range(1, 60):
        await rig.patch("a", level=value(number))
        await rig.patch("b", level=value(number))
        assert rig.dispatcher.outbox.waiting <= IMPATIENT.queue
    await watermark(rig, 120)
    assert await rig.log.watermark("", rig.writer) == 120
    await receiver.start(port)
    await receiver.wait_entities(120, seconds=15)
    assert levels(receiver) == levels(receiver, "urn:x:b") == list(range(60))


async def test_new_changes_go_behind_parked_ones(rigs: Start, receiver: Receiver) -> None:
    """Changes that come while older ones are being loaded from the parking do not overtake them."""
    rig = await rigs(policy=IMPATIENT)
    port = receiver.port
    await rig.subscribe(receiver.url())
    await receiver.stop()
    await rig.create("a", level=value(0))
    for number in range(1, 40):
        await rig.patch("a", level=value(number))
    await asyncio.sleep(0.3)
    await receiver.start(port)
    for number in range(40, 120):
        await rig.patch("a", level=value(number))
        await asyncio.sleep(0.002)
    await receiver.wait_entities(120, seconds=15)
    assert levels(receiver) == list(range(120))


async def test_nothing_stays_parked_after_delivery(rigs: Start, receiver: Receiver) -> None:
    """What was parked and is delivered is removed from the store."""
    rig = await rigs(policy=IMPATIENT)
    port = receiver.port
    await rig.subscribe(receiver.url())
    await receiver.stop()
    for number in range(30):
        await rig.create(f"e{number}", level=value(number))
    await asyncio.sleep(0.5)
    await receiver.start(port)
    await receiver.wait_entities(30, seconds=15)
    async with asyncio.timeout(5):
        while await rig.databases.of("")["parked"].count_documents({}):
            await asyncio.sleep(0.02)
    assert len(rig.dispatcher.outbox.parking) == 0


async def test_too_much_for_memory_is_parked(rigs: Start, receiver: Receiver) -> None:
    """When an endpoint is slow and more waits than memory may hold, the rest is parked, and all arrive in order."""
    rig = await rigs(policy=replace(PATIENT, queue=10, concurrency=2, group=1))

    async def slow(request: web.Request, body: dict[str, object]) -> web.StreamResponse:
        await asyncio.sleep(0.01)
        return await receiver.well(request, body)

    receiver.answer = slow
    await rig.subscribe(receiver.url())
    for entity in "abcde":
        await rig.create(entity, level=value(0))
    for number in range(1, 20):
        await asyncio.gather(*(rig.patch(entity, level=value(number)) for entity in "abcde"))
        assert rig.dispatcher.outbox.waiting <= 10
    await receiver.wait_entities(100, seconds=15)
    for entity in "abcde":
        assert levels(receiver, f"urn:x:{entity}") == list(range(20))


async def test_many_slow_endpoints_share_the_memory(rigs: Start, receiver: Receiver) -> None:
    """What waits for all endpoints together is bounded, whatever each of them may have; all arrive in order."""
    policy = replace(PATIENT, memory=12, share=2, concurrency=1, group=1)
    rig = await rigs(policy=policy)

    async def slow(request: web.Request, body: dict[str, object]) -> web.StreamResponse:
        await asyncio.sleep(0.01)
        return await receiver.well(request, body)

    receiver.answer = slow
    paths = [f"/{number}" for number in range(8)]
    for path in paths:
        await rig.subscribe(receiver.url(path))
    await rig.create("a", level=value(0))
    most = 0
    for number in range(1, 20):
        await rig.patch("a", level=value(number))
        most = max(most, rig.dispatcher.outbox.waiting)
    await receiver.wait_entities(20 * len(paths), seconds=15)
    assert policy.memory <= most <= policy.memory + policy.share * len(paths)
    for path in paths:
        told = [body["data"][0]["level"]["value"] for one, _, body in receiver.got if one == path]
        assert told == list(range(20))
    async with asyncio.timeout(10):
        while rig.dispatcher.outbox.waiting:
            await asyncio.sleep(0.02)


async def test_a_notification_is_not_larger_than_the_policy_says(rigs: Start, receiver: Receiver) -> None:
    """Entities that wait together share notifications up to a size in bytes; all arrive, each once."""
    rig = await rigs(policy=replace(SWIFT, body=4000))
    await rig.subscribe(receiver.url())
    await asyncio.gather(*(rig.create(f"e{number}", level=value("x" * 700)) for number in range(40)))
    await receiver.wait_entities(40)
    assert len({one["id"] for one in receiver.entities}) == len(receiver.entities) == 40
    assert max(len(orjson.dumps(body)) for _, _, body in receiver.got) <= 4000
    assert max(len(body["data"]) for _, _, body in receiver.got) > 1


async def test_any_2xx_is_success(rig: Rig, receiver: Receiver) -> None:
    """200, 201, 202 and 204 all mean that the notification has arrived."""
    statuses = [200, 201, 202, 204]

    async def answer(request: web.Request, body: dict[str, object]) -> web.StreamResponse:
        return web.Response(status=statuses[len(receiver.got)])

    receiver.answer = answer
    subscription = await rig.subscribe(receiver.url())
    for number in range(4):
        await rig.create(f"e{number}", level=value(number))
        await receiver.wait(number + 1)
    await asyncio.sleep(0.05)
    tally = (await rig.dispatcher.tallies.read("", [subscription]))[subscription]
    assert (tally.sent, tally.failed) == (4, 0)


async def test_counters_of_failures(rigs: Start, receiver: Receiver) -> None:
    """Failed attempts are counted, and status is "failed" until one succeeds."""
    rig = await rigs(policy=replace(PATIENT, longest_delay=0.05))
    failing = True

    async def answer(request: web.Request, body: dict[str, object]) -> web.StreamResponse:
        return web.Response(status=500) if failing else web.Response()

    receiver.answer = answer
    subscription = await rig.subscribe(receiver.url())
    await rig.create("a", level=value(1))
    await asyncio.sleep(0.2)
    members = (await rig.dispatcher.tallies.read("", [subscription]))[subscription].members()
    assert members["status"] == "failed"
    assert members["timesFailed"] >= 2
    assert "lastSuccess" not in members
    failing = False
    await receiver.wait(1)
    await asyncio.sleep(0.05)
    members = (await rig.dispatcher.tallies.read("", [subscription]))[subscription].members()
    assert members["status"] == "ok"


async def test_repeats_have_the_same_id(rig: Rig, receiver: Receiver) -> None:
    """A notification that is sent again has the same id, so that a receiver can drop it."""
    ids = []

    async def answer(request: web.Request, body: dict[str, object]) -> web.StreamResponse:
        ids.append(body["id"])
        return web.Response(status=200 if len(ids) > 2 else 503)

    receiver.answer = answer
    await rig.subscribe(receiver.url())
    await rig.create("a", level=value(1))
    await receiver.wait(1)
    assert len(ids) == 3
    assert len(set(ids)) == 1


async def test_an_endpoint_that_hangs_is_a_failure(rigs: Start, receiver: Receiver) -> None:
    """An endpoint that does not answer within the subscription's timeout has failed, and is asked again."""
    rig = await rigs(policy=PATIENT)
    asked = 0

    async def answer(request: web.Request, body: dict[str, object]) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        if asked == 1:
            await asyncio.sleep(5)
        return web.Response()

    receiver.answer = answer
    subscription = await rig.subscribe(receiver.url(), endpoint={"timeout": 100})
    await rig.create("a", level=value(1))
    await receiver.wait(1, seconds=3)
    tally = (await rig.dispatcher.tallies.read("", [subscription]))[subscription]
    assert tally.failed == 1
    await rig.dispatcher.bookkeeper.write()
    ok, failed = await rig.records.attempts("", subscription, limit=5)
    assert (ok.ok, ok.status) == (True, 200)
    assert (failed.ok, failed.status, failed.reason) == (False, None, "no answer within 0.1 s")


async def test_a_dead_letter(rigs: Start, receiver: Receiver) -> None:
    """What could not be delivered for as long as the policy says becomes a dead letter, and the next one is tried."""
    rig = await rigs(policy=replace(SWIFT, give_up=0.3, patience=0.1))
    failing = True

    async def answer(request: web.Request, body: dict[str, object]) -> web.StreamResponse:
        return web.Response(status=500) if failing else web.Response()

    receiver.answer = answer
    subscription = await rig.subscribe(receiver.url())
    await rig.create("a", level=value(1))
    async with asyncio.timeout(5):
        while not await rig.parked.dead("", subscription, limit=10):
            await asyncio.sleep(0.02)
    failing = False
    await rig.patch("a", level=value(2))
    await receiver.wait(1)
    (letter,) = await rig.parked.dead("", subscription, limit=10)
    assert letter.reason == "500 Internal Server Error"
    assert [change.number for change in letter.parked.changes] == [1]
    assert levels(receiver) == [2]


async def test_a_paused_subscription_keeps_what_waits(rigs: Start, receiver: Receiver) -> None:
    """While a subscription is paused nothing is sent; when it is resumed what waited is, but not changes meanwhile."""
    rig = await rigs(policy=PATIENT)
    failing = True

    async def answer(request: web.Request, body: dict[str, object]) -> web.StreamResponse:
        return web.Response(status=500) if failing else web.Response()

    receiver.answer = answer
    subscription = await rig.subscribe(receiver.url())
    await rig.create("a", level=value(0))
    await rig.patch("a", level=value(1))
    await rig.subscriptions.update("", subscription, {"isActive": False}, await rig.resolver.resolve(None))
    failing = False
    await rig.patch("a", level=value(2))
    await asyncio.sleep(0.3)
    assert receiver.got == []
    await rig.subscriptions.update("", subscription, {"isActive": True}, await rig.resolver.resolve(None))
    await rig.patch("a", level=value(3))
    await receiver.wait_entities(3)
    assert levels(receiver) == [0, 1, 3]


async def test_a_changed_endpoint_gets_what_waits(rigs: Start, receiver: Receiver) -> None:
    """When the endpoint of a subscription is changed, what waited for the old one goes to the new one, in order."""
    rig = await rigs(policy=PATIENT)

    async def answer(request: web.Request, body: dict[str, object]) -> web.StreamResponse:
        return web.Response(status=500 if request.path == "/old" else 200)

    receiver.answer = answer
    subscription = await rig.subscribe(receiver.url("/old"))
    await rig.create("a", level=value(0))
    for number in range(1, 10):
        await rig.patch("a", level=value(number))
    fragment = {"notification": {"endpoint": {"uri": receiver.url("/new")}}}
    await rig.subscriptions.update("", subscription, fragment, await rig.resolver.resolve(None))
    await receiver.wait_entities(10)
    assert levels(receiver) == list(range(10))
    assert {path for path, _, _ in receiver.got} == {"/new"}


async def test_throttling_sends_the_latest_when_the_interval_is_over(rigs: Start, receiver: Receiver) -> None:
    """Within the throttling interval nothing is sent; when it is over, the latest state of each entity is, together."""
    rig = await rigs(policy=PATIENT)
    await rig.subscribe(receiver.url(), throttling=0.5)
    await rig.create("a", level=value(0))
    await receiver.wait(1)
    started = time.monotonic()
    await rig.create("b", level=value(0))
    for number in range(1, 5):
        await rig.patch("a", level=value(number))
    await receiver.wait(2)
    assert time.monotonic() - started >= 0.3
    assert sorted((one["id"], one["level"]["value"]) for one in receiver.bodies[1]["data"]) == [
        ("urn:x:a", 4),
        ("urn:x:b", 0),
    ]
    await watermark(rig, 6)


async def test_coalesce_tells_a_returning_endpoint_the_latest_only(rigs: Start, receiver: Receiver) -> None:
    """What waited for a coalescing subscription, also in the store, is told by its latest state; others get it all."""
    rig = await rigs(policy=IMPATIENT)
    port = receiver.port
    await rig.subscribe(receiver.url("/latest"), coalesce=True)
    await rig.subscribe(receiver.url("/all"))
    await receiver.stop()
    await rig.create("a", level=value(0))
    await rig.create("b", level=value(0))
    for number in range(1, 80):
        await rig.patch("a", level=value(number))
    await rig.patch("b", level=value(1))
    await watermark(rig, 82)
    await receiver.start(port)

    def heard(path: str, name: str) -> list[int]:
        told = [one for where, _, body in receiver.got if where == path for one in body["data"]]
        return [one["level"]["value"] for one in told if one["id"] == name]

    last = {"urn:x:a": 79, "urn:x:b": 1}
    async with asyncio.timeout(15):
        while any(heard(path, name)[-1:] != [last[name]] for path in ("/all", "/latest") for name in last):
            await asyncio.sleep(0.02)
    assert [len(heard("/all", name)) for name in last] == [80, 2]
    latest = heard("/latest", "urn:x:a")
    assert latest == sorted(set(latest))
    assert len(latest) < 20


async def test_a_time_interval_sends_all_that_match(rigs: Start, receiver: Receiver) -> None:
    """With timeInterval all entities that match are sent again and again, without any change (046_02)."""
    rig = await rigs(policy=PATIENT)
    for number in range(3):
        await rig.create(f"e{number}", level=value(number))
    await rig.subscribe(receiver.url(), timeInterval=0.2, q="level>0")
    await receiver.wait(2)
    for body in receiver.bodies[:2]:
        assert sorted(one["id"] for one in body["data"]) == ["urn:x:e1", "urn:x:e2"]
    assert receiver.bodies[0]["id"] != receiver.bodies[1]["id"]


async def test_no_entities_no_periodic_notification(rigs: Start, receiver: Receiver) -> None:
    """Where no entity matches, no periodic notification is sent."""
    rig = await rigs(policy=PATIENT)
    await rig.subscribe(receiver.url(), timeInterval=0.1)
    await asyncio.sleep(0.5)
    assert receiver.got == []


async def test_the_timers_run_in_one_process_only(rigs: Start, receiver: Receiver) -> None:
    """Of several processes one sends the periodic notifications; when it dies another one does."""
    policy = replace(PATIENT, lease=0.6)
    first, second = await rigs(policy=policy), await rigs(policy=policy)
    await first.create("a", level=value(0))
    await first.subscribe(receiver.url(), timeInterval=0.4)
    await asyncio.sleep(1.0)
    assert len(receiver.got) <= 2
    await first.crash()
    count = len(receiver.got)
    await receiver.wait(count + 2, seconds=5)
    assert second.up


async def test_other_processes_follow_within_a_second(rigs: Start, receiver: Receiver) -> None:
    """A subscription that another process created, changed or deleted takes effect here within a second."""
    first, second = await rigs(), await rigs()
    subscription = await first.subscribe(receiver.url("/1"))
    await asyncio.sleep(1)
    await second.create("a", level=value(0))
    await receiver.wait(1)
    fragment = {"notification": {"endpoint": {"uri": receiver.url("/2")}}}
    await first.subscriptions.update("", subscription, fragment, await first.resolver.resolve(None))
    await asyncio.sleep(1)
    await second.patch("a", level=value(1))
    await receiver.wait(2)
    await first.subscriptions.delete("", subscription)
    await asyncio.sleep(1)
    await second.patch("a", level=value(2))
    await asyncio.sleep(0.3)
    assert [path for path, _, _ in receiver.got] == ["/1", "/2"]


async def test_linked_conditions(rig: Rig, receiver: Receiver) -> None:
    """A q about linked entities is answered from the store (49_01)."""
    await rig.create("low", type="Device", battery=value(0.3))
    await rig.create("full", type="Device", battery=value(0.95))
    await rig.subscribe(receiver.url(), q="device{battery}<0.5")
    for name in ("full", "low"):
        await rig.create(f"at-{name}", device={"type": "Relationship", "object": f"urn:x:{name}"})
    await receiver.wait(1)
    await asyncio.sleep(0.1)
    assert [one["id"] for one in receiver.entities] == ["urn:x:at-low"]


async def test_joined_entities(rig: Rig, receiver: Receiver) -> None:
    """Join puts linked entities inline, or behind the entity in data (046_23–046_30)."""
    await rig.create("city", type="City", name=value("Tokyo"))
    await rig.subscribe(receiver.url("/inline"), notification={"join": "inline"})
    await rig.subscribe(receiver.url("/flat"), notification={"join": "flat", "format": "simplified"})
    await rig.create("a", near={"type": "Relationship", "object": "urn:x:city"})
    await receiver.wait(2)
    told = {path: body["data"] for path, _, body in receiver.got}
    city = {"id": "urn:x:city", "type": "City"}
    assert told["/inline"][0]["near"] == {
        "type": "Relationship",
        "object": "urn:x:city",
        "entity": {**city, "name": {"type": "Property", "value": "Tokyo"}},
    }
    assert told["/flat"] == [{"id": "urn:x:a", "type": "River", "near": "urn:x:city"}, {**city, "name": "Tokyo"}]


async def test_tenants_have_their_own_subscriptions(rig: Rig, receiver: Receiver) -> None:
    """A change of one tenant notifies only its own subscribers, who are told which tenant it was (6.3.14)."""
    await rig.subscribe(receiver.url("/ward"), tenant="ward")
    await rig.subscribe(receiver.url("/city"))
    await rig.create("a", tenant="ward", level=value(1))
    await receiver.wait(1)
    await asyncio.sleep(0.1)
    (one,) = receiver.got
    assert one[0] == "/ward"
    assert one[1]["NGSILD-Tenant"] == "ward"


async def test_a_private_endpoint_is_not_reached(rigs: Start, receiver: Receiver) -> None:
    """An endpoint whose address is private and not listed is not connected to, whatever was accepted before."""
    rig = await rigs(policy=PATIENT, allow=())
    rig.subscriptions._guard = _no_guard
    await rig.subscribe(receiver.url())
    await rig.subscribe(f"http://localhost:{receiver.port}/named")
    await rig.create("a", level=value(1))
    await asyncio.sleep(0.4)
    assert receiver.got == []


async def _no_guard(url: str) -> None:
    return None


async def test_rubbish_subscriptions_in_the_store_stop_nothing(rigs: Start, receiver: Receiver) -> None:
    """An entry that cannot be read is logged and left out; the others work."""
    rig = await rigs()
    await rig.catalogue.insert("", "subscriptions", "urn:s:bad", {"id": "urn:s:bad", "rev": 1, "body": {}})
    await rig.subscribe(receiver.url())
    other = await rigs()
    await other.create("a", level=value(1))
    await receiver.wait(1)


async def test_a_subscription_over_mqtt(rig: Rig, mqtt_url: str) -> None:
    """A subscription to an MQTT endpoint is notified through the server (058)."""
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    parts = urlsplit(mqtt_url)
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.on_message = lambda _client, _data, message: loop.call_soon_threadsafe(heard.put_nowait, message.payload)
    client.connect(parts.hostname or "", parts.port or 1883)
    topic = f"city/{rig.writer}"
    client.subscribe(topic, 1)
    client.loop_start()
    endpoint = {"notifierInfo": [{"key": "MQTT-QoS", "value": "1"}], "receiverInfo": [{"key": "k", "value": "v"}]}
    subscription = await rig.subscribe(f"{mqtt_url}/{topic}", endpoint=endpoint)
    await asyncio.sleep(0.1)
    await rig.create("a", level=value(1))
    async with asyncio.timeout(5):
        message = orjson.loads(await heard.get())
    client.disconnect()
    client.loop_stop()
    assert message["metadata"]["Content-Type"] == "application/json"
    assert message["metadata"]["k"] == "v"
    assert "json-ld#context" in message["metadata"]["Link"]
    assert message["body"]["subscriptionId"] == subscription
    assert message["body"]["data"][0]["id"] == "urn:x:a"


async def test_order_in_a_storm(rigs: Start, receiver: Receiver) -> None:
    """However an endpoint fails, answers lost included, changes arrive in order per entity; repeats come at once."""
    dice = random.Random(11)
    told: dict[str, list[int]] = {}

    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        await asyncio.sleep(dice.random() * 0.01)
        if dice.random() < 0.3:
            return web.Response(status=dice.choice([500, 503, 400, 404]))
        for entity in body["data"]:
            told.setdefault(entity["id"], []).append(entity["level"]["value"])
        return web.Response(status=dice.choice([200, 200, 200, 502]))

    receiver.answer = answer
    rig = await rigs(policy=replace(SWIFT, queue=8, concurrency=3, patience=0.1, longest_delay=0.05, group=3))
    await rig.subscribe(receiver.url())
    for entity in "abcdef":
        await rig.create(entity, level=value(0))
    for number in range(1, 60):
        await asyncio.gather(*(rig.patch(entity, level=value(number)) for entity in "abcdef"))
    await watermark(rig, 360, seconds=30)
    async with asyncio.timeout(60):
        while len(rig.dispatcher.outbox.parking) or rig.dispatcher.outbox.waiting:
            await asyncio.sleep(0.05)
    for entity in "abcdef":
        assert [number for number, _ in itertools.groupby(told[f"urn:x:{entity}"])] == list(range(60))


async def test_a_subscription_made_anew_with_the_same_id(rigs: Start, receiver: Receiver) -> None:
    """Of a subscription that is deleted and made anew under the same id only what is changed afterwards is sent."""
    rig = await rigs(policy=replace(IMPATIENT, queue=2))
    port = receiver.port
    await rig.subscribe(receiver.url(), id="urn:s:1")
    await receiver.stop()
    await rig.create("a", level=value(0))
    for number in range(1, 10):
        await rig.patch("a", level=value(number))
    await rig.subscriptions.delete("", "urn:s:1")
    await rig.subscribe(receiver.url(), id="urn:s:1")
    for number in range(10, 20):
        await rig.patch("a", level=value(number))
    await receiver.start(port)
    await receiver.wait_entities(10)
    await asyncio.sleep(0.3)
    assert levels(receiver) == list(range(10, 20))
