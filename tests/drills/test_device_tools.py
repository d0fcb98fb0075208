"""`tsunagu devices …` against a running broker, as an integrator types it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.drills.running import Up
from tsunagu.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.drill

FIWARE = {"Fiware-Service": "", "Fiware-ServicePath": "/"}
CSV = "機器ID,名称,緯度,経度\nF1,国包,34.75,134.84\nF2,Bridge,200,134.84\n"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a broker that has a closed group of gauges."""
    ports = {"MQTT_URL": "", "TSUNAGU_NORTH_PORT": "0", "TSUNAGU_SOUTH_PORT": "0"}
    with Up(tmp_path_factory.mktemp("tools") / "data", variables={**os.environ, **ports}) as up:
        found = up.ready()["tsunagu"]
        health = {"health": {"interval": 600}}
        group = {"apikey": "k", "resource": "/iot/json", "entity_type": "Gauge", "autoprovision": False}
        group |= {"transport": "HTTP", "commands": [{"name": "turn"}], "internal_attributes": health}
        httpx.post(f"{found}/iot/groups", json={"groups": [group]}, headers=FIWARE).raise_for_status()
        yield found


@pytest.fixture
def tool(url: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Give a way to run `tsunagu devices` and get what it prints; it must end with 0."""

    def run(action: str, *words: str, code: int = 0) -> str:
        assert main(["devices", action, "--url", url, *words]) == code
        out = capsys.readouterr()
        return out.out if code == 0 else out.err

    return run


def test_an_integrators_day(tool: Callable[..., str], url: str, tmp_path: Path) -> None:
    """From a CSV by a stranger's first message to health, commands, credentials, and back."""
    file = tmp_path / "gauges.csv"
    file.write_bytes(CSV.encode("cp932"))
    assert "would be: 1 created, 0 changed, 0 unchanged, 1 rejected" in tool(
        "import", str(file), "--apikey", "k", "--dry-run"
    )
    said = tool("import", str(file), "--apikey", "k")
    assert "row 3: " in said
    undo = said.split("devices undo ")[1].split()[0]
    assert "F1" in tool("list")
    assert "urn:ngsi-ld:Gauge:F1" in tool("show", "F1")

    message = tmp_path / "message.json"
    message.write_text('{"level": 2.5}')
    assert "level" in tool("preview", str(message), "--path", "/iot/json?k=k&i=F1")
    assert httpx.post(f"{url}/iot/json?k=k&i=F1", json={"level": 2.5}).status_code == 200
    assert "online" in tool("health")
    assert json.loads(tool("health", "F1", "--json"))["deviceState"] == "online"

    assert httpx.post(f"{url}/iot/json?k=k&i=stranger", json={"level": 1}).status_code == 404
    assert "DEVICE_NOT_FOUND" in tool("quarantine")
    assert "stranger" in tool("candidates")
    assert "1 admitted, 1 of their messages taken, 0 not" in tool("admit", "stranger", "--apikey", "k")
    assert "the quarantine is empty" in tool("quarantine")
    assert "0 taken, 0 still set aside" in tool("replay")

    assert "turn is queued" in tool("send", "F1", "turn", "left")
    assert "queued" in tool("commands", "F1")

    assert tool("credentials", "--weak").count("weak") == 2
    assert "tsd_" in tool("rotate", "F1")
    assert "tsd_" in tool("rotate", "--weak", "--format", "csv")
    assert "sharedApikey" not in tool("credentials")
    assert "<svg" in tool("labels")
    assert "milesight-em500-swl" in tool("models")
    assert tool("check-model", "dragino-ldds75").count("ok ") == 2
    model = json.loads(tool("export-model", "dragino-ldds75"))
    own = tmp_path / "model.json"
    own.write_text(json.dumps({**model, "id": "kawakami-ldds75", "version": "1.0.1"}))
    assert "kawakami-ldds75@1.0.1 is there; 0 groups and devices follow it" in tool("import-model", str(own))
    assert "no connections" in tool("connections")
    assert "no routes" in tool("routes")
    assert "1 removed, 0 as before" in tool("undo", undo)
    assert [one["device_id"] for one in json.loads(tool("list", "--json"))] == ["stranger"]


def test_what_cannot_be_done_is_said_in_a_line(tool: Callable[..., str], tmp_path: Path) -> None:
    """With exit code 1 and no traceback."""
    assert "No device was found" in tool("show", "nobody", code=1)
    assert "nothing.csv" in tool("import", str(tmp_path / "nothing.csv"), code=1)
    assert "--topic or --path" in tool("preview", "-", code=1)
