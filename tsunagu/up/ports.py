"""Ports: listening sockets that the parent binds for its workers, and free ports for the servers it embeds."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

from tsunagu.up.problem import UpError

BACKLOG = 2048
_LISTEN = "0A"  # TCP_LISTEN as /proc/net/tcp writes it


def listening_socket(host: str, port: int, *, option: str = "--port") -> socket.socket:
    """Bind and listen on host:port (port 0: a free one).

    Workers share the socket by its descriptor, so that a worker can die and come back without a refused connection.
    Raises UpError, naming the command line's `option`, when the address cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise UpError(
            f"cannot listen on {host}: {error.strerror}; set TSUNAGU_HOST to an address of this machine"
        ) from None
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise UpError(_reason(error, host, port, option)) from None
    return listener


def _reason(error: OSError, host: str, port: int, option: str) -> str:
    if error.errno == errno.EADDRINUSE:
        holder = next((f" by process {pid}" for pid in _processes() if listens(pid, port)), "")
        return f"port {port} is in use{holder}: stop the program that listens there, or choose another with {option}"
    if error.errno == errno.EACCES:
        return f"port {port} needs more rights than this user has: choose one above 1023 with {option}"
    return f"cannot listen on {host}:{port} ({error.strerror}): set TSUNAGU_HOST to an address of this machine"


def free_port(*preferred: int) -> int:
    """Give the first of `preferred` that nobody listens on at 127.0.0.1, else one that the system chooses."""
    for port in (*preferred, 0):
        with socket.socket() as candidate:
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                candidate.bind(("127.0.0.1", port))
            except OSError:
                continue
            taken: int = candidate.getsockname()[1]
            return taken
    raise UpError("no free port on 127.0.0.1: stop some of the programs that listen there")


def listens(pid: int, port: int) -> bool:
    """Tell whether this process listens on the TCP port, from /proc (False for a process of another user)."""
    sockets = {f"socket:[{inode}]" for inode in _listening(port)}
    try:
        descriptors = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False
    return any(_target(descriptor) in sockets for descriptor in descriptors)


def _target(descriptor: Path) -> str:
    """Give what a descriptor stands for; nothing if it was closed meanwhile."""
    try:
        return str(descriptor.readlink())
    except OSError:
        return ""


def _listening(port: int) -> list[str]:
    """Give the inodes of the sockets that listen on the port (/proc/net/tcp: local address, state, inode)."""
    inodes = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            columns = row.split()
            if columns[3] == _LISTEN and int(columns[1].rpartition(":")[2], 16) == port:
                inodes.append(columns[9])
    return inodes


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
