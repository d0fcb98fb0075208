"""Notifications over MQTT (clause 7), to a real server."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson
import paho.mqtt.client as paho
import pytest

from tsunagu.broker.access.outgoing import OutgoingGuard
from tsunagu.subscriptions.transports.mqtt import MqttTransport, Server, server_of
from tsunagu.subscriptions.transports.transport import Message
from tsunagu.up.mqtt import find_mosquitto
from tsunagu.up.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from tests.unit.subscriptions.rig import Rig
    from tests.unit.subscriptions.transports.city import City

HEADERS = (("Content-Type", "application/json"), ("Link", "<https://c.example>"), ("X-Extra", "1"))
needs_mosquitto = pytest.mark.skipif(find_mosquitto() is None, reason="needs mosquitto")


@pytest.fixture
async def transport() -> AsyncIterator[MqttTransport]:
    """Give a transport that may reach this machine."""
    one = MqttTransport(OutgoingGuard(("127.0.0.1", "localhost")))
    yield one
    await one.close()


class Listener:
    """Hears what is published to a topic."""

    def __init__(self, url: str, topic: str) -> None:
        parts = urlsplit(url)
        self.loop = asyncio.get_running_loop()
        self.heard: asyncio.Queue[tuple[dict[str, Any], int]] = asyncio.Queue()
        self.properties: list[tuple[str, str]] = []
        self.subscribed = asyncio.Event()
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self.client.on_subscribe = lambda *_: self.loop.call_soon_threadsafe(self.subscribed.set)
        self.client.on_message = self._hear
        self.client.connect(parts.hostname or "", parts.port or 1883)
        self.client.subscribe(topic, 2)
        self.client.loop_start()

    def _hear(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        self.properties = getattr(message.properties, "UserProperty", [])
        self.loop.call_soon_threadsafe(self.heard.put_nowait, (orjson.loads(message.payload), message.qos))

    async def next(self) -> tuple[dict[str, Any], int]:
        async with asyncio.timeout(5):
            return await self.heard.get()

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def topic() -> str:
    """Give a topic of its own."""
    return f"notify/{secrets.token_hex(4)}"


@pytest.fixture
async def listener(mqtt_url: str, topic: str) -> AsyncIterator[Listener]:
    """Give a listener to the topic."""
    one = Listener(mqtt_url, topic)
    await one.subscribed.wait()
    yield one
    one.close()


def message(uri: str, *settings: tuple[str, str], timeout: float = 5.0) -> Message:
    return Message(uri, b'{"type":"Notification"}', HEADERS, timeout, settings)


async def test_metadata_and_body(transport: MqttTransport, listener: Listener, mqtt_url: str, topic: str) -> None:
    """A message holds the headers as metadata, and the notification as body (7.2, 058_04)."""
    result = await transport.send(message(f"{mqtt_url}/{topic}"))
    assert result.ok
    heard, qos = await listener.next()
    assert heard == {"metadata": dict(HEADERS), "body": {"type": "Notification"}}
    assert qos == 0


@pytest.mark.parametrize("qos", ["0", "1", "2"])
@pytest.mark.parametrize("version", ["mqtt3.1.1", "mqtt5.0"])
async def test_versions_and_qualities(
    transport: MqttTransport, listener: Listener, mqtt_url: str, topic: str, qos: str, version: str
) -> None:
    """Both versions and all three qualities of service are served (058_02, 058_03)."""
    result = await transport.send(message(f"{mqtt_url}/{topic}", ("MQTT-QoS", qos), ("MQTT-Version", version)))
    assert result.ok
    assert (await listener.next())[1] == int(qos)


@pytest.mark.parametrize(("version", "carried"), [("mqtt3.1.1", []), ("mqtt5.0", list(HEADERS))])
async def test_ngsiv2_is_published_bare(
    transport: MqttTransport, listener: Listener, mqtt_url: str, topic: str, version: str, carried: list[object]
) -> None:
    """What is in the form of NGSIv2 is the body alone, as Orion publishes it; MQTT 5 carries the headers beside it."""
    bare = replace(message(f"{mqtt_url}/{topic}", ("MQTT-Version", version)), bare=True)
    assert (await transport.send(bare)).ok
    assert (await listener.next())[0] == {"type": "Notification"}
    assert listener.properties == carried


async def test_a_subscription_in_the_form_of_ngsiv2(
    rigs: Callable[..., Awaitable[Rig]], listener: Listener, mqtt_url: str, topic: str
) -> None:
    """A subscription with an NGSIv2 format and an MQTT endpoint publishes what Orion would."""
    rig = await rigs(allow=("127.0.0.1", "localhost"))
    identity = await rig.subscribe(f"{mqtt_url}/{topic}", notification={"format": "x-ngsiv2-keyValues-compacted"})
    await rig.create("a", level={"type": "Property", "value": 1})
    heard, _ = await listener.next()
    assert heard == {"subscriptionId": identity, "data": [{"id": "urn:x:a", "type": "River", "level": 1}]}
    assert ("Ngsiv2-AttrsFormat", "keyValues") in listener.properties


async def test_the_connection_is_kept(transport: MqttTransport, listener: Listener, mqtt_url: str, topic: str) -> None:
    """Several messages to one server go over one connection, also at the same time."""
    results = await asyncio.gather(
        *(transport.send(message(f"{mqtt_url}/{topic}", ("MQTT-QoS", "1"))) for _ in range(20))
    )
    assert all(result.ok for result in results)
    assert len(transport._connections) == 1
    for _ in range(20):
        await listener.next()


async def test_nobody_listens(transport: MqttTransport) -> None:
    """A refused connection is a failure with a reason."""
    result = await transport.send(message(f"mqtt://127.0.0.1:{free_port()}/t"))
    assert not result.ok
    assert "no connection" in result.reason


async def test_a_server_that_does_not_speak(transport: MqttTransport) -> None:
    """A server that accepts the connection and says nothing is a failure after the timeout."""
    silent = await asyncio.start_server(lambda _reader, _writer: asyncio.sleep(5), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    result = await transport.send(message(f"mqtt://127.0.0.1:{port}/t", timeout=0.2))
    silent.close()
    assert not result.ok
    assert result.reason == "no acknowledgement within 0.2 s"


async def test_a_private_address_is_not_connected_to(mqtt_url: str) -> None:
    """The guard is asked for the address that is connected to."""
    transport = MqttTransport(OutgoingGuard())
    result = await transport.send(message(f"{mqtt_url}/t"))
    await transport.close()
    assert not result.ok
    assert "private" in result.reason


@pytest.mark.parametrize(
    ("uri", "server", "topic"),
    [
        ("mqtt://h/a/b", Server("h", 1883, False, None, None, "mqtt5.0"), "a/b"),
        ("mqtts://h/a", Server("h", 8883, True, None, None, "mqtt5.0"), "a"),
        ("mqtt://u@h:99/a", Server("h", 99, False, "u", None, "mqtt5.0"), "a"),
        ("MQTT://u:p%40s@h/a%20b", Server("h", 1883, False, "u", "p@s", "mqtt5.0"), "a b"),
    ],
)
def test_endpoint_uris(uri: str, server: Server, topic: str) -> None:
    """Host, port, user, password and topic are read from the URI, with the defaults of 7.2 (058_01)."""
    assert server_of(uri, "mqtt5.0") == (server, topic)


class Mosquitto:
    """A mosquitto with its own configuration."""

    def __init__(self, folder: Path, lines: list[str]) -> None:
        self.port = free_port()
        file = folder / "mosquitto.conf"
        file.write_text("\n".join([f"listener {self.port} 127.0.0.1", "user root", *lines]))
        self.process = subprocess.Popen([find_mosquitto() or "", "-c", str(file)], stderr=subprocess.DEVNULL)

    async def listening(self) -> None:
        async with asyncio.timeout(5):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    await asyncio.sleep(0.02)
                else:
                    writer.close()
                    await writer.wait_closed()
                    return

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Mosquitto]:
    """Give a server that wants a user and a password."""
    if find_mosquitto() is None or shutil.which("mosquitto_passwd") is None:
        pytest.skip("needs mosquitto and mosquitto_passwd")
    passwords = tmp_path / "passwords"
    for words in (["-c", str(passwords), "ward", "secret"], [str(passwords), "city", "token-2"]):
        subprocess.run(["mosquitto_passwd", "-b", *words], check=True)
    passwords.chmod(0o644)
    one = Mosquitto(tmp_path, ["allow_anonymous false", f"password_file {passwords}"])
    yield one
    one.stop()


async def test_user_and_password(transport: MqttTransport, guarded: Mosquitto) -> None:
    """User and password of the URI are used; wrong ones are a failure that says so (058_01)."""
    await guarded.listening()
    at = f"127.0.0.1:{guarded.port}/t"
    assert (await transport.send(message(f"mqtt://ward:secret@{at}", ("MQTT-QoS", "1")))).ok
    wrong = await transport.send(message(f"mqtt://ward:wrong@{at}"))
    assert not wrong.ok
    assert "refuses" in wrong.reason


@pytest.mark.parametrize("version", ["mqtt3.1.1", "mqtt5.0"])
async def test_a_token_as_password(transport: MqttTransport, guarded: Mosquitto, city: City, version: str) -> None:
    """With OAuth2 the password is a token, renewed once when the server refuses it, and kept for what follows."""
    await guarded.listening()
    at, settings = f"127.0.0.1:{guarded.port}/t", (*city.settings(), ("MQTT-Version", version), ("MQTT-QoS", "1"))
    results = [await transport.send(message(f"mqtt://{at}", *settings)) for _ in range(3)]
    assert [result.ok for result in results] == [True] * 3, results
    assert len(city.asked) == 2  # the server takes the second one only
    wrong = await transport.send(message(f"mqtt://somebody@{at}", *settings))
    assert "refuses" in wrong.reason
    city.refuse = 400, {"error": "invalid_client"}
    none = await transport.send(message(f"mqtt://{at}", *city.settings("other")))
    assert none.reason.startswith("no OAuth2 token")
    assert "invalid_client" in none.reason


@needs_mosquitto
async def test_a_server_that_was_restarted(transport: MqttTransport, tmp_path: Path) -> None:
    """When a server goes away its connection is given up, and the next message makes a new one."""
    first = Mosquitto(tmp_path, ["allow_anonymous true"])
    await first.listening()
    uri = f"mqtt://127.0.0.1:{first.port}/t"
    assert (await transport.send(message(uri, ("MQTT-QoS", "1")))).ok
    first.stop()
    assert not (await transport.send(message(uri, ("MQTT-QoS", "1"), timeout=1))).ok
    first.process = subprocess.Popen(
        [find_mosquitto() or "", "-c", str(tmp_path / "mosquitto.conf")], stderr=subprocess.DEVNULL
    )
    await first.listening()
    assert (await transport.send(message(uri, ("MQTT-QoS", "1")))).ok
    first.stop()


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Mosquitto]:
    """Give a server with TLS, whose certificate tmp_path/cert.pem signs itself."""
    if find_mosquitto() is None or shutil.which("openssl") is None:
        pytest.skip("needs mosquitto and openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    words += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(words, check=True, capture_output=True)
    key.chmod(0o644)
    one = Mosquitto(tmp_path, ["allow_anonymous true", f"certfile {certificate}", f"keyfile {key}"])
    yield one
    one.stop()


async def test_tls(secured: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mqtts checks the server's certificate and name: trusted it works, unknown it is a failure."""
    await secured.listening()
    uri = f"mqtts://localhost:{secured.port}/t"
    transport = MqttTransport(OutgoingGuard(("127.0.0.1", "::1")))
    unknown = await transport.send(message(uri))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    known = await transport.send(message(uri, ("MQTT-QoS", "1")))
    wrong_name = await transport.send(message(uri.replace("localhost", "127.0.0.1")))
    await transport.close()
    assert "certificate" in unknown.reason.lower()
    assert known.ok, known
    assert not wrong_name.ok


async def test_a_ca_of_the_endpoint(secured: Mosquitto, tmp_path: Path) -> None:
    """A server whose certificate the system does not know is reached with the endpoint's CA."""
    await secured.listening()
    uri = f"mqtts://localhost:{secured.port}/t"
    transport = MqttTransport(OutgoingGuard(("127.0.0.1", "::1")))
    known = await transport.send(message(uri, ("MQTT-QoS", "1"), ("TLS-CA", (tmp_path / "cert.pem").read_text())))
    unknown = await transport.send(message(uri))
    await transport.close()
    assert known.ok, known
    assert not unknown.ok
