"""What deploy/ ships parses, hangs together, and names only settings that exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tsunagu.broker.settings import PLAIN, PREFIX, Settings

DEPLOY = Path(__file__).parents[3] / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
KUBERNETES: list[dict[str, Any]] = list(yaml.safe_load_all((DEPLOY / "kubernetes" / "tsunagu.yaml").read_text()))
SETTINGS = {PREFIX + field.upper() for field in Settings.model_fields} | set(PLAIN)
INTERPOLATED = re.compile(r"(?<!\$)\$\{(\w+)(:[-?][^}]*)?\}")


def _of_kind(kind: str) -> dict[str, Any]:
    found = [document for document in KUBERNETES if document["kind"] == kind]
    assert len(found) == 1
    return found[0]


def test_two_brokers_and_their_servers_are_there() -> None:
    """The compose file runs MongoDB 8, Redis, mosquitto and two brokers with databases of their own."""
    services = COMPOSE["services"]
    assert services["mongodb"]["image"].startswith("mongo:8")
    assert {"redis", "mosquitto", "kawakami", "kawashimo"} <= services.keys()
    prefixes = {services[name]["environment"]["TSUNAGU_DATABASE_PREFIX"] for name in ("kawakami", "kawashimo")}
    assert len(prefixes) == 2


@pytest.mark.parametrize("name", [name for name in COMPOSE["services"] if name != "mongodb-init"])
def test_every_lasting_service_has_a_health_check(name: str) -> None:
    """A service that others wait for says whether it is healthy, and comes back after a crash."""
    assert COMPOSE["services"][name]["healthcheck"]["test"]
    assert COMPOSE["services"][name]["restart"] == "unless-stopped"


def test_dependencies_and_volumes_exist() -> None:
    """What a service waits for is a service, and what it mounts is a declared volume or a folder of deploy/."""
    for service in COMPOSE["services"].values():
        assert service.get("depends_on", {}).keys() <= COMPOSE["services"].keys()
        for mount in service.get("volumes", ()):
            source = mount.split(":")[0]
            assert (DEPLOY / source).is_dir() if source.startswith(".") else source in COMPOSE["volumes"]


def test_secrets_come_from_the_environment_and_are_required() -> None:
    """Every variable is in env.example; a password or key has no default: compose refuses to start without it."""
    examples = [line for line in (DEPLOY / "env.example").read_text().splitlines() if line and line[0] != "#"]
    used = INTERPOLATED.findall((DEPLOY / "compose.yaml").read_text())
    assert {name for name, _ in used} == {line.partition("=")[0] for line in examples}
    for name, default in used:
        assert default.startswith(":?" if name.endswith(("PASSWORD", "KEY")) else ":-"), name


def test_ports_stay_on_this_machine_unless_the_operator_says_so() -> None:
    """Every published port is bound to BIND, which is 127.0.0.1 by default."""
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("${BIND:-127.0.0.1}:") for port in ports)


def test_variables_of_the_brokers_are_settings() -> None:
    """No manifest sets a variable that the broker does not read."""
    named = [set(COMPOSE["services"][name]["environment"]) for name in ("kawakami", "kawashimo")]
    container = _of_kind("StatefulSet")["spec"]["template"]["spec"]["containers"][0]
    named += [set(_of_kind("ConfigMap")["data"]), set(_of_kind("Secret")["stringData"])]
    named.append({variable["name"] for variable in container["env"]})
    for names in named:
        assert names <= SETTINGS


def test_settings_of_the_manifests_are_accepted() -> None:
    """The values that the Kubernetes example sets are valid settings."""
    settings = Settings.from_environment(_of_kind("ConfigMap")["data"] | _of_kind("Secret")["stringData"])
    assert (settings.name, settings.multi_process) == ("kawakami", True)


def test_kubernetes_selectors_match_the_pods() -> None:
    """Service, StatefulSet and disruption budget select the pods by the labels that these carry."""
    spec = _of_kind("StatefulSet")["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"] == labels
    assert _of_kind("Service")["spec"]["selector"] == labels
    assert _of_kind("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels


@pytest.mark.parametrize("script", sorted(path.relative_to(DEPLOY).as_posix() for path in DEPLOY.rglob("*.sh")))
def test_scripts_parse(script: str) -> None:
    """The shell that a start script names can read it."""
    path = DEPLOY / script
    shell = "bash" if path.read_text().startswith("#!/usr/bin/env bash") else "sh"
    assert subprocess.run([shell, "-n", str(path)], check=False, capture_output=True).stderr == b""


def test_the_image_runs_without_rights_and_installs_the_pinned_versions() -> None:
    """The Dockerfile ends as a user other than root, pins by constraints.txt and starts one worker."""
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    assert "USER 10001" in lines
    assert any("-c constraints.txt" in line for line in lines)
    assert lines[-1] == 'CMD ["tsunagu", "serve"]'
