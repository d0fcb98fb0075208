"""Which brokers a run has, what their workers are told, and why one did not start."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

import pytest

from tsunagu.broker.settings import Settings
from tsunagu.up import brokers
from tsunagu.up.brokers import Surroundings
from tsunagu.up.child import Child, Program
from tsunagu.up.folder import DataFolder
from tsunagu.up.ports import free_port, listening_socket
from tsunagu.up.problem import UpError

AROUND = Surroundings("mongodb://127.0.0.1:27123/", "mqtt://127.0.0.1:1883", workers=1, shared_mqtt=True, demo=False)


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("MONGODB_URI", "MQTT_URL", "REDIS_URL", "TSUNAGU_NAME", "TSUNAGU_ALLOW_PRIVATE"):
        monkeypatch.delenv(variable, raising=False)


def _settings(jobs, index: int = 0) -> Settings:
    """Give the settings that a worker of these jobs will have."""
    environment = {key: value for key, value in jobs[index].program.environment.items() if value is not None}
    return Settings.from_environment(environment)


def _jobs(tmp_path: Path, around: Surroundings, *, demo: bool) -> dict[str, list[Settings]]:
    """Give the settings of every worker, by the title of its broker."""
    found = {}
    for broker in brokers.plan(demo=demo, port=0):
        with contextlib.closing(broker):
            jobs = brokers.jobs(broker, around, _folder(tmp_path))
            found[broker.title] = [_settings(jobs, index) for index in range(len(jobs))]
    return found


def _folder(tmp_path: Path) -> DataFolder:
    (tmp_path / "log").mkdir(exist_ok=True)
    return DataFolder(tmp_path)


def test_without_demo_there_is_one_broker_with_the_settings_of_the_environment(tmp_path: Path, monkeypatch) -> None:
    """One empty broker; names and limits are the operator's, outgoing requests may reach this machine."""
    monkeypatch.setenv("TSUNAGU_NAME", "harima")
    [(title, [settings])] = _jobs(tmp_path, AROUND, demo=False).items()
    assert title == "harima"
    assert settings.mongodb_uri.get_secret_value() == AROUND.mongodb_uri
    assert settings.allow_private == ("127.0.0.0/8", "::1", "localhost")
    assert not settings.multi_process


def test_the_demo_has_two_brokers_with_databases_of_their_own(tmp_path: Path) -> None:
    """Kawakami speaks MQTT, its neighbour Kawashimo does not; they share one MongoDB and no database."""
    found = _jobs(tmp_path, AROUND, demo=True)
    (kawakami,), (kawashimo,) = found["Kawakami"], found["Kawashimo"]
    assert (kawakami.database_prefix, kawashimo.database_prefix) == ("kawakami", "kawashimo")
    assert kawakami.mqtt_url is not None
    assert kawashimo.mqtt_url is None


@pytest.mark.parametrize(("shared", "speaking"), [(True, 3), (False, 1)])
def test_several_workers_have_client_ids_of_their_own(tmp_path: Path, shared: bool, speaking: int) -> None:
    """Workers share subscriptions where the MQTT broker can; where it cannot, one of them alone speaks MQTT."""
    around = Surroundings(AROUND.mongodb_uri, AROUND.mqtt_url, workers=3, shared_mqtt=shared, demo=False)
    [workers] = _jobs(tmp_path, around, demo=False).values()
    assert len({settings.mqtt_client_id for settings in workers}) == 3
    assert all(settings.multi_process for settings in workers)
    assert sum(settings.mqtt_url is not None for settings in workers) == speaking


def test_the_operators_own_list_of_private_targets_stays(tmp_path: Path, monkeypatch) -> None:
    """TSUNAGU_ALLOW_PRIVATE is taken as it is; only the demo adds this machine, which its neighbour is on."""
    monkeypatch.setenv("TSUNAGU_ALLOW_PRIVATE", "10.1.0.0/16")
    [[settings]] = _jobs(tmp_path, AROUND, demo=False).values()
    assert settings.allow_private == ("10.1.0.0/16",)
    demo = Surroundings(AROUND.mongodb_uri, AROUND.mqtt_url, workers=1, shared_mqtt=True, demo=True)
    assert _jobs(tmp_path, demo, demo=True)["Kawakami"][0].allow_private == (
        "10.1.0.0/16",
        "127.0.0.0/8",
        "::1",
        "localhost",
    )


def test_a_neighbours_port_in_use_frees_the_first() -> None:
    """When the second port of the demo is taken, the first is given back."""
    port = next(port for port in iter(free_port, 0) if free_port(port + 1) == port + 1)
    with listening_socket("127.0.0.1", port + 1), pytest.raises(UpError, match=f"port {port + 1} is in use"):
        brokers.plan(demo=True, port=port)
    for broker in brokers.plan(demo=True, port=port):
        broker.close()


async def test_why_a_worker_did_not_start(tmp_path: Path) -> None:
    """The last line of the traceback in the structured log is the reason."""
    record = {"event": "start_failed", "exception": "Traceback ...\n  File ...\nOSError: no space left"}
    script = f"print({json.dumps(json.dumps(record))}); print('Application startup failed. Exiting.')"
    child = Child(Program("Kawakami", (sys.executable, "-c", script), tmp_path / "log"))
    child.start()
    await child.wait()
    assert brokers.explain(child) == f"Kawakami did not start: OSError: no space left; see {tmp_path / 'log'}"
