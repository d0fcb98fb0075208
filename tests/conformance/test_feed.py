"""Server-Sent Events over real HTTP (ours; HTML standard, 9.2): curl, a browser, tenants, and the end of a process."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from tests.conformance.requests import assert_problem
from tests.conformance.serving import served
from tsunagu.app.application import Application

FEED = "http://broker/tsunagu/v1/feed"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def gauge(level: int, name: str = "1", **more: Any) -> list[dict[str, Any]]:
    entity = {"id": f"urn:ngsi-ld:Gauge:{name}", "type": "Gauge", "level": {"type": "Property", "value": level}}
    return [{**entity, **more}]


class Events:
    """The events of a response."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()
        self.id = ""

    async def next(self) -> dict[str, Any]:
        """Return the next notification."""
        async with asyncio.timeout(15):
            async for line in self._lines:
                if line.startswith("id: "):
                    self.id = line[4:]
                elif line.startswith("data: "):
                    found: dict[str, Any] = orjson.loads(line[6:])
                    return found
        raise EOFError

    async def opened(self) -> str:
        """Return the first id."""
        async for line in self._lines:
            if line.startswith("id: "):
                self.id = line[4:]
                return self.id
        raise EOFError


async def test_events_and_the_way_back(broker: Application) -> None:
    """A stream has the headers and the form of Server-Sent Events; Last-Event-ID goes on where it broke off."""
    async with served(broker) as url, httpx.AsyncClient(base_url=url, timeout=20) as client:
        async with client.stream("GET", "/tsunagu/v1/feed?type=Gauge&q=level>1&format=simplified") as response:
            assert response.status_code == 200
            assert response.headers["content-type"].startswith("text/event-stream")
            assert response.headers["cache-control"] == "no-store"
            assert "content-length" not in response.headers
            events = Events(response)
            await events.opened()
            for level in (1, 2):
                await client.post("/ngsi-ld/v1/entityOperations/upsert", json=gauge(level))
            told = await events.next()
            assert (told["type"], told["data"][0]["level"]) == ("Notification", 2)
        for level in (3, 4):
            await client.post("/ngsi-ld/v1/entityOperations/upsert", json=gauge(level))
        params = {"type": "Gauge", "q": "level>1", "format": "simplified"}
        headers = {"Last-Event-ID": events.id}
        async with client.stream("GET", "/tsunagu/v1/feed", params=params, headers=headers) as response:
            again = Events(response)
            assert [(await again.next())["data"][0]["level"] for _ in range(2)] == [3, 4]


async def test_tenants_are_apart(broker: Application) -> None:
    """A feed tells of its tenant alone, which a browser names in a parameter."""
    async with served(broker) as url, httpx.AsyncClient(base_url=url, timeout=20) as client:
        for tenant in ("kobe", "akashi"):
            await client.post("/ngsi-ld/v1/entities", json=gauge(0)[0], headers={"NGSILD-Tenant": tenant})
        async with client.stream("GET", "/tsunagu/v1/feed?tenant=kobe") as response:
            events = Events(response)
            await events.opened()
            for tenant, level in (("akashi", 1), ("kobe", 2)):
                path, headers = "/ngsi-ld/v1/entityOperations/upsert", {"NGSILD-Tenant": tenant}
                await client.post(path, json=gauge(level), headers=headers)
            assert (await events.next())["data"][0]["level"]["value"] == 2


async def test_a_subscription_is_followed(broker: Application) -> None:
    """`subscription` tells what that subscription is told of; conditions beside it are refused."""
    async with served(broker) as url, httpx.AsyncClient(base_url=url, timeout=20) as client:
        body = {
            "id": "urn:s:1",
            "type": "Subscription",
            "entities": [{"type": "Gauge"}],
            "q": "level>5",
            "notification": {"endpoint": {"uri": "http://127.0.0.1:9/"}, "format": "concise"},
        }
        assert (await client.post("/ngsi-ld/v1/subscriptions", json=body)).status_code == 201
        async with client.stream("GET", "/tsunagu/v1/feed?subscription=urn:s:1") as response:
            events = Events(response)
            await events.opened()
            for level in (5, 6):
                await client.post("/ngsi-ld/v1/entityOperations/upsert", json=gauge(level))
            told = await events.next()
            assert (told["subscriptionId"], told["data"][0]["level"]) == ("urn:s:1", 6)


async def test_the_end_of_the_process_ends_the_stream(broker: Application) -> None:
    """When the server stops, open feeds end at once, so that clients go to another process."""
    async with served(broker) as url, httpx.AsyncClient(base_url=url, timeout=20) as client:
        async with client.stream("GET", "/tsunagu/v1/feed") as response:
            events = Events(response)
            await events.opened()
            broker.leave()
            with pytest.raises(EOFError):
                await events.next()
        assert broker.parts is not None
        async with asyncio.timeout(5):
            while broker.parts.feeds.open:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("query", "status", "named"),
    [
        ("typ=Gauge", 400, "typ"),
        ("type=Gauge&type=Lake", 400, "type"),
        ("q=a>", 400, "q"),
        ("type=G(", 400, "entities.type"),
        ("sysAttrs=yes", 400, "sysAttrs"),
        ("georel=near", 400, "geoQ"),
        ("format=xml", 400, "format"),
        ("lastEventId=nonsense", 400, "Last-Event-ID"),
        ("subscription=urn:none", 404, "urn:none"),
        ("subscription=urn:none&q=a", 400, "subscription"),
        ("tenant=nobody", 404, "nobody"),
    ],
)
async def test_rubbish_is_refused_by_name(client: httpx.AsyncClient, query: str, status: int, named: str) -> None:
    """What is wrong is a problem document that names the parameter, not a stream."""
    answer = await client.get(f"{FEED}?{query}")
    kinds = {400: "BadRequestData", 404: "NonexistentTenant" if "tenant" in query else "ResourceNotFound"}
    assert_problem(answer, status, kinds[status])
    assert named in answer.json()["detail"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
async def test_curl_shows_events_as_they_come(broker: Application) -> None:
    """`curl -N` prints an event when it happens."""
    async with served(broker) as url, httpx.AsyncClient(base_url=url) as client:
        program = ("curl", "-sN", f"{url}/tsunagu/v1/feed?type=Gauge")
        curl = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE)
        assert curl.stdout is not None
        try:
            async with asyncio.timeout(15):
                while not (await curl.stdout.readline()).startswith(b"id: "):
                    pass
                await client.post("/ngsi-ld/v1/entityOperations/upsert", json=gauge(7))
                while not (line := await curl.stdout.readline()).startswith(b"data: "):
                    pass
            assert orjson.loads(line[6:])["data"][0]["level"]["value"] == 7
        finally:
            curl.kill()
            await curl.wait()


PAGE = """<!doctype html><title>waiting</title><pre id="log"></pre><script>
  const log = document.getElementById("log");
  const source = new EventSource("URL/tsunagu/v1/feed?type=Gauge&format=simplified");
  source.onmessage = event => {
    const level = JSON.parse(event.data).data[0].level;
    log.textContent += "level " + level + "\\n";
    if (level === 3) { document.title = "done"; source.close(); }
  };
</script>"""


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
async def test_a_browser_follows(broker: Application, tmp_path: Path) -> None:
    """EventSource in Chromium gets the events of a page that comes from elsewhere (CORS)."""
    async with served(broker) as url, httpx.AsyncClient(base_url=url) as client:
        page = tmp_path / "page.html"
        page.write_text(PAGE.replace("URL", url))
        program = (
            CHROMIUM or "",
            *("--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", "--dump-dom"),
            f"--user-data-dir={tmp_path / 'profile'}",
            page.as_uri(),
        )
        pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        browser = await asyncio.create_subprocess_exec(*program, stdout=pipe, stderr=null)
        try:
            assert broker.parts is not None
            async with asyncio.timeout(40):
                while not broker.parts.feeds.open:
                    await asyncio.sleep(0.05)
                for level in (1, 2, 3):
                    await client.post("/ngsi-ld/v1/entityOperations/upsert", json=gauge(level))
                shown = (await browser.communicate())[0].decode()
        finally:
            if browser.returncode is None:
                browser.kill()
                await browser.wait()
    assert "level 1\nlevel 2\nlevel 3" in shown, shown
