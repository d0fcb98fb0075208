"""`tsunagu devices connections|routes`: where messages come in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsunagu.up.device_tools.action import BASE, Action, grid, shown

if TYPE_CHECKING:
    import argparse

    from tsunagu.up.device_tools.action import Lines
    from tsunagu.up.remote import Remote


def _connections(remote: Remote, options: argparse.Namespace) -> Lines:
    found = remote.get(f"{BASE}/connections")["connections"]
    rows = [
        (
            one["id"],
            one["url"],
            state["worker"],
            "yes" if state["connected"] else "no",
            state["since"],
            state.get("lastError"),
        )
        for one in found
        for state in one["workers"] or [{"worker": None, "connected": False, "since": None}]
    ]
    heads = ("CONNECTION", "URL", "WORKER", "CONNECTED", "SINCE", "LAST ERROR")
    return shown(found, options, lambda: grid(heads, rows, "no connections"))


def _routes(remote: Remote, options: argparse.Namespace) -> Lines:
    found = remote.get(f"{BASE}/routes")["routes"]
    rows = [(one["id"], one.get("topic") or one["path"], one.get("connection"), one["format"]) for one in found]
    return shown(found, options, lambda: grid(("ROUTE", "PATTERN", "CONNECTION", "FORMAT"), rows, "no routes"))


ACTIONS: dict[str, Action] = {
    "connections": Action(_connections, "list the MQTT brokers that the tenant connects to, with their states"),
    "routes": Action(_routes, "list the topics and webhooks that are read"),
}
