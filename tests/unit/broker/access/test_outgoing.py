"""The guard of outgoing requests: what is private, however it is written, is not reached unless listed."""

from __future__ import annotations

import ipaddress

import pytest

from tsunagu.broker.access.outgoing import OutgoingGuard, is_public
from tsunagu.broker.errors import BadRequestData

PRIVATE = [
    "127.0.0.1",
    "127.1.2.3",
    "10.0.0.1",
    "172.16.5.5",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fd00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "2002:7f00:1::",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses(address: str) -> None:
    """Loopback, private, link-local, shared, multicast and mapped addresses are not public."""
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    """Addresses of the Internet are public, also inside IPv6."""
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x",
        "http://127.1/x",
        "http://2130706433/x",
        "http://0x7f000001/x",
        "http://0177.0.0.1/x",
        "http://[::1]:80/x",
        "http://[fe80::1%25eth0]/x",
        "http://user:pass@127.0.0.1/x",
        "http://localhost/x",
        "mqtt://localhost:1883/topic",
        "https://169.254.169.254/latest/meta-data",
    ],
)
async def test_private_urls_are_refused(url: str) -> None:
    """A URL to a private host is BadRequestData that says what to do, in whatever notation the address stands."""
    with pytest.raises(BadRequestData, match="TSUNAGU_ALLOW_PRIVATE"):
        await OutgoingGuard().check(url)


@pytest.mark.parametrize("url", ["http://", "http:///path", "http://[::1/x", "nothing"])
async def test_a_url_without_host_is_refused(url: str) -> None:
    """A URL that names no host is BadRequestData."""
    with pytest.raises(BadRequestData, match="names no host"):
        await OutgoingGuard().check(url)


@pytest.mark.parametrize(
    ("allow", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1/x"),
        ("127.0.0.0/8", "http://127.9.9.9/x"),
        ("localhost", "http://localhost/x"),
        ("LOCALHOST", "http://localhost./x"),
        ("::1", "http://[::1]/x"),
        ("*", "http://10.0.0.1/x"),
    ],
)
async def test_what_the_operator_lists_is_allowed(allow: str, url: str) -> None:
    """Names, addresses and networks on the list are reached."""
    await OutgoingGuard((allow,)).check(url)


async def test_a_listed_name_does_not_allow_its_address() -> None:
    """A name on the list allows this name, not the address under another one."""
    guard = OutgoingGuard(("localhost",))
    with pytest.raises(BadRequestData):
        await guard.check("http://127.0.0.1/x")


async def test_public_and_unknown_hosts_pass() -> None:
    """A public address passes; so does a name that cannot be resolved now, since no connection can come of it."""
    await OutgoingGuard().check("http://8.8.8.8/x")
    await OutgoingGuard().check("http://no-such-host.invalid/x")


def test_the_address_of_a_connection_is_asked_again() -> None:
    """A name that leads to a private address at the time of the connection is refused, whatever it led to before."""
    guard = OutgoingGuard(("10.1.0.0/16",))
    assert guard.permits("partner.example", "8.8.8.8")
    assert not guard.permits("partner.example", "10.0.0.1")
    assert guard.permits("partner.example", "10.1.2.3")
    assert not guard.permits("partner.example", "no address")
