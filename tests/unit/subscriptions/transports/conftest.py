"""What the tests of transports share: a city with a token URL."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.unit.subscriptions.transports.city import City, running_city


@pytest.fixture
async def city() -> AsyncIterator[City]:
    """Give a running token URL and endpoint."""
    async with running_city() as one:
        yield one
