"""Ports: what is said when one is taken, and who listens on it."""

from __future__ import annotations

import os
import socket

import pytest

from tsunagu.up.ports import free_port, listening_socket, listens
from tsunagu.up.problem import UpError


def test_a_port_in_use_is_reported_with_its_holder() -> None:
    """The message names the port, the process that listens there, and the option that chooses another."""
    with listening_socket("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(UpError, match=rf"port {port} is in use by process {os.getpid()}: .*--port"):
            listening_socket("127.0.0.1", port)


def test_an_address_of_another_machine_is_refused() -> None:
    """The message names the variable that holds the address."""
    with pytest.raises(UpError, match=r"cannot listen on 192\.0\.2\.1.*TSUNAGU_HOST"):
        listening_socket("192.0.2.1", 0)


def test_a_name_that_is_no_address_is_refused() -> None:
    """A host that nobody can resolve is reported, not raised as another error."""
    with pytest.raises(UpError, match=r"cannot listen on no host.*TSUNAGU_HOST"):
        listening_socket("no host", 0)


def test_the_preferred_port_is_taken_when_free() -> None:
    """A free preferred port is given; one that is listened on is passed over."""
    with listening_socket("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert free_port(port) != port
    assert free_port(port) == port


def test_who_listens_is_known_exactly() -> None:
    """A process listens on the ports it bound, no other process does, and a bound socket alone is no listener."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        assert not listens(os.getpid(), port)
        bound.listen()
        assert listens(os.getpid(), port)
        assert not listens(os.getppid(), port)
