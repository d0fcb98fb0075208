"""A whole broker on the real MongoDB, in databases of its own, spoken to over ASGI."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import httpx
import pytest

from tsunagu.app import create_app
from tsunagu.app.application import Application
from tsunagu.broker.settings import Settings


@pytest.fixture
async def broker(mongo_uri: str) -> AsyncIterator[Application]:
    """Give a started broker; its databases are dropped afterwards."""
    prefix = "c" + secrets.token_hex(5)
    settings = Settings.from_environment(
        {"MONGODB_URI": mongo_uri}, database_prefix=prefix, allow_private=["127.0.0.0/8"], log_level="warning"
    )
    application = create_app(settings)
    await application.start()
    parts = application.parts
    assert parts is not None
    try:
        yield application
    finally:
        client = parts.databases.client
        for name in await client.list_database_names():
            if name.startswith(prefix):
                await client.drop_database(name)
        await application.stop()


@pytest.fixture
async def client(broker: Application) -> AsyncIterator[httpx.AsyncClient]:
    """Give an HTTP client of the broker, relative to /ngsi-ld/v1; absolute paths such as /health/live work too."""
    transport = httpx.ASGITransport(app=broker, raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://broker/ngsi-ld/v1") as one:
        yield one
