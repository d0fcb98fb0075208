"""An API of dummy operations that answer with what they were asked: the HTTP layer alone, driven over ASGI."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import httpx
import orjson

from tsunagu.broker.api.call import Answer, Call
from tsunagu.broker.api.dispatch import Api
from tsunagu.broker.api.intake import Intake
from tsunagu.broker.api.negotiation import DOCUMENTS, ENTITIES
from tsunagu.broker.api.origin import Origin
from tsunagu.broker.api.problems import JSON_TYPE
from tsunagu.broker.api.requests import json_of, object_of
from tsunagu.broker.api.route import Route
from tsunagu.broker.api.traffic import Traffic
from tsunagu.broker.errors import Unavailable
from tsunagu.broker.jsonld.context import Context
from tsunagu.broker.settings import Settings

BASE = "http://broker/ngsi-ld/v1"


def told(call: Call, **more: Any) -> Answer:
    params = {key: sorted(value) if isinstance(value, frozenset) else value for key, value in call.params.items()}
    seen = {"operation": call.route.operation, "path": call.path, "params": params, "tenant": call.tenant}
    return Answer(200, orjson.dumps({**seen, "media": call.media, **more}), [JSON_TYPE])


async def echo(call: Call, _: Any) -> Answer:
    return told(call)


async def echo_json(call: Call, services: Any) -> Answer:
    return told(call, body=await json_of(call, services))


async def echo_object(call: Call, services: Any) -> Answer:
    body, context = await object_of(call, services)
    return told(call, body=body, context=context.source)


async def nothing(_: Call, __: Any) -> Answer:
    return Answer(204)


async def broken(_: Call, __: Any) -> Answer:
    raise RuntimeError("the secret is 42")


async def busy(_: Call, __: Any) -> Answer:
    raise Unavailable("the store is away", retry_after=7)


ROUTES = (
    Route("GET", "/things", echo, "-", "queryThings", "-",
          ("type", "id", "limit", "count", "local", "entityMapLifetime"), options=("sysAttrs",),
          formats=("normalized", "concise", "simplified", "keyValues"), produces=ENTITIES),
    Route("POST", "/things", echo_object, "-", "createThing", "-", tenant="new"),
    Route("DELETE", "/things", nothing, "-", "purgeThings", "-"),
    Route("GET", "/things/{thingId}", echo, "-", "retrieveThing", "-", produces=DOCUMENTS),
    Route("PATCH", "/things/{thingId}", echo_object, "-", "mergeThing", "-", needs_id=True),
    Route("PATCH", "/things/{thingId}/parts/{partId}", echo_json, "-", "updatePart", "-"),
    Route("GET", "/broken", broken, "-", "break", "-"),
    Route("GET", "/busy", busy, "-", "busy", "-"),
    Route("POST", "/thingOperations/query", echo_json, "-", "queryByBody", "-", produces=ENTITIES),
)  # fmt: skip


class Resolver:
    """Takes any @context for resolved."""

    async def resolve(self, source: Any) -> Context:
        return Context(source, url=source if isinstance(source, str) else None)


async def known_tenant(name: str) -> bool:
    return name != "nobody"


def echo_api(**settings: Any) -> Api:
    chosen = Settings(**settings)  # type: ignore[call-arg]
    services: Any = SimpleNamespace(
        settings=chosen,
        origin=Origin(chosen),
        intake=Intake(chosen.intake_limit, patience=10),
        traffic=Traffic(),
        resolver=Resolver(),
        contexts=SimpleNamespace(hit=lambda _: None),
        tenant_exists=known_tenant,
    )
    return Api(services, ROUTES)


def echo_client(**settings: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=echo_api(**settings)), base_url=BASE)
