"""Where this process runs, and whether another one at the same place still does.

A process that was killed and started again on the same machine need not wait for the lease of its former self.
"""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

from tsunagu.broker.storage.leases import Home

START_TIME = 19  # field 22 of /proc/<pid>/stat, counted from after the command's name


def _machine() -> str:
    """Return a name of this machine since its start and of this process namespace; a unique one if unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return uuid4().hex
    return f"{boot}:{namespace}"


def _started(pid: int) -> int:
    """Return when a process was started, in ticks of its machine; 0 if it is not there."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    fields = text.rpartition(")")[2].split()
    return 0 if fields[0] in {"Z", "X"} else int(fields[START_TIME])


MACHINE = _machine()


def here() -> Home:
    """Return where this process runs."""
    pid = os.getpid()
    return Home(MACHINE, pid, _started(pid))


def known_dead(home: Home) -> bool:
    """Tell whether a process is certainly dead: it ran where this one can see, and is not there any more."""
    return home.machine == MACHINE and _started(home.pid) != home.started
