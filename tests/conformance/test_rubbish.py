"""Whoever sends rubbish gets a problem document that says what is wrong, and nothing is half-written (5.5.3, 6.3)."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import pytest

GAUGE = {"id": "urn:ngsi-ld:Gauge:1", "type": "Gauge", "level": {"type": "Property", "value": 1}}


def problem(answer: httpx.Response, status: int, *words: str) -> None:
    """Check that an answer is a problem document of the standard's form that names what is wrong."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body["type"].startswith("https://uri.etsi.org/ngsi-ld/errors/")
    assert body["title"]
    assert body["detail"]
    assert "Traceback" not in answer.text
    for word in words:
        assert word in body["detail"], body


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 400, ["JSON"]),
        (b"", 400, ["body"]),
        (b'"text"', 400, []),
        (b"\xff\xfe", 400, []),
        (b'{"id": "no uri", "type": "T"}', 400, ["id"]),
        (b'{"id": "urn:x:1"}', 400, ["type"]),
        (b'{"id": "urn:x:1", "type": 7}', 400, ["type"]),
        (b'{"id": "urn:x:1", "type": "T", "level": {"type": "Nonsense", "value": 1}}', 400, ["level"]),
        (b'{"id": "urn:x:1", "type": "T", "level": {"type": "Property"}}', 400, ["level"]),
        (
            b'{"id": "urn:x:1", "type": "T", "level": {"type": "Property", "value": 1, "observedAt": "soon"}}',
            400,
            ["observedAt"],
        ),
        (
            (
                b'{"id": "urn:x:1", "type": "T", "location": {"type": "GeoProperty", '
                b'"value": {"type": "Point", "coordinates": ["x"]}}}'
            ),
            400,
            ["location"],
        ),
        (
            b'{"id": "urn:x:1", "type": "T", "l": {"type": "Property", "value": ' + b"[" * 500 + b"]" * 500 + b"}}",
            400,
            ["nest"],
        ),
    ],
)
async def test_a_bad_entity_is_refused_by_name(
    client: httpx.AsyncClient, body: bytes, status: int, words: list[str]
) -> None:
    """6.3.2: each kind of rubbish gets its 4xx, and no entity comes into being."""
    answer = await client.post("/entities", content=body, headers={"Content-Type": "application/json"})
    problem(answer, status, *words)
    assert (await client.get("/entities/urn:x:1")).status_code == 404


async def test_a_body_of_20_megabytes_is_refused(client: httpx.AsyncClient) -> None:
    """6.3.2: a body that is too large is 413, whether or not its length is declared truthfully."""
    body = b'{"id": "urn:x:1", "type": "T", "text": {"type": "Property", "value": "' + b"x" * 20_000_000 + b'"}}'
    problem(await client.post("/entities", content=body, headers={"Content-Type": "application/json"}), 413)
    lying = {"Content-Type": "application/json", "Content-Length": "10"}
    problem(await client.post("/entities", content=body, headers=lying), 413)


async def test_an_unknown_parameter_is_refused(client: httpx.AsyncClient) -> None:
    """6.3.20: an unknown or misplaced parameter is 400, and is named."""
    problem(await client.get("/entities?type=T&colour=red"), 400, "colour")
    problem(await client.get("/entities/urn:x:1?limit=3"), 400, "limit")


async def test_an_unsupported_type_of_body_is_refused(client: httpx.AsyncClient) -> None:
    """6.3.4: a body that is no JSON by its type is 415, one whose answer nobody can give is 406."""
    answer = await client.post("/entities", content=b"<a/>", headers={"Content-Type": "text/xml"})
    assert answer.status_code == 415
    answer = await client.get("/entities?type=T", headers={"Accept": "text/html"})
    problem(answer, 406)


async def test_a_wrong_method_names_the_right_ones(client: httpx.AsyncClient) -> None:
    """6.3.2: a method that a resource does not have is 405 with Allow."""
    answer = await client.put("/entities", json=GAUGE)
    problem(answer, 405)
    assert "POST" in answer.headers["allow"]


async def test_a_context_that_never_answers_is_504_and_blocks_nobody(client: httpx.AsyncClient) -> None:
    """6.3.2: an unreachable @context ends as 504 after a bounded wait; other requests go on meanwhile."""

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        link = f'<http://127.0.0.1:{port}/c.jsonld>; rel="http://www.w3.org/ns/json-ld#context"'
        began = time.monotonic()
        bad = asyncio.create_task(client.post("/entities", json=GAUGE, headers={"Link": link}))
        await asyncio.sleep(0.1)
        assert (await client.post("/entities", json=GAUGE)).status_code == 201
        assert time.monotonic() - began < 3
        problem(await bad, 504, "c.jsonld")
        assert time.monotonic() - began < 15
    finally:
        server.close()


async def test_a_batch_is_written_element_by_element(client: httpx.AsyncClient) -> None:
    """5.6.8: of a batch the good elements are written and the bad ones reported, with 207."""
    bodies: list[dict[str, Any]] = [GAUGE, {"id": "urn:x:2"}, {**GAUGE, "id": "urn:ngsi-ld:Gauge:3"}]
    answer = await client.post("/entityOperations/upsert", json=bodies)
    assert answer.status_code == 207
    found = answer.json()
    assert found["success"] == ["urn:ngsi-ld:Gauge:1", "urn:ngsi-ld:Gauge:3"]
    assert [one["entityId"] for one in found["errors"]] == ["urn:x:2"]
    assert found["errors"][0]["error"]["detail"]


async def test_the_inbox_takes_each_notification_once(client: httpx.AsyncClient) -> None:
    """A notification that comes twice is stored once; one that is no notification is refused."""
    notification = {
        "id": "urn:ngsi-ld:Notification:1",
        "type": "Notification",
        "subscriptionId": "urn:s:1",
        "data": [GAUGE],
    }
    url = "http://broker/tsunagu/v1/inbox"
    first = await client.post(url, json=notification)
    assert first.status_code == 200, first.text
    assert first.json() == {"stored": ["urn:ngsi-ld:Gauge:1"], "repeated": [], "refused": []}
    changed = {**notification, "data": [{**GAUGE, "level": {"type": "Property", "value": 9}}]}
    again = await client.post(url, json=changed)
    assert again.json()["repeated"] == ["urn:ngsi-ld:Gauge:1"]
    assert (await client.get("/entities/urn:ngsi-ld:Gauge:1")).json()["level"]["value"] == 1
    problem(await client.post(url, json={"id": "urn:x:1", "type": "Notification"}), 400, "data")
    problem(await client.post(url, json=[1]), 400)


async def test_neighbours_that_tell_each_other_everything_come_to_rest(client: httpx.AsyncClient) -> None:
    """A notification that tells nothing new, or older readings, changes nothing here: nobody is notified in turn."""

    async def told(number: int, value: Any, **members: str) -> str:
        level = {"type": "Property", "value": value, **members}
        body = {"id": f"urn:n:{number}", "type": "Notification", "data": [{**GAUGE, "level": level}]}
        answer = await client.post("http://broker/tsunagu/v1/inbox", json=body)
        assert answer.json()["stored"] == ["urn:ngsi-ld:Gauge:1"]
        return str((await client.get("/entities/urn:ngsi-ld:Gauge:1")).headers["etag"])

    first = await told(1, 1)
    assert await told(2, 1) == first
    assert await told(3, True) != first
    now = await told(4, 7, observedAt="2026-07-18T19:10:00Z")
    assert await told(5, 6, observedAt="2026-07-18T19:09:59Z") == now
    assert await told(6, 6, observedAt="2026-07-18T19:10:01Z") != now


async def test_a_page_of_giants_is_refused_in_time(client: httpx.AsyncClient) -> None:
    """A page that would not fit into memory is TooManyResults; fewer entities at once can be had, also one by one."""
    for number in range(9):
        body = {**GAUGE, "id": f"urn:ngsi-ld:Gauge:{number}", "text": {"type": "Property", "value": "x" * 9_000_000}}
        assert (await client.post("/entities", json=body)).status_code == 201
    problem(await client.get("/entities?type=Gauge"), 403, "limit")
    assert len((await client.get("/entities?type=Gauge&limit=4")).json()) == 4
    assert (await client.get("/entities?type=Gauge&limit=0&count=true")).headers["ngsild-results-count"] == "9"
    assert (await client.get("/entities/urn:ngsi-ld:Gauge:8")).status_code == 200
