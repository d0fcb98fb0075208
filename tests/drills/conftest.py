"""One running broker for the scenarios; each of them has a tenant of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.drills.city import City, city_of
from tests.drills.running import Up

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Give a running broker with a real mongod and a real MQTT broker."""
    with Up(tmp_path_factory.mktemp("town") / "data") as up:
        up.ready()
        yield up


@pytest.fixture
async def city(town: Up) -> AsyncIterator[City]:
    """Give a fresh tenant of the running broker."""
    async with city_of(town, town.folder) as one:
        yield one
