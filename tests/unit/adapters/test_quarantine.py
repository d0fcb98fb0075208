"""What is kept of messages that could not be taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.adapters.memory import FAULTS
from tsunagu.adapters.errors import BadPayload, ImageRefused
from tsunagu.adapters.message import Message
from tsunagu.adapters.quarantine import CatalogueQuarantine
from tsunagu.adapters.sink import SinkUnavailable

if TYPE_CHECKING:
    from tests.adapters.memory import Site


def message(format_name: str = "iotagent_json", body: bytes = b"{oops") -> Message:
    return Message(format_name, body, 1784401800000, {"apikey": "k", "device": "d"}, "/json/k/d/attrs")


async def test_a_message_is_kept_with_its_reason(empty_site: Site) -> None:
    """Bytes, origin, time and reason are what a person needs."""
    await CatalogueQuarantine(empty_site.catalogue, FAULTS).put("t", message(), BadPayload("no JSON"))
    (entry,) = empty_site.quarantined
    assert (entry["body"], entry["origin"], entry["reason"]) == (
        b"{oops",
        "/json/k/d/attrs",
        {"name": "BAD_PAYLOAD", "message": "no JSON"},
    )


@pytest.mark.parametrize(("format_name", "error"), [("camera", ImageRefused("x")), ("ble_gateway", BadPayload("x"))])
async def test_pictures_and_adverts_are_not_kept(empty_site: Site, format_name: str, error: BadPayload) -> None:
    """Of what must not be kept only size and digest are."""
    await CatalogueQuarantine(empty_site.catalogue, FAULTS).put("", message(format_name, b"\xff\xd8\xff"), error)
    (entry,) = empty_site.quarantined
    assert "body" not in entry
    assert (entry["size"], len(entry["sha256"])) == (3, 64)


async def test_the_quarantine_is_bounded(empty_site: Site) -> None:
    """At the limit a message is logged and not kept."""
    quarantine = CatalogueQuarantine(empty_site.catalogue, FAULTS, limit=3)
    for _ in range(10):
        await quarantine.put("", message(), BadPayload("x"))
    assert len(empty_site.quarantined) == 3


async def test_a_quarantine_that_is_away_lets_the_message_wait(empty_site: Site) -> None:
    """The message is not lost."""
    empty_site.catalogue.away = True
    with pytest.raises(SinkUnavailable):
        await CatalogueQuarantine(empty_site.catalogue, FAULTS).put("", message(), BadPayload("x"))
