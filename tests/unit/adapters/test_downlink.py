"""Commands to LoRaWAN devices: what ChirpStack gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tests.adapters.memory import FAULTS
from tests.unit.adapters.test_commands import Wire
from tsunagu.adapters.commands import Commands, command_of
from tsunagu.adapters.devices.plan import compile_plan
from tsunagu.adapters.downlink import downlink_of
from tsunagu.adapters.errors import BadMeasure

if TYPE_CHECKING:
    from tests.adapters.memory import Site

GROUP: dict[str, Any] = {"apikey": "app-1", "resource": "/iot/chirpstack", "entity_type": "Valve"}
DOWN = "application/app-1/device/24e124713d350001/command/down"


@pytest.mark.parametrize(
    ("command", "value", "content"),
    [
        ({"name": "open"}, 30, {"object": {"open": 30}}),
        ({"name": "open", "expression": "{minutes: open}"}, 30, {"object": {"minutes": 30}}),
        (
            {"name": "raw", "payloadType": "binaryFromHex"},
            "ff0301",
            {"data": "/wMB"},
        ),
        ({"name": "say", "payloadType": "text"}, "on", {"data": "b24="}),
    ],
)
async def test_a_command_becomes_a_downlink(
    empty_site: Site, command: dict[str, Any], value: object, content: dict[str, Any]
) -> None:
    """On the device's topic of its network; for the network's codec, or as bytes that are made here."""
    commands, wire = Commands(empty_site.catalogue, FAULTS, empty_site.sink), Wire()
    commands.publisher = wire
    device = {"device_id": "24:E1:24:71:3D:35:00:01", "commands": [command]}
    settings = {"internal_attributes": {"downlink": {"fPort": 85, "confirmed": True}}}
    plan = compile_plan({**device, **settings}, GROUP)
    entry = await commands.send(plan, command_of(plan, command["name"]), value)
    assert entry is not None
    ((topic, payload, qos, retain),) = wire.sent
    assert (topic, qos, retain) == (DOWN, 1, False)
    expected = {"devEui": "24e124713d350001", "confirmed": True, "fPort": 85, **content}
    assert orjson.loads(payload) == expected


async def test_a_lorawan_device_without_a_port_cannot_be_commanded(empty_site: Site) -> None:
    """The error says what is needed; nothing is kept."""
    commands = Commands(empty_site.catalogue, FAULTS, empty_site.sink)
    plan = compile_plan({"device_id": "24e124713d350001", "commands": [{"name": "open"}]}, GROUP)
    with pytest.raises(BadMeasure, match="downlink"):
        await commands.send(plan, command_of(plan, "open"), 1)
    assert await commands.of_device(plan) == []


@pytest.mark.parametrize(
    "given",
    [5, {}, {"fPort": 0}, {"fPort": 224}, {"fPort": "85"}, {"fPort": True}, {"fPort": 1, "confirmed": 1}, {"x": 1}],
)
def test_a_setting_that_cannot_work_is_refused(given: object) -> None:
    """With the member's name."""
    with pytest.raises(BadMeasure, match=r"internal_attributes\.downlink"):
        downlink_of({"downlink": given})
