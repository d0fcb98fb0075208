"""What the README and the guides print works as printed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.drills.running import Up

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.drill, pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")]

ROOT = Path(__file__).parents[2]
TIMED_OUT = 28  # curl's exit code


def _commands(page: str) -> list[str]:
    """Give the commands of a page's bash blocks, in order."""
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    return [command for block in blocks for command in re.split(r"\n(?=curl )", block.strip())]


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Give the addresses of a demo city that nobody else uses."""
    with Up(tmp_path_factory.mktemp("readme") / "data", "--demo", "--pace", "1") as up:
        found = up.ready()
        deadline = time.monotonic() + 30
        while "Kawashimo subscribes" not in up.said():  # the groups of devices are there then
            assert time.monotonic() < deadline, up.said()
            time.sleep(0.1)
        yield found


def _run(command: str, addresses: dict[str, str]) -> str:
    """Run a printed command in a shell, at the addresses of this run; an answer of 400 or more fails.

    A stream (`curl -N`) goes on until somebody ends it: it is given three seconds to begin.
    """
    here = command.replace("http://127.0.0.1:1026", addresses["kawakami"])
    here = here.replace("http://127.0.0.1:1027", addresses["kawashimo"])
    stream = here.startswith("curl -N ")
    patience = 3 if stream else 20
    here = here.replace("curl ", f"curl --silent --show-error --fail-with-body --max-time {patience} ", 1)
    done = subprocess.run(["bash", "-c", here], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == (TIMED_OUT if stream else 0), f"{here}\n{done.stdout}{done.stderr}"
    assert not stream or "retry:" in done.stdout, done.stdout
    return done.stdout


def test_every_command_of_the_first_minute_works_as_printed(addresses: dict[str, str]) -> None:
    """In the order of the README: each command succeeds, and the reads show what the text says."""
    shown = {}
    for number, command in enumerate(_commands("README.md")):
        if "1027/ngsi-ld/v1/entities?type=Shelter" in command:
            _until_the_neighbour_knows(command, addresses)
        shown[number] = _run(command, addresses)
    reads = [json.loads(text) for text in shown.values() if text.startswith(("{", "["))]
    full, short, matching, downstream, gauge = (read for read in reads if read and read != {})
    assert full["occupied"] == {"type": "Property", "value": 12}
    assert short["occupied"] == 12
    assert [entity["occupied"] for entity in matching] == [205]
    assert [entity["occupied"] for entity in downstream] == [205]
    assert gauge["waterLevel"] == 1.93


def _until_the_neighbour_knows(command: str, addresses: dict[str, str]) -> None:
    """Wait as long as it takes a person to type the next command."""
    deadline = time.monotonic() + 10
    while json.loads(_run(command, addresses)) == []:
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("page", ["docs/integrator.md", "docs/developer.md", "docs/neighbour.md"])
def test_every_command_of_a_guide_works_as_printed(addresses: dict[str, str], page: str) -> None:
    """In the order of the page: each command succeeds."""
    commands = _commands(page)
    assert len(commands) > 2
    for command in commands:
        _run(command, addresses)
