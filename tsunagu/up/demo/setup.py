"""What the demo city needs before its devices speak: groups and devices at Kawakami, Kawashimo's subscription there.

Everything goes over HTTP, as an integrator and a neighbour would do it, and may be done again on every start.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

FIWARE = {"Fiware-Service": "", "Fiware-ServicePath": "/"}  # the default tenant
SUBSCRIPTIONS = "/ngsi-ld/v1/subscriptions"


class SetupError(Exception):
    """A broker refused what the demo city needs; the text is its answer."""


def document(name: str) -> Any:
    """Read one of the documents under `documents/`: groups, devices (lists), subscription (object)."""
    return json.loads((resources.files(__package__) / "documents" / f"{name}.json").read_text(encoding="utf-8"))


async def provision(kawakami: httpx.AsyncClient) -> tuple[int, int]:
    """Provision the groups and devices at Kawakami; gives how many are new, how many were there. Raises SetupError."""
    new = there = 0
    for name in ("groups", "devices"):
        for item in document(name):
            answer = await kawakami.post(f"/iot/{name}", json={name: [item]}, headers=FIWARE)
            if answer.status_code not in (HTTPStatus.CREATED, HTTPStatus.CONFLICT):
                raise SetupError(f"Kawakami refused to provision {name}: {answer.status_code} {answer.text[:300]}")
            new += answer.status_code == HTTPStatus.CREATED
            there += answer.status_code == HTTPStatus.CONFLICT
    return new, there


async def subscribe(kawakami: httpx.AsyncClient, inbox: str) -> str:
    """Create Kawashimo's subscription at Kawakami, delivered to `inbox`; gives its id. Raises SetupError.

    A subscription of an earlier run stays as it is, unless Kawashimo has another address now.
    """
    wanted = document("subscription")
    wanted["notification"]["endpoint"]["uri"] = inbox
    where = f"{SUBSCRIPTIONS}/{wanted['id']}"
    found = await kawakami.get(where)
    if found.status_code == HTTPStatus.OK:
        if found.json()["notification"]["endpoint"]["uri"] == inbox:
            return str(wanted["id"])
        await kawakami.delete(where)
    answer = await kawakami.post(SUBSCRIPTIONS, json=wanted)
    if answer.status_code != HTTPStatus.CREATED:
        raise SetupError(f"Kawakami refused Kawashimo's subscription: {answer.status_code} {answer.text[:300]}")
    return str(wanted["id"])
