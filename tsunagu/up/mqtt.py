"""The MQTT broker that `tsunagu up` embeds: the machine's mosquitto if there is one, else amqtt from PyPI."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tsunagu.up.child import Program
from tsunagu.up.problem import UpError

if TYPE_CHECKING:
    from pathlib import Path

    from tsunagu.up.child import Child

USUAL_PORT = 1883
OWN = "install mosquitto (apt-get install mosquitto) or set MQTT_URL to an MQTT broker of your own (mqtt://host:1883)"
_PLACES = ("/usr/sbin", "/usr/local/sbin")  # where Debian puts mosquitto, outside a user's PATH

# Every device session and what waits for it stay in memory and are saved to the data folder every few seconds.
# What waits is not counted, which would drop messages unsaid: when memory is full, publishers are cut off.
_MOSQUITTO = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location {data}/
persistence_file mosquitto.db
autosave_interval 5
max_inflight_messages 4000
max_queued_messages 0
memory_limit 1073741824
log_dest stderr
log_type error
log_type warning
log_type notice
"""


@dataclass(frozen=True, slots=True)
class MqttBroker:
    """An embedded MQTT broker: its server (mosquitto or amqtt), port on 127.0.0.1, and what to run."""

    server: str
    port: int
    program: Program

    @property
    def url(self) -> str:
        """The address for clients on this machine."""
        return f"mqtt://127.0.0.1:{self.port}"

    async def ready(self, child: Child) -> None:
        """Wait until the broker listens."""
        await child.until_listening(self.port)


def choose(data: Path, port: int, log: Path) -> MqttBroker:
    """Give the MQTT broker of this machine, with `data` as the folder for its configuration and sessions.

    Raises UpError, saying what to set, where there is none.
    """
    binary = find_mosquitto()
    if binary is not None:
        words = (binary, "-c", str(_write_configuration(data, port)))
        return MqttBroker("mosquitto", port, Program("mosquitto", words, log, grace=10))
    if importlib.util.find_spec("amqtt") is None:
        raise UpError(f"there is no MQTT broker on this machine: {OWN}")
    python = (sys.executable, "-P", "-m", "tsunagu.up.amqtt_broker", str(port))
    return MqttBroker("amqtt", port, Program("amqtt", python, log, grace=10))


def find_mosquitto() -> str | None:
    """Find mosquitto in PATH or where Debian puts it; TSUNAGU_UP_MOSQUITTO names another one, empty: none."""
    named = os.environ.get("TSUNAGU_UP_MOSQUITTO")
    if named is not None:
        return named or None
    return shutil.which("mosquitto") or shutil.which("mosquitto", path=os.pathsep.join(_PLACES))


def _write_configuration(data: Path, port: int) -> Path:
    text = _MOSQUITTO.format(port=port, data=data.resolve())
    if os.geteuid() == 0:
        text += "user root\n"  # as root it would become the user mosquitto, who may not write here
    file = data / "mosquitto.conf"
    file.write_text(text)
    return file


def explain(child: Child) -> str:
    """Say in one line why the MQTT broker ended before it was ready, and what to do."""
    return f"{child.program.name} did not start: {child.last_words()}; see {child.program.log}, {OWN}"
