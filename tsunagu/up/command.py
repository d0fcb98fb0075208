"""`tsunagu up`: the way from nothing to a running broker, and back, as a list of steps."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tsunagu.broker.settings import PREFIX
from tsunagu.up import brokers, mongod, mqtt, summary
from tsunagu.up.brokers import Surroundings
from tsunagu.up.folder import DataFolder
from tsunagu.up.ports import free_port
from tsunagu.up.supervisor import Job, Stage, Supervisor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tsunagu.up.brokers import Broker


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
            sockets.enter_context(broker.listener)
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
    await _start_all(supervisor, [job for broker in planned for job in brokers.jobs(broker, around, folder)])
    folder.publish_addresses(summary.addresses(planned, around))
    for line in summary.lines(planned, around, folder):
        tell(line)
    await asyncio.Event().wait()


async def _start_all(supervisor: Supervisor, jobs: Iterable[Job]) -> None:
    """Start jobs side by side; the first that fails ends the others' waiting."""
    tasks = [asyncio.create_task(supervisor.start(job)) for job in jobs]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _start_servers(options: Options, folder: DataFolder, supervisor: Supervisor) -> Surroundings:
    """Start MongoDB and MQTT, each only when the operator names none of their own."""
    starting: list[Job] = []
    ports: dict[str, int] = {}
    shared_mqtt = True
    mongodb_uri, variable = _named("MONGODB_URI")
    if mongodb_uri is not None:
        await mongod.check_own(mongodb_uri, variable)
    else:
        await mongod.wait_for_earlier(folder.mongodb)
        store = mongod.Mongod(mongod.find_binary(), folder.mongodb, _port(folder, "mongod"), folder.log("mongod"))
        mongodb_uri, ports["mongod"] = store.uri, store.port
        starting.append(Job(store.program, Stage.STORE, store.ready, mongod.explain))
    mqtt_url, _ = _named("MQTT_URL")
    if mqtt_url is None:
        embedded = mqtt.choose(folder.mqtt, _port(folder, "mqtt", mqtt.USUAL_PORT), folder.log("mqtt"))
        mqtt_url, ports["mqtt"] = embedded.url, embedded.port
        shared_mqtt = embedded.server == "mosquitto"
        if not shared_mqtt:
            tell("No mosquitto here: amqtt stands in, good for a first look (better: apt-get install mosquitto)")
        starting.append(Job(embedded.program, Stage.MQTT, embedded.ready, mqtt.explain))
    await _start_all(supervisor, starting)
    folder.remember_ports(ports)
    return Surroundings(mongodb_uri, mqtt_url or None, options.workers, shared_mqtt, options.demo)


def _named(plain: str) -> tuple[str | None, str]:
    """Give the URL of a server of the operator's own and the variable that names it; None if it is to be embedded.

    An empty MQTT_URL means: no MQTT at all.
    """
    for variable in (f"{PREFIX}{plain}", plain):
        value = os.environ.get(variable)
        if value or (value is not None and plain == "MQTT_URL"):
            return value, variable
    return None, plain


def _port(folder: DataFolder, server: str, *usual: int) -> int:
    """Choose a port for an embedded server: the one of the last run, else the usual one, else any that is free."""
    last = folder.port_of(server)
    return free_port(*((last,) if last else usual))
