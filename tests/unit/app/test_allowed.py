"""Wrong methods on the FastAPI resources."""

from __future__ import annotations

import httpx
from fastapi import APIRouter, FastAPI

from tsunagu.app.allowed import tell_allowed_methods


async def test_allow_names_every_method_of_the_path() -> None:
    """A path with several routes tells the methods of all of them; a path with a parameter its own."""
    router = APIRouter(prefix="/iot")
    for method, path in (
        ("GET", "/devices"),
        ("POST", "/devices"),
        ("PUT", "/devices/{one}"),
        ("DELETE", "/devices/{one}"),
    ):
        router.add_api_route(path, lambda: None, methods=[method])
    app = FastAPI()
    app.include_router(router)
    tell_allowed_methods(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://broker") as client:
        answer = await client.patch("/iot/devices")
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
        assert "possible are GET, POST" in answer.json()["detail"]
        assert (await client.get("/iot/devices/1")).headers["allow"] == "DELETE, PUT"
