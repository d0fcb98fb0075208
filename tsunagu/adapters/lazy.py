"""Lazy attributes: what a device is asked for when somebody reads its entity (iotagent-node-lib, "Lazy attributes").

The agents for JSON and Ultralight have no message for it; here a device is asked as with a command: an empty value of
the attribute's key goes where its commands go, and its result of that name, or a measure, is the answer. Who reads
waits at most WAIT; a device that is silent is not asked again for a while, and its last known value stands, with its
observedAt. A device that fetches its commands is not asked.
"""

from __future__ import annotations

import asyncio
import secrets
from time import monotonic
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from tsunagu.adapters import clock
from tsunagu.adapters.command_payload import ULTRALIGHT, content_type, payload_of, results_in
from tsunagu.adapters.commands import address_of
from tsunagu.adapters.downlink import CHIRPSTACK
from tsunagu.adapters.errors import DeviceError
from tsunagu.adapters.jexl.operators import as_text
from tsunagu.adapters.message import Message
from tsunagu.adapters.sink import SinkUnavailable
from tsunagu.background import end

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from tsunagu.adapters.catalogue import Entry
    from tsunagu.adapters.command_requests import CommandRequests
    from tsunagu.adapters.commands import Commands
    from tsunagu.adapters.devices.plan import Plan
    from tsunagu.adapters.pipeline import Pipeline

    Times = Callable[[str, str], Awaitable[Mapping[str, Any]]]

WAIT = 2.0  # seconds that a reader waits for a device
LOOK = 0.05
FRESH = 1.0  # seconds for which an answer serves further readers
SILENT = 10.0  # seconds for which a device that was silent is not asked again
MOST = 10_000

log = structlog.get_logger(__name__)
Key = tuple[str, str]


class LazyAttributes:
    """Asks devices for the lazy attributes of entities. `await stop()` ends what is being asked.

    `times(tenant, entity)` returns when each attribute of an entity was last written, {} for none; app.py gives it.
    """

    def __init__(self, requests: CommandRequests, commands: Commands, pipeline: Pipeline, times: Times) -> None:
        self._requests = requests
        self._commands = commands
        self._pipeline = pipeline
        self._times = times
        self._asking: dict[Key, asyncio.Task[None]] = {}
        self._rest: dict[Key, float] = {}

    def concern(self, tenant: str, entity_id: str) -> bool:
        """Tell whether an entity has attributes that a device is to be asked for now."""
        if not self._requests.is_lazy(tenant, entity_id):
            return False
        return self._rest.get((tenant, entity_id), 0.0) <= monotonic()

    async def refresh(self, tenant: str, entity_id: str) -> None:
        """Ask the devices of an entity, once for all who ask at the same time; return within WAIT or so."""
        key = (tenant, entity_id)
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.create_task(self._ask(key), name="lazy attributes")
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        await asyncio.wait((task,))

    async def stop(self) -> None:
        """Ask nobody any more; who still waits gets what is stored."""
        await end(*self._asking.values())

    async def _ask(self, key: Key) -> None:
        rest = SILENT
        try:
            async with asyncio.timeout(WAIT):
                if await self._answered(key):
                    rest = FRESH
        except TimeoutError:
            log.info("a device was asked and is silent", tenant=key[0])
        except (SinkUnavailable, DeviceError) as error:
            log.warning("a device could not be asked", tenant=key[0], reason=str(error)[:200])
        except Exception:
            log.exception("a device could not be asked", tenant=key[0])
        if len(self._rest) >= MOST:
            self._rest.clear()
        self._rest[key] = monotonic() + rest

    async def _answered(self, key: Key) -> bool:
        """Ask, and wait until all that was asked for is stored; tell whether anybody could be asked."""
        plans = [plan for plan in await self._requests.plans_of(*key) if plan.lazy]
        if not plans:
            self._requests.forget_lazy(*key)
            return True
        before = await self._times(*key)
        asked = [name for plan in plans for name in await self._send(plan)]
        while asked:
            now = await self._times(*key)
            if all(now.get(name) != before.get(name) for name in asked):
                return True
            await asyncio.sleep(LOOK)
        return False

    async def _send(self, plan: Plan) -> list[str]:
        """Ask one device for all its lazy attributes; return those that it was asked for."""
        asked: list[str] = []
        if plan.resource == CHIRPSTACK:
            return asked  # a LoRaWAN device hears nothing until it speaks
        for lazy in plan.lazy:
            question = lazy_command(lazy)
            address = address_of(plan, question, "")
            payload = payload_of(plan, {**question, "name": question["key"]}, "")
            if "url" in address and self._commands.pusher is not None:
                await self._push(plan, question, payload, address)
            elif "topic" in address and self._commands.publisher is not None:
                await self._commands.publisher.publish(plan.tenant, address["topic"], payload, qos=1, retain=False)
            else:
                continue
            asked.append(lazy["name"])
        return asked

    async def _push(self, plan: Plan, question: Entry, payload: bytes, address: Entry) -> None:
        """Post a question; a value in the answer comes in like any measure."""
        assert self._commands.pusher is not None
        headers = {**address["headers"], "content-type": content_type(plan, question)}
        pushed = await self._commands.pusher.push(address["url"], payload, headers)
        ultralight, name = plan.resource in ULTRALIGHT, question["key"]
        value = results_in(pushed.body, name, ultralight=ultralight) if pushed.ok else None
        if value is None:
            return
        form = "ultralight" if ultralight else "iotagent_json"
        body = f"{name}|{as_text(value)}".encode() if ultralight else orjson.dumps({name: value})
        named = {"apikey": plan.apikey, "device": plan.device_id}
        key = f"lazy/{secrets.token_hex(8)}"  # it was asked for: no credential, and no repetition of another
        work = await self._pipeline.prepare([Message(form, body, clock.now(), named, address["url"], key=key)])
        await self._pipeline.commit(work)


def lazy_command(lazy: Mapping[str, Any]) -> Entry:
    """Return how a device is asked for a lazy attribute, or told of an update: `key` is what it knows it by.

    The attribute's `expression` is for what it answers.
    """
    taken = {name: lazy[name] for name in ("payloadType", "contentType", "headers", "mqtt") if lazy.get(name)}
    return {"name": lazy["name"], "key": lazy.get("object_id") or lazy["name"], **taken}
