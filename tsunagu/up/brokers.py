"""The broker processes of one `tsunagu up`: which brokers there are, and what runs each of their workers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tsunagu.broker.settings import Settings, SettingsError
from tsunagu.up.child import Program
from tsunagu.up.ports import listening_socket
from tsunagu.up.problem import UpError
from tsunagu.up.supervisor import Job, Stage

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from tsunagu.up.child import Child
    from tsunagu.up.folder import DataFolder

HIGHEST_PORT = 65535
LOOPBACK = "127.0.0.0/8,::1,localhost"
FIWARE = {"north": 4041, "south": 7896}  # provisioning and device HTTP, on the ports that FIWARE's agents have
READING = '"reading_subscriptions"'  # the event that `subscriptions.store` logs every second while it reads
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}  # noqa: S104 - read, not bound


@dataclass(frozen=True, slots=True)
class Broker:
    """One broker: its title for people, the variables that set it apart, its listening socket.

    `doors` are the sockets of FIWARE's ports, "north" and "south", as far as they could be had; `notes` say which
    could not, and why.
    """

    title: str
    variables: Mapping[str, str | None]
    listener: socket.socket
    speaks_mqtt: bool = True
    doors: Mapping[str, socket.socket] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def close(self) -> None:
        """Close the sockets."""
        for one in (self.listener, *self.doors.values()):
            one.close()

    @property
    def url(self) -> str:
        """The base URL that a person on this machine can use."""
        return _url(self.listener)

    @property
    def door_urls(self) -> dict[str, str]:
        """The base URLs of FIWARE's ports: "north" for provisioning, "south" for device messages."""
        return {name: _url(door) for name, door in self.doors.items()}


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{ANYWHERE.get(host, host)}:{port}"


def plan(*, demo: bool, port: int | None) -> list[Broker]:
    """Give the brokers to run, their ports bound: one empty broker, or Kawakami and its neighbour Kawashimo.

    `port` None: TSUNAGU_PORT or 1026; 0 takes free ports. Raises UpError.
    """
    settings = read_settings({}, port=port)
    if not demo:
        listener = listening_socket(settings.host, settings.port)
        doors, notes = _fiware_doors(settings)
        return [Broker(settings.name, {}, listener, doors=doors, notes=notes)]
    if settings.port == HIGHEST_PORT:
        raise UpError(
            f"--demo needs two ports, the second after the first: choose one below {HIGHEST_PORT} with --port"
        )
    upstream = listening_socket(settings.host, settings.port)
    try:
        downstream = listening_socket(settings.host, settings.port and settings.port + 1)
    except UpError:
        upstream.close()
        raise
    doors, notes = _fiware_doors(settings)
    return [
        Broker("Kawakami", _identity("kawakami"), upstream, doors=doors, notes=notes),
        Broker("Kawashimo", _identity("kawashimo"), downstream, speaks_mqtt=False),
    ]


def _fiware_doors(settings: Settings) -> tuple[dict[str, socket.socket], tuple[str, ...]]:
    """Give the sockets of FIWARE's ports that can be had, and a line for each that cannot."""
    doors, notes = {}, []
    for name, usual in FIWARE.items():
        variable = f"TSUNAGU_{name.upper()}_PORT"
        port = getattr(settings, f"{name}_port") if variable in os.environ else usual
        if not port:
            continue
        try:
            doors[name] = listening_socket(settings.host, port, option=variable)
        except UpError as problem:
            notes.append(f"going on without FIWARE's {name} port: {problem}")
    return doors, tuple(notes)


def _identity(name: str) -> dict[str, str | None]:
    return {"TSUNAGU_NAME": name, "TSUNAGU_DATABASE_PREFIX": name, "TSUNAGU_PUBLIC_URL": None}


def read_settings(variables: Mapping[str, str | None], **overrides: object) -> Settings:
    """Read the settings that a worker with these variables would have. Raises UpError, naming the variable."""
    environment = os.environ | {key: value for key, value in variables.items() if value is not None}
    try:
        return Settings.from_environment(environment, **overrides)
    except SettingsError as error:
        raise UpError(str(error)) from None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the workers find around them: URLs of MongoDB and MQTT, how many workers, which of them speak MQTT."""

    mongodb_uri: str
    mqtt_url: str | None
    workers: int
    shared_mqtt: bool  # the MQTT broker shares one subscription among the workers
    demo: bool


def jobs(broker: Broker, around: Surroundings, folder: DataFolder) -> list[Job]:
    """Give one job for each worker of a broker."""
    made = []
    name = broker.title.lower()
    for index in range(around.workers):
        label = broker.title if around.workers == 1 else f"{broker.title} worker {index + 1}"
        log = folder.log(name if around.workers == 1 else f"{name}-{index + 1}")
        descriptors = tuple(one.fileno() for one in (broker.listener, *broker.doors.values()))
        handed = (word for descriptor in descriptors for word in ("--fd", str(descriptor)))
        words = (sys.executable, "-P", "-m", "tsunagu.cli", "serve", *handed)
        variables = {**broker.variables, **_variables(broker, around, index)}
        program = Program(label, words, log, environment=variables, descriptors=descriptors, grace=25)
        made.append(Job(program, Stage.BROKER, _Health(broker).ready, explain, patience=60, progress=progress))
    return made


def _variables(broker: Broker, around: Surroundings, index: int) -> dict[str, str | None]:
    several = around.workers > 1
    mqtt = around.mqtt_url if broker.speaks_mqtt and (around.shared_mqtt or index == 0) else None
    theirs = os.environ.get("TSUNAGU_ALLOW_PRIVATE")
    variables: dict[str, str | None] = {
        "TSUNAGU_MONGODB_URI": around.mongodb_uri,
        "TSUNAGU_MQTT_URL": mqtt,
        "MQTT_URL": mqtt,
        "TSUNAGU_PORT": str(broker.listener.getsockname()[1]),
        "TSUNAGU_ALLOW_PRIVATE": f"{theirs},{LOOPBACK}" if theirs and around.demo else theirs or LOOPBACK,
    }
    for name in FIWARE:
        door = broker.doors.get(name)
        variables[f"TSUNAGU_{name.upper()}_PORT"] = str(door.getsockname()[1]) if door is not None else "0"
    if several:
        settings = read_settings(broker.variables)
        variables["TSUNAGU_MULTI_PROCESS"] = "true"
        variables["TSUNAGU_MQTT_CLIENT_ID"] = f"{settings.mqtt_client_id or settings.name}-{index + 1}"
    return variables


@dataclass(frozen=True, slots=True)
class _Health:
    broker: Broker

    async def ready(self, child: Child) -> None:
        """Wait until /health/ready answers 200."""
        del child  # the workers of a broker share its socket: any of them may answer
        host, port = self.broker.listener.getsockname()[:2]
        address = ANYWHERE.get(host, host).strip("[]")
        while not await _is_ready(address, port):  # noqa: ASYNC110 - the worker answers when it can
            await asyncio.sleep(0.05)


async def _is_ready(host: str, port: int) -> bool:
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"GET /health/ready HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
                return b" 200 " in await reader.readline()
            finally:
                writer.close()
    return False


def explain(child: Child) -> str:
    """Say in one line why a worker ended before it was ready."""
    return f"{child.program.name} did not start: {_cause(child) or child.last_words()}; see {child.program.log}"


def progress(child: Child) -> str | None:
    """Give the last line in which a worker that starts says how far it has come, None if there is none."""
    return next((line for line in reversed(child.log_lines()) if READING in line), None)


def _cause(child: Child) -> str:
    """Give the last line of the last traceback in a worker's structured log."""
    for line in reversed(child.log_lines()):
        try:
            return str(json.loads(line)["exception"]).rstrip().splitlines()[-1][:300]
        except (ValueError, TypeError, KeyError, IndexError):
            continue
    return ""
