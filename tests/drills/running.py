"""Runs the command `tsunagu up` as a person would, on free ports and in a folder of its own, for the drills."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PATIENCE = 120.0  # seconds to become ready, or to end, on a busy machine


class Up:
    """One run of `tsunagu up` in `folder`; its output is kept in a file, its addresses are read from addresses.json."""

    def __init__(self, folder: Path, *words: str, variables: Mapping[str, str] | None = None, port: str = "0") -> None:
        self.folder = folder
        self.out = folder.with_suffix(".out")
        command = [sys.executable, "-P", "-m", "tsunagu.cli", "up", "--port", port, "--data", str(folder), *words]
        with self.out.open("ab") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=variables)

    def __enter__(self) -> Self:
        """Give the run; it is ended when the block ends."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the run, if it has not ended."""
        if self.process.poll() is None:
            self.process.terminate()
        self.ended()

    def said(self) -> str:
        """Give everything that the run has said so far."""
        return self.out.read_text()

    def ready(self) -> dict[str, str]:
        """Wait until the run is ready; gives its addresses by name (a broker's title in lower case, mqtt)."""
        file = self.folder / "addresses.json"
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if file.exists() and (text := file.read_text()):
                found: dict[str, str] = json.loads(text)
                return found
            assert self.process.poll() is None, self.said()
            time.sleep(0.05)
        raise AssertionError(f"not ready within {PATIENCE} s: {self.said()}")

    def interrupt(self) -> int:
        """Press Ctrl-C and wait for the end; gives the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.ended()

    def ended(self) -> int:
        """Wait for the end; gives the exit code."""
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
