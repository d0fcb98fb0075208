"""The command line: what is refused, and in which words."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tsunagu import __version__, cli

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["up", "--port", "65536"], "'65536' is not a port"),
        (["up", "--port", "http"], "'http' is not a port"),
        (["up", "--workers", "0"], "'0' is not a number of processes"),
        (["up", "--pace", "nan"], "'nan' is not a pace"),
        (["up", "--pace", "-1"], "'-1' is not a pace"),
        (["down"], "invalid choice"),
        ([], "required"),
    ],
)
def test_a_wrong_command_line_is_refused(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and a line that quotes what was wrong."""
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """--version prints the package's version."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"tsunagu {__version__}\n"


def _run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "tsunagu.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=variables)


@pytest.mark.parametrize("command", ["up", "serve"])
def test_a_malformed_setting_is_named(tmp_path: Path, command: str) -> None:
    """A setting of the wrong type ends the command with exit code 1 and one line that names the variable."""
    words = [command, "--data", str(tmp_path)] if command == "up" else [command]
    done = _run(*words, TSUNAGU_MAX_BODY="much")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("tsunagu: TSUNAGU_MAX_BODY: ")
    assert len(done.stderr.splitlines()) == 1


def test_the_demo_needs_a_port_and_the_next(tmp_path: Path) -> None:
    """The last port leaves none for the neighbour."""
    done = _run("up", "--demo", "--port", "65535", "--data", str(tmp_path))
    assert done.returncode == 1
    assert "--port" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_demo_cannot_do_without_mqtt(tmp_path: Path) -> None:
    """An empty MQTT_URL, no MQTT at all, is refused for the demo city."""
    done = _run("up", "--demo", "--port", "0", "--data", str(tmp_path), MQTT_URL="")
    assert done.returncode == 1
    assert "MQTT_URL" in done.stderr
