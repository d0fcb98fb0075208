"""`tsunagu up`: the way from nothing to a running broker, and back, as a list of steps."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsunagu.broker.settings import PREFIX
from tsunagu.up import brokers, mongod, mqtt, summary
from tsunagu.up.brokers import Surroundings
from tsunagu.up.demo import player
from tsunagu.up.folder import DataFolder
from tsunagu.up.mongod import Mongod
from tsunagu.up.ports import free_port
from tsunagu.up.problem import UpError
from tsunagu.up.supervisor import Job, Stage, Supervisor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

    from tsunagu.up.brokers import Broker
    from tsunagu.up.mqtt import MqttBroker


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says: `port` None means TSUNAGU_PORT or 1026, `pace` seconds between two messages."""

    demo: bool = False
    port: int | None = None
    data: Path = Path(".tsunagu")
    workers: int = 1
    pace: float = 1.5


def tell(line: str) -> None:
    """Say one line to the person at the terminal; a closed terminal is no reason to stop."""
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


async def up(options: Options) -> None:
    """Run until Ctrl-C or SIGTERM, then stop everything that was started. Raises UpError."""
    with DataFolder(options.data) as folder, contextlib.ExitStack() as sockets:
        planned = brokers.plan(demo=options.demo, port=options.port)
        for broker in planned:
            sockets.enter_context(contextlib.closing(broker))
        supervisor = Supervisor(tell)
        work = asyncio.create_task(_run(options, planned, folder, supervisor), name="up")
        _listen_for_the_end(work, supervisor)
        try:
            await work
        except asyncio.CancelledError:
            tell("Stopping: the brokers finish what they began, then MQTT and MongoDB (Ctrl-C again: at once)")
        finally:
            await supervisor.stop()
        tell(f"Stopped. The data stays in {folder.path}")


def _listen_for_the_end(work: asyncio.Task[None], supervisor: Supervisor) -> None:
    """Let the first SIGINT, SIGTERM or SIGHUP end the work in order, and a second one kill what still runs."""
    asked = False

    def end() -> None:
        nonlocal asked
        if asked:
            supervisor.kill()
        asked = True
        work.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, end)


async def _run(options: Options, planned: list[Broker], folder: DataFolder, supervisor: Supervisor) -> None:
    """Start the servers, the brokers and the story, say where they are, and stay."""
    tell("Starting …")
    around = await _start_servers(options, folder, supervisor)
    workers = [job for broker in planned for job in brokers.jobs(broker, around, folder)]
    await _together(*(supervisor.start(job) for job in workers))
    folder.publish_addresses(summary.addresses(planned, around))
    for line in summary.lines(planned, around, folder):
        tell(line)
    if options.demo:
        kawakami, kawashimo = (broker.url for broker in planned)
        story = player.job(kawakami, kawashimo, around.mqtt_url or "", folder.log("demo"), pace=options.pace)
        await supervisor.start(story)
    await asyncio.Event().wait()


async def _together(*parts: Awaitable[Any] | None) -> list[Any]:
    """Wait for parts that go on side by side (None: a part that is left out); the first that fails ends the others."""
    tasks = [asyncio.ensure_future(part if part is not None else _nothing()) for part in parts]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _nothing() -> None:
    """Leave out a part."""


async def _start_servers(options: Options, folder: DataFolder, supervisor: Supervisor) -> Surroundings:
    """Start MongoDB and MQTT side by side, each only when the operator names none of their own."""
    mongodb_uri, variable = _named("MONGODB_URI")
    mqtt_url, _ = _named("MQTT_URL")
    if options.demo and mqtt_url == "":
        raise UpError("the demo city speaks MQTT: unset MQTT_URL to embed an MQTT broker, or set it to one of your own")
    if mongodb_uri is not None:
        await mongod.check_own(mongodb_uri, variable)
    else:
        await mongod.wait_for_earlier(folder.mongodb)
    store, messages = await _together(
        _start_mongod(folder, supervisor) if mongodb_uri is None else None,
        _start_mqtt(folder, supervisor) if mqtt_url is None else None,
    )
    folder.remember_ports({"mongod": store.port if store else None, "mqtt": messages.port if messages else None})
    return Surroundings(
        mongodb_uri=store.uri if store else mongodb_uri or "",
        mqtt_url=messages.url if messages else mqtt_url or None,
        workers=options.workers,
        shared_mqtt=messages is None or messages.server == "mosquitto",
        demo=options.demo,
    )


async def _start_mongod(folder: DataFolder, supervisor: Supervisor) -> Mongod:
    binary, log = mongod.find_binary(), folder.log("mongod")
    for port in _ports(folder, "mongod"):
        server = Mongod(binary, folder.mongodb, port, log)
        if await _took(port, supervisor.start(Job(server.program, Stage.STORE, server.ready, mongod.explain))):
            return server
    raise UpError(f"no port for the embedded MongoDB: others took them while it started; see {log}")


async def _start_mqtt(folder: DataFolder, supervisor: Supervisor) -> MqttBroker:
    log = folder.log("mqtt")
    for port in _ports(folder, "mqtt", mqtt.USUAL_PORT):
        server = mqtt.choose(folder.mqtt, port, log)
        if await _took(port, supervisor.start(Job(server.program, Stage.MQTT, server.ready, mqtt.explain))):
            if server.server != "mosquitto":
                tell("No mosquitto here: amqtt stands in, good for a first look (better: apt-get install mosquitto)")
            return server
    raise UpError(f"no port for the embedded MQTT broker: others took them while it started; see {log}")


def _named(plain: str) -> tuple[str | None, str]:
    """Give the URL of a server of the operator's own and the variable that names it; None if it is to be embedded.

    An empty MQTT_URL means: no MQTT at all.
    """
    for variable in (f"{PREFIX}{plain}", plain):
        value = os.environ.get(variable)
        if value or (value is not None and plain == "MQTT_URL"):
            return value, variable
    return None, plain


def _ports(folder: DataFolder, server: str, *usual: int) -> Iterator[int]:
    """Give ports to try for an embedded server: the one of the last run, else the usual one; then any that are free."""
    last = folder.port_of(server)
    yield free_port(*((last,) if last else usual))
    yield from (free_port() for _ in range(3))


async def _took(port: int, starting: Awaitable[object]) -> bool:
    """Wait for a server to start on a port; False when another program took the port in the meantime."""
    try:
        await starting
    except UpError:
        if free_port(port) == port:
            raise
        return False
    return True
