"""`tsunagu subscriptions …` against a running broker (ours)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.conformance.serving import served
from tests.unit.subscriptions.receiver import Receiver
from tsunagu import cli
from tsunagu.app.application import Application
from tsunagu.up.remote import table

ID = "urn:ngsi-ld:Subscription:1"


class Terminal:
    """Types commands for one broker and reads what they print."""

    def __init__(self, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self._url = url
        self._capsys = capsys

    async def type(self, *words: str, code: int = 0) -> str:
        """Return what a command prints; on failure what it says."""
        self._capsys.readouterr()
        done = await asyncio.to_thread(cli.main, ["subscriptions", *words, "--url", self._url])
        printed = self._capsys.readouterr()
        assert done == code, printed
        return printed.out if code == 0 else printed.err

    async def json(self, *words: str) -> Any:
        return json.loads(await self.type(*words, "--json"))


async def subscribed(client: httpx.AsyncClient, endpoint: str) -> None:
    notification = {"endpoint": {"uri": endpoint, "receiverInfo": [{"key": "Authorization", "value": "Bearer abc"}]}}
    body = {"id": ID, "type": "Subscription", "entities": [{"type": "Gauge"}], "notification": notification}
    assert (await client.post("/ngsi-ld/v1/subscriptions", json=body)).status_code == 201


async def write(client: httpx.AsyncClient, level: int) -> None:
    entity = {"id": "urn:ngsi-ld:Gauge:1", "type": "Gauge", "level": {"type": "Property", "value": level}}
    await client.post("/ngsi-ld/v1/entityOperations/upsert", json=[entity])


async def test_seeing_and_steering(broker: Application, capsys: pytest.CaptureFixture[str]) -> None:
    """Each action tells people in lines, and scripts in JSON, what the broker's own API says, without secrets."""
    receiver = Receiver()
    await receiver.start()
    async with served(broker) as url, httpx.AsyncClient(base_url=url) as client:
        terminal = Terminal(url, capsys)
        assert await terminal.type("list") == "no subscriptions\n"
        await subscribed(client, receiver.url())
        for level in (1, 2):
            await write(client, level)
            await receiver.wait(level)
        head, row = (await terminal.type("list")).splitlines()
        assert head.split()[:3] == ["ID", "STATUS", "DELIVERY"]
        assert row.split()[:5] == [ID, "active", "ok", "2", "0"]
        shown = await terminal.type("show", ID)
        assert "notification.timesSent" in shown
        assert "Bearer" not in shown + await terminal.type("show", ID, "--json")
        deliveries = (await terminal.type("deliveries", ID)).splitlines()
        assert len(deliveries) == 3
        assert deliveries[1].split()[1:3] == ["ok", "204"]
        assert [one["ok"] for one in await terminal.json("deliveries", ID, "--limit", "1")] == [True]
        assert (await terminal.type("deadletters", ID)) == "no dead letters\n"
        assert (await terminal.type("redeliver", ID)) == "0 dead letters delivered again\n"
        span = ("--from", "2020-01-01T00:00:00Z", "--to", "2099-01-01T00:00:00Z")
        assert (await terminal.type("replay", ID, *span)) == "2 changes sent again, in order\n"
        await receiver.wait(4)
        assert (await terminal.type("preview", ID, "--last", "10")).startswith("2 of the last 10 changes would be told")
        assert "is paused" in await terminal.type("pause", ID)
        assert [one["status"] for one in await terminal.json("list")] == ["paused"]
        assert (await terminal.json("resume", ID)) == {"id": ID, "status": "active"}
    await receiver.stop()


async def test_what_goes_wrong_is_said(broker: Application, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown subscription, a bad time, and a broker that is not there end with 1 and one line that says why."""
    async with served(broker) as url, httpx.AsyncClient(base_url=url) as client:
        terminal = Terminal(url, capsys)
        said = await terminal.type("show", "urn:none", code=1)
        assert said == "tsunagu: Resource not found: there is no subscription urn:none\n"
        await subscribed(client, "http://127.0.0.1:9/")
        assert "before: " in await terminal.type("deliveries", ID, "--before", "soon", code=1)
        assert "from: " in await terminal.type("replay", ID, "--from", "x", "--to", "y", code=1)
    away = Terminal("http://127.0.0.1:1", capsys)
    assert "no broker answers at http://127.0.0.1:1" in await away.type("list", code=1)


def test_tables_line_up() -> None:
    """Columns are as wide as what stands in them, Japanese letters counting twice; numbers stand to the right."""
    assert list(table(("NAME", "N"), [("川", 5), ("river", 12), (None, 1)])) == [
        "NAME   N",
        "川      5",
        "river  12",
        "-       1",
    ]
