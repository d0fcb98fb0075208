"""The MQTT door against a real MQTT broker."""

from __future__ import annotations

import asyncio
import sys
import uuid
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tsunagu.adapters.credentials import digest
from tsunagu.adapters.devices.registry import device_id_of
from tsunagu.adapters.inbound.mqtt import MqttDoor
from tsunagu.adapters.sink import SinkUnavailable
from tsunagu.up.mqtt import find_mosquitto
from tsunagu.up.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.adapters.memory import Site

GROUP = {"resource": "/iot/json", "entity_type": "Gauge"}


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for a condition."""
    end = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < end, "waited in vain"
        await asyncio.sleep(0.01)


class Publisher:
    """A device's side of the broker."""

    def __init__(self, url: str, protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5) -> None:
        host, _, port = url.removeprefix("mqtt://").partition(":")
        self.client = Client(CallbackAPIVersion.VERSION2, protocol=protocol)
        self.client.connect(host, int(port))
        self.client.loop_start()

    async def publish(self, topic: str, body: Any, *, retain: bool = False) -> None:
        payload = body if isinstance(body, bytes) else orjson.dumps(body)
        sent = self.client.publish(topic, payload, qos=1, retain=retain)
        await asyncio.to_thread(sent.wait_for_publish, 10)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def key() -> str:
    """Give an apikey of this test alone: the MQTT broker is shared."""
    return uuid.uuid4().hex[:12]


@pytest.fixture
async def publisher(mqtt_url: str) -> AsyncIterator[Publisher]:
    """Give a connected device."""
    one = await asyncio.to_thread(Publisher, mqtt_url)
    yield one
    await asyncio.to_thread(one.close)


@pytest.fixture
async def place(empty_site: Site, key: str) -> Site:
    """Give a site that knows the group of this test."""
    await empty_site.store.create_groups("", "/", [{**GROUP, "apikey": key}])
    return empty_site


@pytest.fixture
async def door(place: Site, mqtt_url: str, key: str) -> AsyncIterator[MqttDoor]:
    """Give a connected door."""
    one = MqttDoor(place.pipeline, url=mqtt_url, client_id=f"door-{key}", longest_wait=0.2)
    await one.start()
    await until(lambda: one.connected)
    await asyncio.sleep(0.1)
    yield one
    await one.stop()


async def test_a_measure_reaches_the_sink(door: MqttDoor, publisher: Publisher, place: Site, key: str) -> None:
    """A published measure is written as an entity update."""
    await publisher.publish(f"/json/{key}/g1/attrs", {"level": 2.5, "TimeInstant": "2026-07-18T19:10:00Z"})
    await until(lambda: bool(place.sink.updates))
    update = place.sink.updates[0]
    assert (update.id, update.attrs["level"]["value"]) == ("urn:ngsi-ld:Gauge:g1", 2.5)


async def test_messages_of_a_burst_share_writes_and_keep_their_order(
    door: MqttDoor, publisher: Publisher, place: Site, key: str
) -> None:
    """Many messages make few writes, in the order in which they were published."""
    place.sink.away = True
    for number in range(300):
        publisher.client.publish(f"/json/{key}/g1/attrs", orjson.dumps({"n": number}), qos=1)
    await asyncio.sleep(0.5)
    place.sink.away = False
    await until(lambda: len(place.sink.updates) == 300)
    assert [update.attrs["n"]["value"] for update in place.sink.updates] == list(range(300))
    assert len(place.sink.writes) < 30


async def test_nothing_is_acknowledged_while_the_sink_is_away(
    place: Site, publisher: Publisher, mqtt_url: str, key: str
) -> None:
    """What a stopped door had not committed is delivered to the next door of the same client id."""
    first = MqttDoor(place.pipeline, url=mqtt_url, client_id=f"heir-{key}", longest_wait=0.1)
    await first.start()
    await until(lambda: first.connected)
    await asyncio.sleep(0.1)
    place.sink.away = True
    for number in range(5):
        await publisher.publish(f"/json/{key}/g1/attrs", {"n": number})
    await asyncio.sleep(0.2)
    await first.stop(timeout=0.1)
    await publisher.publish(f"/json/{key}/g1/attrs", {"n": 5})
    place.sink.away = False
    assert place.sink.updates == []
    second = MqttDoor(place.pipeline, url=mqtt_url, client_id=f"heir-{key}", longest_wait=0.1)
    await second.start()
    try:
        await until(lambda: len(place.sink.updates) == 6)
        assert [update.attrs["n"]["value"] for update in place.sink.updates] == [0, 1, 2, 3, 4, 5]
        assert [update.fresh for update in place.sink.updates] == [False] * 5 + [True]
    finally:
        await second.stop()


async def test_a_redelivered_message_has_the_receipt_of_its_first_delivery(
    place: Site, publisher: Publisher, mqtt_url: str, key: str
) -> None:
    """A message that was committed and not acknowledged comes again with the same receipt."""
    first = MqttDoor(place.pipeline, url=mqtt_url, client_id=f"twice-{key}", longest_wait=0.1)
    first._batches._done = lambda arrivals: None  # dies before the acknowledgement
    await first.start()
    await until(lambda: first.connected)
    await asyncio.sleep(0.1)
    await publisher.publish(f"/json/{key}/g1/attrs", {"n": 1})
    await until(lambda: len(place.sink.updates) == 1)
    await first.stop()
    second = MqttDoor(place.pipeline, url=mqtt_url, client_id=f"twice-{key}", longest_wait=0.1)
    await second.start()
    try:
        await until(lambda: len(place.sink.updates) == 2)
        one, other = place.sink.updates
        assert one.receipt == other.receipt
        assert (one.fresh, other.fresh) == (True, False)
    finally:
        await second.stop()


async def test_rubbish_is_quarantined_and_acknowledged(
    door: MqttDoor, publisher: Publisher, place: Site, key: str
) -> None:
    """A message that cannot be read is kept with its reason, and the next one is taken."""
    await publisher.publish(f"/json/{key}/g1/attrs", b"{oops")
    await publisher.publish(f"/json/{key}/g1/attrs", {"n": 1})
    await until(lambda: bool(place.sink.updates))
    assert [entry["reason"]["name"] for entry in place.quarantined] == ["BAD_PAYLOAD"]
    assert place.quarantined[0]["body"] == b"{oops"


async def test_a_pipeline_that_breaks_on_one_message_goes_on_with_the_next(
    door: MqttDoor, publisher: Publisher, place: Site, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours sets its message aside and stops nobody else's."""
    await publisher.publish(f"/json/{key}/g1/attrs", {"n": 0})
    await until(lambda: len(place.sink.updates) == 1)
    plan = place.registry.known(("/iot/json", "/iot/d", ""), key, "g1")
    assert plan is not None
    monkeypatch.setattr(plan, "names", None)
    await publisher.publish(f"/json/{key}/g1/attrs", {"n": 1})
    await publisher.publish(f"/json/{key}/g2/attrs", {"n": 2})
    await until(lambda: len(place.sink.updates) == 2)
    assert [entry["reason"]["name"] for entry in place.quarantined] == ["INTERNAL_ERROR"]


async def test_a_fault_of_the_door_itself_loses_nothing(
    door: MqttDoor, publisher: Publisher, place: Site, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the way to the commit breaks, the messages are delivered again and stored."""
    commit = place.pipeline.commit
    broken = 0

    def breaks_once(*words: Any) -> Any:
        nonlocal broken
        broken += 1
        if broken == 1:
            raise RuntimeError("broken")
        return commit(*words)

    monkeypatch.setattr(place.pipeline, "commit", breaks_once)
    await publisher.publish(f"/json/{key}/g1/attrs", {"level": 1})
    await publisher.publish(f"/json/{key}/g2/attrs", {"level": 2})
    await until(lambda: {update.id[-2:] for update in place.sink.updates} == {"g1", "g2"}, seconds=30)
    assert broken > 1
    assert door.connected


async def test_a_retained_measure_without_a_time_is_no_observation(
    place: Site, publisher: Publisher, mqtt_url: str, key: str
) -> None:
    """A door that connects later does not take a retained value for one that was measured now."""
    await publisher.publish(f"/json/{key}/old/attrs", {"n": 1}, retain=True)
    await publisher.publish(f"/json/{key}/dated/attrs", {"n": 2, "TimeInstant": "2026-07-18T19:10:00Z"}, retain=True)
    one = MqttDoor(place.pipeline, url=mqtt_url, client_id=f"late-{key}")
    await one.start()
    try:
        await until(lambda: bool(place.sink.updates))
        await asyncio.sleep(0.2)
        assert [update.id for update in place.sink.updates] == ["urn:ngsi-ld:Gauge:dated"]
    finally:
        await one.stop()
        for name in ("old", "dated"):
            await publisher.publish(f"/json/{key}/{name}/attrs", b"", retain=True)


@pytest.fixture
async def old_broker() -> AsyncIterator[str]:
    """Give the URL of a broker that knows only MQTT 3.1.1: amqtt."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "tsunagu.up.amqtt_broker", str(port), stderr=asyncio.subprocess.DEVNULL
    )
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            break
    yield f"mqtt://127.0.0.1:{port}"
    process.terminate()
    await process.wait()


async def test_the_door_speaks_3_1_1_to_a_broker_that_knows_no_5(place: Site, old_broker: str, key: str) -> None:
    """A broker that refuses MQTT 5, or is silent to it, is spoken to in 3.1.1."""
    one = MqttDoor(place.pipeline, url=old_broker, client_id=f"old-{key}")
    await one.start()
    try:
        await until(lambda: one.connected, seconds=20)
        assert one.protocol == MQTTProtocolVersion.MQTTv311
        await asyncio.sleep(0.2)
        device = await asyncio.to_thread(Publisher, old_broker, MQTTProtocolVersion.MQTTv311)
        await device.publish(f"/json/{key}/g1/attrs", {"n": 1})
        await until(lambda: bool(place.sink.updates))
        await asyncio.to_thread(device.close)
    finally:
        await one.stop()


def test_an_mqtt_url_that_is_none_is_refused(empty_site: Site) -> None:
    """A wrong URL is told at once."""
    with pytest.raises(ValueError, match="mqtt://"):
        MqttDoor(empty_site.pipeline, url="http://x", client_id="x")


async def test_a_command_reaches_a_device(door: MqttDoor, mqtt_url: str, key: str) -> None:
    """What the door publishes is heard by whoever listens."""
    device = await asyncio.to_thread(Publisher, mqtt_url)
    heard: list[bytes] = []
    device.client.on_message = lambda _client, _userdata, packet: heard.append(packet.payload)
    device.client.subscribe(f"/{key}/g1/cmd", 1)
    await asyncio.sleep(0.2)
    await door.publish(f"/{key}/g1/cmd", b'{"turn":"left"}', qos=1, retain=False)
    await until(lambda: bool(heard))
    assert heard == [b'{"turn":"left"}']
    await asyncio.to_thread(device.close)


async def test_a_door_that_is_not_connected_says_so(empty_site: Site, key: str) -> None:
    """Whoever wants to publish may try again."""
    one = MqttDoor(empty_site.pipeline, url=f"mqtt://127.0.0.1:{free_port()}", client_id=f"off-{key}")
    with pytest.raises(SinkUnavailable):
        await one.publish("/x", b"", qos=1, retain=False)


@pytest.mark.parametrize("qos", [0, 2])
async def test_a_command_of_any_qos_reaches_a_device(door: MqttDoor, mqtt_url: str, key: str, qos: int) -> None:
    """Commands go out at the QoS that the device's provisioning asks for."""
    device = await asyncio.to_thread(Publisher, mqtt_url)
    heard: list[tuple[bytes, int]] = []
    device.client.on_message = lambda _client, _userdata, packet: heard.append((packet.payload, packet.qos))
    device.client.subscribe(f"/{key}/g1/cmd", 2)
    await asyncio.sleep(0.2)
    for number in range(3):
        await door.publish(f"/{key}/g1/cmd", b"%d" % number, qos=qos, retain=False)
    await until(lambda: len(heard) == 3)
    assert heard == [(b"0", qos), (b"1", qos), (b"2", qos)]
    await asyncio.to_thread(device.close)


async def test_a_payload_that_is_too_long_is_set_aside_by_its_size(
    place: Site, publisher: Publisher, mqtt_url: str, key: str
) -> None:
    """A payload above the limit is told in the quarantine, is acknowledged, and stops nobody behind it."""
    one = MqttDoor(place.pipeline, url=mqtt_url, client_id=f"long-{key}", max_body=1000)
    await one.start()
    try:
        await until(lambda: one.connected)
        await publisher.publish(f"/json/{key}/g1/attrs", b"x" * 200_000)
        await publisher.publish(f"/json/{key}/g1/attrs", {"n": 1})
        await until(lambda: bool(place.sink.updates))
        assert [(e["reason"]["name"], e["size"]) for e in place.quarantined] == [("PAYLOAD_TOO_LARGE", 200_000)]
    finally:
        await one.stop()


async def test_the_door_comes_back_when_the_mqtt_broker_does(place: Site, key: str) -> None:
    """After the broker went away and came back the door is connected again, and takes what is published then."""
    mosquitto, port = find_mosquitto(), free_port()
    if mosquitto is None:
        pytest.skip("no mosquitto on this machine")
    words = (mosquitto, "-p", str(port))
    first = await asyncio.create_subprocess_exec(*words, stderr=asyncio.subprocess.DEVNULL)
    one = MqttDoor(place.pipeline, url=f"mqtt://127.0.0.1:{port}", client_id=f"back-{key}", longest_wait=0.3)
    await one.start()
    second = None
    try:
        await until(lambda: one.connected)
        first.kill()
        await first.wait()
        await until(lambda: not one.connected)
        with pytest.raises(SinkUnavailable):
            await one.publish("/x", b"", qos=1, retain=False)
        second = await asyncio.create_subprocess_exec(*words, stderr=asyncio.subprocess.DEVNULL)
        await until(lambda: one.connected)
        device = await asyncio.to_thread(Publisher, f"mqtt://127.0.0.1:{port}")
        await device.publish(f"/json/{key}/g1/attrs", {"n": 1})
        await until(lambda: bool(place.sink.updates))
        await asyncio.to_thread(device.close)
    finally:
        await one.stop()
        if second is not None:
            second.kill()
            await second.wait()


async def test_a_flood_waits_at_the_mqtt_broker_and_not_here(
    place: Site, publisher: Publisher, mqtt_url: str, key: str
) -> None:
    """While too much waits the door reads nothing, also of QoS 0, and goes on once there is room."""
    one = MqttDoor(place.pipeline, url=mqtt_url, client_id=f"flood-{key}", receive_maximum=10, longest_wait=0.1)
    await one.start()
    try:
        await until(lambda: one.connected)
        place.sink.away = True
        body = orjson.dumps({"n": 0, "padding": "x" * 5000})
        for _ in range(5000):
            publisher.client.publish(f"/json/{key}/g1/attrs", body, qos=0)
        await publisher.publish(f"/json/{key}/g1/attrs", {"n": 1})
        await asyncio.sleep(0.5)
        assert len(one._inbox) < 500
        place.sink.away = False
        await until(lambda: any(update.attrs["n"]["value"] == 1 for update in place.sink.updates), seconds=20)
    finally:
        await one.stop()


async def test_large_messages_make_small_batches(place: Site, publisher: Publisher, mqtt_url: str, key: str) -> None:
    """Large payloads are committed a few at a time, so that memory stays; none is left behind."""
    one = MqttDoor(place.pipeline, url=mqtt_url, client_id=f"large-{key}", longest_wait=0.1)
    await one.start()
    try:
        await until(lambda: one.connected)
        place.sink.away = True
        for number in range(40):
            body = orjson.dumps({"n": number, "padding": "x" * 500_000})
            publisher.client.publish(f"/json/{key}/g1/attrs", body, qos=1)
        await asyncio.sleep(1)
        place.sink.away = False
        await until(lambda: len(place.sink.updates) == 40, seconds=20)
        assert [update.attrs["n"]["value"] for update in place.sink.updates] == list(range(40))
        assert max(len(updates) for _, updates in place.sink.writes) <= 10
    finally:
        await one.stop()


async def test_a_device_shows_its_token_as_a_user_property(
    door: MqttDoor, publisher: Publisher, place: Site, key: str
) -> None:
    """Over MQTT 5; without it, or with another's, its message is refused and not kept."""
    await place.store.create_devices("", "/", [{"device_id": "g1", "apikey": key}])
    entry_id = device_id_of("/", key, "g1")
    device = await place.catalogue.get("", "devices", entry_id)
    assert device is not None
    credentials = {"token": {"digest": digest("tsd_right")}}
    await place.catalogue.replace("", "devices", entry_id, {**device, "credentials": credentials})
    for number, token in enumerate(("tsd_wrong", "", "tsd_right")):
        properties = Properties(PacketTypes.PUBLISH)
        properties.UserProperty = ("X-Device-Token", token) if token else ("other", "x")
        sent = publisher.client.publish(f"/json/{key}/g1/attrs", f'{{"n":{number}}}', qos=1, properties=properties)
        await asyncio.to_thread(sent.wait_for_publish, 10)
    await until(lambda: bool(place.sink.updates))
    assert [update.attrs["n"]["value"] for update in place.sink.updates] == [2]
    assert place.quarantined == []
