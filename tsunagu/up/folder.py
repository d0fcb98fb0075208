"""The data folder of one `tsunagu up`: who holds it, where the servers keep their data, which ports they had."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from tsunagu.up.problem import UpError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

LOG_LIMIT = 20 * 1024 * 1024  # bytes; a longer log is set aside at the next start


@dataclass(slots=True)
class DataFolder:
    """A data folder, held by one process as long as the context is open.

    Layout: `lock` (held by flock, contains the process id), `ports.json`, `addresses.json` (while running),
    `mongodb/`, `mqtt/`, `log/`.
    """

    path: Path
    _lock: int = -1

    def __enter__(self) -> Self:
        """Create the folder if absent and take its lock. Raises UpError when another run holds it."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name in ("mongodb", "mqtt", "log"):
                (self.path / name).mkdir(exist_ok=True)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise UpError(
                f"cannot use the data folder {self.path} ({error.strerror}): choose another with --data"
            ) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(self._lock, 20).decode(errors="replace").strip() or "unknown"
            os.close(self._lock)
            raise UpError(
                f"the data folder {self.path} is in use by process {holder}: stop that run (Ctrl-C in its terminal, or "
                f"kill {holder}), or choose another folder with --data"
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the folder back."""
        (self.path / "addresses.json").unlink(missing_ok=True)
        os.ftruncate(self._lock, 0)
        os.close(self._lock)

    @property
    def mongodb(self) -> Path:
        """Where the embedded mongod keeps its data."""
        return self.path / "mongodb"

    @property
    def mqtt(self) -> Path:
        """Where the MQTT broker keeps its configuration and its sessions."""
        return self.path / "mqtt"

    def log(self, name: str) -> Path:
        """Give the log file of the process `name`; one that grew over 20 MB is set aside as NAME.1.log."""
        file = self.path / "log" / f"{name}.log"
        if file.exists() and file.stat().st_size > LOG_LIMIT:
            file.replace(file.with_suffix(".1.log"))
        return file

    def port_of(self, server: str) -> int | None:
        """Give the port that `server` had in the last run, None before its first run."""
        try:
            ports = json.loads((self.path / "ports.json").read_text())
            port = ports[server]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return port if isinstance(port, int) and 0 < port < 65536 else None  # noqa: PLR2004 - the range of TCP ports

    def remember_ports(self, ports: Mapping[str, int | None]) -> None:
        """Keep the servers' ports for the next run: the same port spares a reconfiguration of the replica set."""
        kept = {server: port or self.port_of(server) for server, port in ports.items()}
        (self.path / "ports.json").write_text(json.dumps(kept) + "\n")

    def publish_addresses(self, addresses: Mapping[str, str]) -> None:
        """Write the URLs of this run to `addresses.json`, for scripts; the file goes when the run ends."""
        (self.path / "addresses.json").write_text(json.dumps(dict(addresses), indent=2) + "\n")
