"""Paths of the provisioning API that end in a slash."""

from __future__ import annotations

import httpx
from fastapi import FastAPI

from tsunagu.app.slashes import without_last_slash


async def test_a_last_slash_changes_nothing_below_iot() -> None:
    """A DELETE of /iot/services/ is answered at once, a path outside of /iot as before, by a redirect."""
    app = FastAPI()
    for path in ("/iot/services", "/version"):
        app.add_api_route(path, lambda resource="": resource, methods=["DELETE"])
    transport = httpx.ASGITransport(without_last_slash(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://broker") as client:
        for path in ("/iot/services", "/iot/services/"):
            answer = await client.delete(path + "?resource=/iot/d")
            assert (answer.status_code, answer.json()) == (200, "/iot/d")
        assert (await client.delete("/version/")).status_code == 307
