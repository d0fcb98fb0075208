"""Fixtures of the adapters' unit tests."""

from __future__ import annotations

import pytest

from tests.adapters.memory import Site, site


@pytest.fixture
async def empty_site() -> Site:
    """Give a site with nothing provisioned."""
    return await site()
