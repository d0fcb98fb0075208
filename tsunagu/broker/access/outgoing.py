"""The guard that every outgoing request passes: no private target unless the operator lists it.

Without it whoever may create a subscription could have the broker reach into the city's own network (SSRF). The guard
works on addresses, not names: it is asked before a URL is accepted (`check`) and again, with the address really used,
when a connection is made (`permits`), so that a name cannot change its address in between.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tsunagu.broker.errors import BadRequestData
from tsunagu.schemas.secrets import masked_uri

if TYPE_CHECKING:
    from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
NOT_GLOBAL = ipaddress.IPv4Network("192.88.99.0/24")  # 6to4 relay anycast, withdrawn (RFC 7526)


def is_public(address: Address) -> bool:
    """Tell whether an address is one of the public Internet; an IPv4 address inside an IPv6 one counts as itself."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None:
            return False
    elif address in NOT_GLOBAL:
        return False
    return address.is_global and not address.is_multicast


def literal(host: str) -> Address | None:
    """Return the address that a host is when it is written as one, None for a name.

    Forms such as 127.1, 0x7f000001 and 2130706433 count as addresses, because the system's resolver takes them so.
    """
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host)) if host[:1].isdigit() else None
    except OSError:
        return None


class OutgoingGuard:
    """Decides which hosts the broker may send requests to.

    `allow` holds exceptions: host names ("kawashimo.example"), addresses ("10.0.0.5") and networks ("10.0.0.0/8");
    "*" allows everything.
    """

    def __init__(self, allow: Iterable[str] = ()) -> None:
        self._all = False
        self._names: set[str] = set()
        self._networks: list[Network] = []
        for entry in allow:
            if entry == "*":
                self._all = True
                continue
            try:
                self._networks.append(ipaddress.ip_network(entry, strict=False))
            except ValueError:
                self._names.add(entry.lower().rstrip("."))

    def permits(self, host: str, address: str) -> bool:
        """Tell whether a connection to `address` is allowed; `host` is the name that led to it, or the same."""
        if self._all or host.lower().rstrip(".") in self._names:
            return True
        found = literal(address)
        if found is None:
            return False
        return is_public(found) or any(
            found in network for network in self._networks if network.version == found.version
        )

    async def check(self, url: str) -> None:
        """Raise BadRequestData if the URL leads to a private address. A name that cannot be resolved now passes."""
        try:
            host = urlsplit(url).hostname
        except ValueError:
            host = None
        if not host:
            raise BadRequestData(f"{masked_uri(url)[:200]!r} names no host; a URL such as https://host/path is needed")
        for address in await self._addresses(host):
            if not self.permits(host, address):
                raise BadRequestData(
                    f"{masked_uri(url)[:200]} leads to the private address {address}; use a public address, "
                    "or have the operator list the host in TSUNAGU_ALLOW_PRIVATE"
                )

    async def _addresses(self, host: str) -> list[str]:
        if self._all or host.lower().rstrip(".") in self._names:
            return []
        address = literal(host)
        if address is not None:
            return [str(address)]
        try:
            async with asyncio.timeout(2):
                found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError, TimeoutError):
            return []
        return sorted({str(row[4][0]) for row in found})
