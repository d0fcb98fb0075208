"""The doors to MQTT brokers of this process: the operator's own, and those that tenants connect to."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tsunagu.adapters.connections.manager import Connections, Worker
from tsunagu.adapters.inbound.mqtt import MqttDoor, Network
from tsunagu.adapters.inbound.packets import V5, V311
from tsunagu.broker.access.tls import Certificates, client_context
from tsunagu.broker.errors import BadRequestData

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from tsunagu.adapters.catalogue import Catalogue, Entry, Faults
    from tsunagu.adapters.pipeline import Pipeline
    from tsunagu.broker.access.outgoing import OutgoingGuard
    from tsunagu.broker.settings import Settings
    from tsunagu.broker.storage.leases import Leases

VERSIONS = {"3.1.1": V311, "5": V5}


class GuardedNetwork(Network):
    """Reaches no private address but those that the operator allows; shows and trusts a connection's certificates."""

    def __init__(self, guard: OutgoingGuard, certificates: Certificates | None) -> None:
        self._guard = guard
        self._certificates = certificates

    async def address(self, host: str, port: int) -> str:
        """Return an allowed address of the host. Raises OSError."""
        rows = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for row in rows:
            address = str(row[4][0])
            if self._guard.permits(host, address):
                return address
        raise OSError(f"{host} leads to a private address; the operator may list it in TSUNAGU_ALLOW_PRIVATE")

    async def context(self) -> ssl.SSLContext:
        """Return how TLS is spoken. Raises ValueError."""
        return await asyncio.to_thread(client_context, self._certificates or Certificates())


def certificates_in(entry: Entry) -> Certificates | None:
    """Return a connection's certificates, None if it has none."""
    tls = entry.get("tls")
    return Certificates(tls.get("ca"), tls.get("certificate"), tls.get("key")) if tls else None


def main_door(settings: Settings, pipeline: Pipeline) -> MqttDoor | None:
    """Return the door to the operator's own MQTT broker, None if the settings name none."""
    if settings.mqtt_url is None:
        return None
    return MqttDoor(
        pipeline,
        url=settings.mqtt_url.get_secret_value(),
        client_id=settings.mqtt_client_id or f"tsunagu-{settings.name}",
        share=f"tsunagu-{settings.name}" if settings.multi_process else None,
        max_body=settings.max_body,
    )


def connections(
    settings: Settings,
    pipeline: Pipeline,
    *,
    catalogue: Catalogue,
    faults: Faults,
    guard: OutgoingGuard,
    leases: Leases,
    writer: str,
    main: MqttDoor | None,
) -> Connections:
    """Return what keeps the doors of tenants' connections."""

    def make(entry: Entry, client_id: str, share: str | None, tell: Callable[[bool, str], None]) -> MqttDoor:
        return MqttDoor(
            pipeline,
            url=entry["url"],
            client_id=client_id,
            share=share,
            max_body=settings.max_body,
            version=VERSIONS.get(entry.get("version", "auto")),
            network=GuardedNetwork(guard, certificates_in(entry)),
            on_state=tell,
        )

    async def hold(role: str, seconds: float) -> bool:
        return await leases.hold(role, writer, seconds) == writer

    worker = Worker(settings.mqtt_client_id or settings.name, settings.name, settings.multi_process)
    return Connections(catalogue, faults, worker, make=make, hold=hold, main=main)


async def refusal(guard: OutgoingGuard, entry: dict[str, Any]) -> str | None:
    """Return why a connection cannot be: a private address, certificates that are none; None if it can."""
    try:
        await guard.check(entry["url"].replace(urlsplit(entry["url"]).netloc.rpartition("@")[0] + "@", "", 1))
        certificates = certificates_in(entry)
        if certificates is not None:
            await asyncio.to_thread(client_context, certificates)
    except BadRequestData as error:
        return f"url: {error.detail}"
    except ValueError as error:
        return f"tls: {error}"
    return None
