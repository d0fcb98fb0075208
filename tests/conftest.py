"""Servers that the tests share: a real MongoDB replica set and a real MQTT broker, started once a session."""

from __future__ import annotations

import asyncio
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from tsunagu.up import mongod, mqtt
from tsunagu.up.child import Child
from tsunagu.up.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

settings.register_profile("tsunagu", deadline=None)  # no test asserts a time: a busy machine is slow now and then
settings.load_profile("tsunagu")

PATIENCE = 60.0  # seconds for a server to become ready on a busy machine


def run_aside(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end in a thread, beside whatever loop the tests use; gives its result."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, asyncio.wait_for(work, PATIENCE)).result()


@pytest.fixture(scope="session")
def mongo_uri() -> Iterator[str]:
    """Give a MongoDB replica set's connection string: TSUNAGU_TEST_MONGODB_URI, else an embedded one of its own.

    Tests share it: use a database prefix of your own and drop what you made.
    """
    named = os.environ.get("TSUNAGU_TEST_MONGODB_URI")
    if named:
        yield named
        return
    with tempfile.TemporaryDirectory(prefix="tsunagu-test-") as folder:
        server = mongod.Mongod(mongod.find_binary(), Path(folder), free_port(), Path(folder) / "mongod.log")
        child = Child(server.program)
        child.start()
        try:
            run_aside(server.ready(child))
            yield server.uri
        finally:
            run_aside(child.stop())


@pytest.fixture(scope="session")
def mqtt_url() -> Iterator[str]:
    """Give an MQTT broker's address: TSUNAGU_TEST_MQTT_URL, else one of its own (mosquitto if the machine has it).

    Tests share it: use topics and client ids of your own.
    """
    named = os.environ.get("TSUNAGU_TEST_MQTT_URL")
    if named:
        yield named
        return
    with tempfile.TemporaryDirectory(prefix="tsunagu-test-") as folder:
        server = mqtt.choose(Path(folder), free_port(), Path(folder) / "mqtt.log")
        child = Child(server.program)
        child.start()
        try:
            run_aside(server.ready(child))
            yield server.url
        finally:
            run_aside(child.stop())
