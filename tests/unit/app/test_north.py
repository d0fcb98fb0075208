"""What the north port serves."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI

from tsunagu.app.north import north_door


@pytest.mark.parametrize(
    ("method", "path", "served_by"),
    [
        ("PATCH", "/ngsi-ld/v1/entities/urn:ngsi-ld:Device:water001/attrs/on", "api"),
        ("PATCH", "/ngsi-ld/v1/entities/urn:ngsi-ld:Device:water001/attrs", "provisioning"),
        ("PATCH", "/ngsi-ld/v1/entities/urn:ngsi-ld:Device:water001", "provisioning"),
        ("DELETE", "/ngsi-ld/v1/entities/urn:ngsi-ld:Device:water001/attrs/on", "provisioning"),
        ("GET", "/iot/devices", "provisioning"),
    ],
)
async def test_of_ngsi_ld_only_a_command_passes(method: str, path: str, served_by: str) -> None:
    """The update of one attribute goes to NGSI-LD, everything else to provisioning."""
    apps = {name: FastAPI() for name in ("api", "provisioning")}
    for name, app in apps.items():
        app.add_api_route("/{path:path}", lambda path, name=name: name, methods=["PATCH", "DELETE", "GET"])
    transport = httpx.ASGITransport(north_door(apps["provisioning"], apps["api"]))
    async with httpx.AsyncClient(transport=transport, base_url="http://broker") as client:
        assert (await client.request(method, path)).json() == served_by
