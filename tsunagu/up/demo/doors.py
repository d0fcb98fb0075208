"""How the demo city's devices reach a broker: MQTT with QoS 1, and HTTP, each sending again until it is taken."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, urlsplit

import httpx
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

if TYPE_CHECKING:
    from types import TracebackType

PATIENCE = 60.0  # seconds that a device keeps trying before it gives up on a message
PAUSE = 1.0  # seconds between two tries over HTTP, where the broker names no other


class DeviceGaveUpError(Exception):
    """A message was not taken in time; the text says by whom and why."""


class MqttDoor:
    """One MQTT 3.1.1 connection that every MQTT device of the demo city uses, as behind a network server."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
        if parts.username:
            self._client.username_pw_set(unquote(parts.username), unquote(parts.password or ""))
        if parts.scheme in ("mqtts", "ssl"):
            self._client.tls_set_context(ssl.create_default_context())
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._client.reconnect_delay_set(min_delay=1, max_delay=5)
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port or (8883 if parts.scheme in ("mqtts", "ssl") else 1883)

    async def __aenter__(self) -> Self:
        """Connect; the connection is kept up from now on."""
        loop = asyncio.get_running_loop()

        def on_publish(_client: paho.Client, _data: Any, mid: int, *_: Any) -> None:
            loop.call_soon_threadsafe(self._acknowledged, mid)

        self._client.on_publish = on_publish
        self._client.connect_async(self._host, self._port)
        self._client.loop_start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say goodbye to the MQTT broker."""
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    async def send(self, topic: str, payload: bytes) -> None:
        """Publish with QoS 1 and wait until the MQTT broker has it. Raises DeviceGaveUpError."""
        mid = self._client.publish(topic, payload, qos=1).mid  # kept and sent later while there is no connection
        acknowledged = self._waiting[mid] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(PATIENCE):  # wait_for of Python 3.11 may swallow a cancellation
                await acknowledged
        except TimeoutError:
            raise DeviceGaveUpError(f"{topic}: the MQTT broker took no message for {PATIENCE:.0f} s") from None
        finally:
            del self._waiting[mid]

    def _acknowledged(self, mid: int) -> None:
        if (waiting := self._waiting.get(mid)) is not None and not waiting.done():
            waiting.set_result(None)


async def send_http(client: httpx.AsyncClient, path: str, payload: bytes, content_type: str) -> None:
    """Post a device message, again and again while the broker is away or busy (503). Raises DeviceGaveUpError."""
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                pause = PAUSE
                try:
                    answer = await client.post(path, content=payload, headers={"Content-Type": content_type})
                except httpx.TransportError:
                    pass
                else:
                    if answer.is_success:
                        return
                    if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                        raise DeviceGaveUpError(f"{path}: {answer.status_code} {answer.text[:300]}")
                    pause = float(answer.headers.get("Retry-After", PAUSE))
                await asyncio.sleep(pause)
    except TimeoutError:
        raise DeviceGaveUpError(f"{path}: the broker took no message for {PATIENCE:.0f} s") from None
