"""Plays the demo city: sends its recorded device messages over MQTT and HTTP, round after round, and tells the story.

A process of its own: `python -m tsunagu.up.demo.player --kawakami URL --kawashimo URL [--pace 1.5] [--rounds N]`,
with the MQTT broker's address in MQTT_URL (an address may hold a password, which a command line would show).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime as dt
import os
import signal
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from tsunagu.up.child import Program
from tsunagu.up.demo import recording, setup
from tsunagu.up.demo.doors import DeviceGaveUpError, MqttDoor, send_http
from tsunagu.up.supervisor import Job, Stage

if TYPE_CHECKING:
    from pathlib import Path

    from tsunagu.up.child import Child
    from tsunagu.up.demo.recording import Expected, Message

ARRIVAL = 10.0  # seconds to wait for a reading at the neighbour before saying so


@dataclass(frozen=True, slots=True)
class City:
    """The two brokers and the MQTT broker of the demo city, as clients see them."""

    kawakami: httpx.AsyncClient
    kawashimo: httpx.AsyncClient
    mqtt: MqttDoor


async def play(kawakami: str, kawashimo: str, mqtt: str, *, pace: float, rounds: int | None = None) -> None:
    """Set the city up at these addresses, then send its messages, `pace` seconds apart, for `rounds` rounds or ever.

    Raises SetupError when a broker refuses, httpx.TransportError when it is away.
    """
    async with (
        httpx.AsyncClient(base_url=kawakami, timeout=10) as upstream,
        httpx.AsyncClient(base_url=kawashimo, timeout=10) as downstream,
        MqttDoor(mqtt) as door,
    ):
        new, there = await setup.provision(upstream)
        tell(f"Kawakami knows its device groups and devices ({new} new, {there} from an earlier run)")
        await setup.subscribe(upstream, f"{kawashimo}/tsunagu/v1/inbox")
        tell(f"Kawashimo subscribes to river levels above {recording.CAUTION} m, the caution level (氾濫注意水位)")
        city, messages, played = City(upstream, downstream, door), recording.load(), 0
        while rounds is None or played < rounds:
            for message in messages:
                await _send(city, message)
                await asyncio.sleep(pace)
            played += 1
            tell(f"The river has fallen again; that was round {played}")


async def _send(city: City, message: Message) -> None:
    """Send one message, tell its story, and say when the neighbour has a reading above the caution level."""
    payload = recording.moved(message, dt.datetime.now(tz=message.at.tzinfo))
    started = time.monotonic()
    try:
        if message.topic is not None:
            await city.mqtt.send(message.topic, payload)
        elif message.path is not None:
            await send_http(city.kawakami, message.path, payload, message.content_type)
    except DeviceGaveUpError as problem:
        tell(f"{message.story}, but it was not taken: {problem}")
        return
    tell(message.story)
    if message.expected is not None and message.expected.level > recording.CAUTION:
        await _watch_arrival(city.kawashimo, message.expected, started)


async def _watch_arrival(kawashimo: httpx.AsyncClient, expected: Expected, started: float) -> None:
    try:
        async with asyncio.timeout(ARRIVAL):
            while not await has_level(kawashimo, expected):  # noqa: ASYNC110 - seen from outside, by asking
                await asyncio.sleep(0.01)
    except TimeoutError:
        tell(f"  → Kawashimo has not received it within {ARRIVAL:.0f} s")
    else:
        took = (time.monotonic() - started) * 1000
        tell(f"  → Kawashimo shows {expected.level:.2f} m, {took:.0f} ms after the gauge spoke")


async def has_level(broker: httpx.AsyncClient, expected: Expected) -> bool:
    """Tell whether a broker shows this level (to a millimetre) on this entity now."""
    with contextlib.suppress(httpx.TransportError):
        answer = await broker.get(f"/ngsi-ld/v1/entities/{expected.entity}", params={"format": "simplified"})
        if answer.status_code == httpx.codes.OK:
            level = answer.json().get("waterLevel")
            return isinstance(level, (int, float)) and abs(level - expected.level) < 0.001  # noqa: PLR2004 - a millimetre
    return False


def tell(line: str) -> None:
    """Tell the person at the terminal one line of the story, with the time of day."""
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(f"{time.strftime('%H:%M:%S')} {line}\n")
        sys.stdout.flush()


def job(kawakami: str, kawashimo: str, mqtt: str, log: Path, *, pace: float) -> Job:
    """Give the job that plays the city at these addresses, with `pace` seconds between two messages."""
    places = ("--kawakami", kawakami, "--kawashimo", kawashimo, "--pace", str(pace))
    words = (sys.executable, "-P", "-m", "tsunagu.up.demo.player", *places)
    program = Program("The demo city", words, log, environment={"MQTT_URL": mqtt}, grace=5, to_terminal=True)
    return Job(program, Stage.STORY, _at_once, _explain)


async def _at_once(child: Child) -> None:
    """Nobody waits for the story to begin."""


def _explain(child: Child) -> str:
    return f"the demo city did not start: {child.last_words()}; see {child.program.log}"


async def _main() -> int:
    parser = argparse.ArgumentParser(description="Play the demo city against running brokers.")
    parser.add_argument("--kawakami", required=True, metavar="URL", help="the broker that the devices speak to")
    parser.add_argument("--kawashimo", required=True, metavar="URL", help="its downstream neighbour")
    parser.add_argument("--pace", type=float, default=1.5, help="seconds between two messages")
    parser.add_argument("--rounds", type=int, help="how often to play the recording; without it: for ever")
    options = parser.parse_args()
    city = play(
        options.kawakami,
        options.kawashimo,
        os.environ.get("MQTT_URL", "mqtt://127.0.0.1:1883"),
        pace=options.pace,
        rounds=options.rounds,
    )
    work = asyncio.create_task(city)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        return 0
    except (setup.SetupError, httpx.TransportError) as problem:
        sys.stderr.write(f"{problem}\n")
        tell(f"The demo city cannot go on: {problem}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_main()))
