"""What an IoT agent says of itself on its north port."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from fastapi import FastAPI

from tsunagu.adapters.message import Message
from tsunagu.adapters.provisioning.agent import agent_router, statistics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.adapters.memory import Site


class Level:
    """A log level."""

    name = "info"

    async def change(self, name: str) -> None:
        self.name = name


@pytest.fixture
def states() -> dict[str, str]:
    """Give the states of the broker's parts."""
    return {"mongodb": "ok"}


@pytest.fixture
async def api(states: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of the north port."""

    async def parts() -> dict[str, str]:
        return states

    app = FastAPI()
    app.include_router(agent_router(4041, Level(), parts))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://city") as client:
        yield client


async def test_the_version_has_the_members_of_the_reference(api: httpx.AsyncClient) -> None:
    """libVersion, port, baseRoot, version."""
    answer = await api.get("/version")
    assert (answer.status_code, answer.json().keys()) == (200, {"libVersion", "port", "baseRoot", "version"})


async def test_readiness_follows_the_parts(api: httpx.AsyncClient, states: dict[str, str]) -> None:
    """200 when all answer, 503 when one does not; the body is empty, as the reference's is."""
    assert (await api.get("/ready")).status_code == 200
    states["mongodb"] = "unavailable"
    answer = await api.get("/ready")
    assert (answer.status_code, answer.json()) == (503, {})


@pytest.mark.parametrize(
    ("query", "status", "level"),
    [
        ("?level=DEBUG", 200, "DEBUG"),
        ("?level=warning", 200, "WARN"),
        ("?level=WARN", 200, "WARN"),
        ("?level=fatal", 200, "FATAL"),
        ("", 400, "INFO"),
        ("?level=loud", 400, "INFO"),
    ],
)
async def test_the_log_level_is_told_and_changed(api: httpx.AsyncClient, query: str, status: int, level: str) -> None:
    """In the words of the reference; a level that is none changes nothing."""
    assert (await api.get("/admin/log")).json() == {"level": "INFO"}
    answer = await api.put(f"/admin/log{query}")
    assert answer.status_code == status
    if status == 400:
        assert answer.json() == {"error": "invalid log level" if query else "log level missing"}
    assert (await api.get("/admin/log")).json() == {"level": level}


async def test_measures_are_counted_under_the_names_of_the_reference(api: httpx.AsyncClient, empty_site: Site) -> None:
    """What is created, measured and refused shows in /metrics."""
    before = statistics()
    await empty_site.store.create_groups("", "/", [{"apikey": "k", "resource": "/iot/json", "entity_type": "Gauge"}])
    await empty_site.store.create_devices("", "/", [{"device_id": "g", "apikey": "k"}])
    named = {"apikey": "k", "device": "g"}
    messages = [Message("iotagent_json", body, 0, named) for body in (b'{"a":1}', b"rubbish")]
    await empty_site.pipeline.commit(await empty_site.pipeline.prepare(messages))
    after = statistics()
    assert {name: after[name] - before[name] for name in after} == {
        "deviceCreationRequests": 1,
        "deviceRemovalRequests": 0,
        "measureRequests": 2,
        "raiseAlarm": 0,
        "releaseAlarm": 0,
        "updateEntityRequestsOk": 1,
        "updateEntityRequestsError": 1,
    }
    answer = await api.get("/metrics")
    assert f"# TYPE measureRequests counter\nmeasureRequests {after['measureRequests']}\n" in answer.text
    assert answer.text.endswith("\n# EOF")


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "text/plain;version=0.0.4;charset=utf-8"),
        ("application/openmetrics-text; version=0.0.1", "application/openmetrics-text;version=0.0.1;charset=utf-8"),
        (
            "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/openmetrics-text;version=1.0.0;charset=utf-8",
        ),
        ("application/openmetrics-text;q=0.1,text/plain", "text/plain;version=0.0.4;charset=utf-8"),
        ("application/json", None),
        ("text/plain;version=9", None),
    ],
)
async def test_metrics_come_in_the_form_that_is_accepted(api: httpx.AsyncClient, accept: str, kind: str | None) -> None:
    """OpenMetrics or the older text; 406 for anything else."""
    answer = await api.get("/metrics", headers={"accept": accept})
    assert (answer.status_code, answer.headers.get("content-type") if kind else None) == (200 if kind else 406, kind)
