"""`tsunagu up` as a person meets it: starting, stopping, starting again, and everything that can be in the way."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.conftest import run_aside
from tests.drills.harness import children_of
from tests.drills.running import Up
from tsunagu.up import mongod
from tsunagu.up.child import Child
from tsunagu.up.demo.doors import MqttDoor
from tsunagu.up.ports import free_port, listening_socket

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.drill

GAUGE = "urn:ngsi-ld:Gauge:1"
ENTITY = {"id": GAUGE, "type": "Gauge", "level": {"type": "Property", "value": 2.14}}


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "not within the time"
        time.sleep(0.05)


def _get(url: str) -> httpx.Response | None:
    try:
        return httpx.get(f"{url}/ngsi-ld/v1/entities/{GAUGE}", timeout=5)
    except httpx.TransportError:
        return None


def _answers(url: str) -> bool:
    answer = _get(url)
    return answer is not None and answer.status_code == 200


def _post(url: str) -> None:
    answer = httpx.post(f"{url}/ngsi-ld/v1/entities", json=ENTITY, timeout=10)
    assert answer.status_code == 201, answer.text


def _refused(up: Up) -> str:
    """Wait for the end of a run that could not start; gives its one line."""
    assert up.ended() == 1
    lines = [line for line in up.said().splitlines() if not line.startswith("Starting")]
    assert len(lines) == 1, lines
    return lines[0]


def test_a_second_start_finds_the_data(tmp_path: Path) -> None:
    """Ctrl-C ends everything it started, with exit code 0; the next start has the entity."""
    with Up(tmp_path / "data") as up:
        url = up.ready()["tsunagu"]
        _post(url)
        children = children_of(up.process.pid)
        assert len(children) == 3, children  # mongod, the MQTT broker, one worker
        assert up.interrupt() == 0
        assert not [pid for pid in children if _alive(pid)]
    with Up(tmp_path / "data") as up:
        assert _answers(up.ready()["tsunagu"])


def test_sigterm_ends_it_as_ctrl_c_does(tmp_path: Path) -> None:
    """A service manager's SIGTERM is a clean end too."""
    with Up(tmp_path / "data") as up:
        up.ready()
        up.process.terminate()
        assert up.ended() == 0
        assert "Stopped." in up.said()


def test_two_run_side_by_side(tmp_path: Path) -> None:
    """Two runs with folders of their own share nothing, and ending one leaves the other."""
    with Up(tmp_path / "a") as one, Up(tmp_path / "b") as two:
        first, second = one.ready(), two.ready()
        assert first["mqtt"] != second["mqtt"]
        _post(first["tsunagu"])
        answer = _get(second["tsunagu"])
        assert answer is not None
        assert answer.status_code == 404
        assert one.interrupt() == 0
        _post(second["tsunagu"])


def test_kill_9_leaves_nothing_behind_and_loses_nothing(tmp_path: Path) -> None:
    """When the parent is killed, its children end by themselves, and the next start has the entity."""
    with Up(tmp_path / "data") as up:
        _post(up.ready()["tsunagu"])
        children = children_of(up.process.pid)
        up.process.kill()
        up.ended()
        _until(lambda: not [pid for pid in children if _alive(pid)])
    (tmp_path / "data" / "addresses.json").unlink()
    with Up(tmp_path / "data") as up:
        assert _answers(up.ready()["tsunagu"])


@pytest.mark.parametrize("after", [0.1, 0.5, 1.0, 2.0])
def test_ctrl_c_during_the_start_leaves_nothing(tmp_path: Path, after: float) -> None:
    """Whatever was already started when Ctrl-C came has ended when the command ends; there is no traceback."""
    with Up(tmp_path / "data") as up:
        time.sleep(after)
        begun = bool(up.said())  # before that Python itself starts, and has its own way with Ctrl-C
        children = children_of(up.process.pid)
        up.process.send_signal(signal.SIGINT)
        code = up.ended()
        assert not [pid for pid in children if _alive(pid)]
        assert not begun or (code in (0, 130, -signal.SIGINT) and "Traceback" not in up.said()), up.said()


def test_a_port_in_use(tmp_path: Path) -> None:
    """The line names the port, who has it, and the option that chooses another; nothing was started."""
    with listening_socket("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        with Up(tmp_path / "data", port=port) as up:
            line = _refused(up)
    assert line.startswith(f"tsunagu: port {port} is in use by process {os.getpid()}")
    assert not (tmp_path / "data" / "log" / "mongod.log").exists()


def test_a_data_folder_in_use(tmp_path: Path) -> None:
    """The line names the folder and the process that holds it, and the first run goes on."""
    with Up(tmp_path / "data") as first:
        url = first.ready()["tsunagu"]
        with Up(tmp_path / "data") as second:
            assert f"is in use by process {first.process.pid}" in _refused_among(second, first)
        _post(url)


def _refused_among(second: Up, first: Up) -> str:
    assert second.ended() == 1
    return next(line for line in first.said().splitlines() if line.startswith("tsunagu: "))


def test_a_half_dead_earlier_run(tmp_path: Path) -> None:
    """A mongod that lives on the data folder, though its parent does not: one line says which process to end."""
    (tmp_path / "data" / "mongodb").mkdir(parents=True)
    server = mongod.Mongod(mongod.find_binary(), tmp_path / "data" / "mongodb", free_port(), tmp_path / "log")
    child = Child(server.program)
    child.start()
    try:
        run_aside(server.ready(child))
        with Up(tmp_path / "data") as up:
            assert f"a mongod of an earlier run (process {child.pid})" in _refused(up)
    finally:
        run_aside(child.stop())


@pytest.mark.parametrize("words", ["mongod --dbpath", "mosquitto", "tsunagu.cli serve"])
def test_what_dies_is_started_again(tmp_path: Path, words: str) -> None:
    """Kill -9 of mongod, the MQTT broker or a worker: another takes its place and the entity is still there."""
    with Up(tmp_path / "data") as up:
        addresses = up.ready()
        _post(addresses["tsunagu"])
        victim = next(pid for pid, line in children_of(up.process.pid).items() if words in line)
        os.kill(victim, signal.SIGKILL)
        _until(lambda: "is back" in up.said())
        _until(lambda: _answers(addresses["tsunagu"]))
        assert len(children_of(up.process.pid)) == 3
        assert "ended (by SIGKILL); starting it again in 0.5 s" in up.said()
        assert httpx.delete(f"{addresses['tsunagu']}/ngsi-ld/v1/entities/{GAUGE}", timeout=30).status_code == 204


def test_a_worker_that_dies_is_not_missed_while_another_serves(tmp_path: Path) -> None:
    """With two workers, kill -9 of one: every request goes on being answered."""
    with Up(tmp_path / "data", "--workers", "2") as up:
        url = up.ready()["tsunagu"]
        _post(url)
        workers = [pid for pid, line in children_of(up.process.pid).items() if "serve" in line]
        assert len(workers) == 2
        _until(lambda: len([pid for pid in workers if _alive(pid)]) == 2)
        os.kill(workers[0], signal.SIGKILL)
        for _ in range(20):
            assert httpx.get(f"{url}/ngsi-ld/v1/entities/{GAUGE}", timeout=10).status_code == 200
        _until(lambda: len([1 for line in children_of(up.process.pid).values() if "serve" in line]) == 2)


def test_servers_of_the_operators_own(tmp_path: Path, mongo_uri: str, mqtt_url: str) -> None:
    """With MONGODB_URI and MQTT_URL set nothing is embedded, and they are alive after Ctrl-C."""
    variables = os.environ | {"MONGODB_URI": mongo_uri, "MQTT_URL": mqtt_url, "TSUNAGU_DATABASE_PREFIX": "drill_own"}
    with Up(tmp_path / "data", variables=variables) as up:
        url = up.ready()["tsunagu"]
        assert ["serve" in line for line in children_of(up.process.pid).values()] == [True]
        _post(url)
        assert httpx.delete(f"{url}/ngsi-ld/v1/entities/{GAUGE}", timeout=10).status_code == 204
        assert up.interrupt() == 0
    run_aside(mongod.check_own(mongo_uri, "MONGODB_URI"))


def test_a_mongodb_that_is_not_there(tmp_path: Path) -> None:
    """An unreachable MONGODB_URI: one line that names the variable and no password."""
    variables = os.environ | {"MONGODB_URI": f"mongodb://clerk:secret@127.0.0.1:{free_port()}/"}
    with Up(tmp_path / "data", variables=variables) as up:
        line = _refused(up)
    assert line.startswith("tsunagu: MONGODB_URI: MongoDB does not answer")
    assert "secret" not in line


def test_without_mosquitto_amqtt_stands_in(tmp_path: Path) -> None:
    """On a machine without mosquitto a device's message over MQTT becomes an entity all the same."""
    variables = os.environ | {"TSUNAGU_UP_MOSQUITTO": ""}
    with Up(tmp_path / "data", variables=variables) as up:
        addresses = up.ready()
        assert "amqtt stands in" in up.said()
        assert any("amqtt_broker" in line for line in children_of(up.process.pid).values())
        headers = {"Fiware-Service": "", "Fiware-ServicePath": "/"}
        group = {"apikey": "drill", "resource": "/iot/json", "entity_type": "Gauge"}
        device = {"device_id": "1", "apikey": "drill", "entity_name": GAUGE, "entity_type": "Gauge"}
        for name, body in (("groups", group), ("devices", device)):
            answer = httpx.post(f"{addresses['tsunagu']}/iot/{name}", json={name: [body]}, headers=headers, timeout=10)
            assert answer.status_code == 201, answer.text

        async def send() -> None:
            async with MqttDoor(addresses["mqtt"]) as door:
                await door.send("/json/drill/1/attrs", b'{"level": 2.14}')

        run_aside(send())
        _until(lambda: _answers(addresses["tsunagu"]))
