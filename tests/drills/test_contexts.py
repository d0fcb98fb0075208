"""@contexts in bad times: their servers gone, the broker killed, servers that accept and never answer."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conformance.context_server import context_server
from tests.conformance.requests import LD, link
from tests.drills.harness import eventually, running

pytestmark = pytest.mark.drill

WATER = {"@context": {"level": "https://water.example/level", "Gauge": "https://water.example/Gauge"}}
GAUGE = {"id": "urn:ngsi-ld:Gauge:1", "type": "Gauge", "level": {"type": "Property", "value": 1}}
SILENT = 20


async def until_ready(client: httpx.AsyncClient, url: str) -> None:
    """Wait until the broker is back."""
    for _ in range(600):
        with contextlib.suppress(httpx.HTTPError):
            if (await client.get(f"{url}/health/ready")).status_code == 200:
                return
        await asyncio.sleep(0.1)
    pytest.fail("the broker did not come back")


async def test_contexts_survive_kill_9_and_work_without_their_server(tmp_path: Path) -> None:
    """Cached, hosted and implicit @contexts expand and compact after kill -9 of the broker with their server gone."""
    async with (
        running(tmp_path / "data", environment={"TSUNAGU_CONTEXT_TIMEOUT": "10"}) as up,
        httpx.AsyncClient(base_url=f"{up.url}/ngsi-ld/v1", timeout=30) as client,
    ):
        async with context_server() as remote:
            cached = remote.host("/water.jsonld", WATER)
            inline = {**GAUGE, "@context": [cached, {"depth": "https://water.example/depth"}]}
            assert (await client.post("/entities", json=inline, headers=LD)).status_code == 201
        hosted = up.url + (await client.post("/jsonldContexts", json=WATER)).headers["location"]
        implicit = await client.post(
            "/entityOperations/query",
            json={"type": "Query", "entities": [{"type": "Gauge"}], "@context": inline["@context"]},
            headers=LD,
        )
        address = implicit.headers["link"].partition(">")[0][1:]
        up.kill("tsunagu.cli serve")
        await until_ready(client, up.url)
        for url in (cached, hosted, address):
            answer = await client.get("/entities?type=Gauge&q=level==1", headers=link(url))
            assert answer.status_code == 200, answer.text
            assert [one["level"]["value"] for one in answer.json()] == [1]


async def test_servers_that_never_answer_keep_nobody_waiting(tmp_path: Path) -> None:
    """While many requests wait for a server that never answers, reads with known @contexts go on; those end in 504."""
    connections: list[asyncio.StreamWriter] = []

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)

    silent = await asyncio.start_server(accept, "127.0.0.1", 0)
    base = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}"
    async with (
        silent,
        context_server() as remote,
        running(tmp_path / "data") as up,
        httpx.AsyncClient(base_url=f"{up.url}/ngsi-ld/v1", timeout=60) as client,
    ):
        known = remote.host("/water.jsonld", WATER)
        assert (await client.post("/entities", json={**GAUGE, "@context": known}, headers=LD)).status_code == 201

        async def ask(url: str) -> Any:
            return await client.get("/entities/urn:ngsi-ld:Gauge:1", headers=link(url))

        waiting = [asyncio.create_task(ask(f"{base}/{number}.jsonld")) for number in range(SILENT)]
        await eventually(
            lambda: len(connections) == SILENT, seconds=15, what="not every request asked for its @context"
        )
        reads = [await ask(known) for _ in range(20)]
        assert [read.status_code for read in reads] == [200] * 20
        assert not any(task.done() for task in waiting)
        assert {(await task).status_code for task in waiting} == {504}
    for writer in connections:
        writer.close()
