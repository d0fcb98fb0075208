"""FIWARE's ports and its command line, ngsi-go, against a running broker."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.drills.running import Up
from tsunagu.up.ports import free_port, listening_socket

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.drill

HEADERS = {"Fiware-Service": "openiot", "Fiware-ServicePath": "/rivers"}
DEVICES = {
    "devices": [
        {
            "device_id": "g1",
            "entity_name": "urn:ngsi-ld:River:1",
            "entity_type": "River",
            "attributes": [{"object_id": "t", "name": "level", "type": "Number"}],
        }
    ]
}
MORE = {"attributes": [{"object_id": "t", "name": "level", "type": "Number"}, {"object_id": "b", "name": "bat"}]}

# method, path, body, status: what `ngsi services …` and `ngsi devices …` send and demand (internal/iotagent).
CALLS: list[tuple[str, str, Any, int]] = [
    (
        "POST",
        "/iot/services",
        {"services": [{"apikey": "k1", "entity_type": "Gauge", "resource": "/iot/json", "token": "t"}]},
        201,
    ),
    ("GET", "/iot/services?limit=1&offset=0&resource=%2Fiot%2Fjson", None, 200),
    ("PUT", "/iot/services?apikey=k1&resource=%2Fiot%2Fjson", {"entity_type": "River"}, 204),
    ("POST", "/iot/devices", DEVICES, 201),
    ("GET", "/iot/devices?detailed=on&entity=x&limit=10&offset=0&protocol=x", None, 200),
    ("GET", "/iot/devices/g1", None, 200),
    ("PUT", "/iot/devices/g1", MORE, 204),
    ("DELETE", "/iot/devices/g1", None, 204),
    ("DELETE", "/iot/services?apikey=k1&device=true&resource=%2Fiot%2Fjson", None, 204),
]


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Give the addresses of an empty broker with two workers and FIWARE's ports."""
    ports = {"TSUNAGU_NORTH_PORT": str(free_port()), "TSUNAGU_SOUTH_PORT": str(free_port())}
    with Up(
        tmp_path_factory.mktemp("ports") / "data", "--workers", "2", variables={**os.environ, "MQTT_URL": "", **ports}
    ) as up:
        yield up.ready()


def test_what_ngsi_go_sends_is_answered_as_it_demands(addresses: dict[str, str]) -> None:
    """The exact requests of its services and devices commands, in an order that makes sense."""
    with httpx.Client(base_url=addresses["north"], headers=HEADERS) as client:
        for method, path, body, status in CALLS:
            answer = client.request(method, path, json=body) if body else client.request(method, path)
            assert answer.status_code == status, (method, path, answer.text)


@pytest.mark.skipif(shutil.which("ngsi") is None, reason="needs the command ngsi (ngsi-go)")
def test_ngsi_go_itself_works(addresses: dict[str, str], tmp_path: Path) -> None:
    """Its commands end with 0 and show what they made."""

    def ngsi(*words: str) -> str:
        done = subprocess.run(
            ["ngsi", *words], env={**os.environ, "HOME": str(tmp_path)}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    iota = ("--host", "iota")
    where = ("--serverHost", addresses["north"], "--service", "openiot", "--path", "/cli")
    ngsi("server", "add", *iota, "--serverType", "iota", *where)
    ngsi("services", *iota, "create", "--apikey", "k2", "--type", "Gauge", "--resource", "/iot/json")
    ngsi("services", *iota, "update", "--apikey", "k2", "--resource", "/iot/json", "--type", "River")
    assert '"entity_type":"River"' in ngsi("services", *iota, "list")
    ngsi("devices", *iota, "create", "--data", '{"devices":[{"device_id":"g2","entity_type":"River"}]}')
    assert '"count":1' in ngsi("devices", *iota, "list")
    assert '"device_id":"g2"' in ngsi("devices", *iota, "get", "--id", "g2")
    ngsi("devices", *iota, "update", "--id", "g2", "--data", '{"timezone":"Asia/Tokyo"}')
    ngsi("devices", *iota, "delete", "--id", "g2")
    ngsi("services", *iota, "delete", "--apikey", "k2", "--resource", "/iot/json")
    assert '"count":0' in ngsi("services", *iota, "list")


def test_each_port_serves_its_own_alone(addresses: dict[str, str]) -> None:
    """Provisioning in the north, device messages in the south, everything on the main port."""
    north, south, main = addresses["north"], addresses["south"], addresses["tsunagu"]
    group = {"groups": [{"apikey": "k3", "resource": "/iot/json", "entity_type": "Gauge"}]}
    assert httpx.post(f"{north}/iot/groups", json=group, headers=HEADERS).status_code == 201
    assert httpx.get(f"{north}/iot/about").json()["port"] == north.rpartition(":")[2]
    assert httpx.post(f"{south}/iot/json?k=k3&i=g", json={"level": 2}).json() == {}
    assert httpx.post(f"{main}/iot/json?k=k3&i=g", json={"level": 3}).json() == {}
    assert httpx.get(f"{main}/iot/devices", headers=HEADERS).json()["count"] >= 1
    for url in (f"{south}/iot/devices", f"{south}/ngsi-ld/v1/types", f"{north}/ngsi-ld/v1/types", f"{north}/iot/json"):
        assert httpx.get(url, headers=HEADERS).status_code == 404, url


def test_the_log_level_holds_for_every_worker(addresses: dict[str, str]) -> None:
    """Changed through one of two workers, it is told by both."""
    north = addresses["north"]
    httpx.put(f"{north}/admin/log?level=ERROR").raise_for_status()
    for _ in range(200):
        levels = {httpx.get(f"{north}/admin/log").json()["level"] for _ in range(8)}
        if levels == {"ERROR"}:
            break
    assert levels == {"ERROR"}


def test_a_fiware_port_in_use_is_told_and_gone_without(tmp_path: Path) -> None:
    """The broker runs, and one line says which port is missing and who has it."""
    with listening_socket("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        variables = {**os.environ, "MQTT_URL": "", "TSUNAGU_NORTH_PORT": str(port), "TSUNAGU_SOUTH_PORT": "0"}
        with Up(tmp_path / "data", variables=variables) as up:
            found = up.ready()
            assert not {"north", "south"} & found.keys()
            (line,) = [line for line in up.said().splitlines() if "going on without" in line]
    assert f"FIWARE's north port: port {port} is in use by process {os.getpid()}" in line
    assert "TSUNAGU_NORTH_PORT" in line
