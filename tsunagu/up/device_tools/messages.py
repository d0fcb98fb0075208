"""`tsunagu devices quarantine|replay|candidates|admit`: what could not be taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsunagu.up.device_tools.action import BASE, Action, cut, grid, pages, shown
from tsunagu.up.problem import UpError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from tsunagu.up.device_tools.action import Lines
    from tsunagu.up.remote import Remote

WHICH = {
    "--reason": {"help": "only with this reason, such as BAD_PAYLOAD"},
    "--format": {"help": "only of this format"},
}


def _quarantine(remote: Remote, options: argparse.Namespace) -> Lines:
    found = pages(remote, f"{BASE}/quarantine", "messages", reason=options.reason, format=options.format)
    rows = [
        (one["id"], one["format"], one["reason"]["name"], cut(one["reason"]["message"]), cut(one.get("origin") or ""))
        for one in found
    ]
    heads = ("ID", "FORMAT", "REASON", "WHAT IS WRONG", "CAME BY")
    return shown(found, options, lambda: grid(heads, rows, "the quarantine is empty"))


def _replay(remote: Remote, options: argparse.Namespace) -> Lines:
    given = {"ids": options.id, "reason": options.reason, "format": options.format}
    found = remote.post(f"{BASE}/quarantine/replay", {name: value for name, value in given.items() if value})

    def lines() -> Iterator[str]:
        yield f"{found['replayed']} taken, {found['refused']} still set aside"
        for one in found["failed"][:20]:
            yield f"  {one['id']}  {one['reason']['name']}: {one['reason']['message']}"

    return shown(found, options, lines)


def _candidates(remote: Remote, options: argparse.Namespace) -> Lines:
    found = remote.get(f"{BASE}/candidates")["candidates"]
    rows = [
        (
            one["deviceId"],
            one["apikey"],
            one["format"],
            one["count"],
            one["lastSeen"],
            ", ".join(one["modelsLike"]),
            cut(one["sample"] or ""),
        )
        for one in found
    ]
    heads = ("DEVICE", "APIKEY", "FORMAT", "MESSAGES", "LAST SEEN", "LIKE", "SAMPLE")
    return shown(found, options, lambda: grid(heads, rows, "nobody waits to be admitted"))


def _admit(remote: Remote, options: argparse.Namespace) -> Lines:
    more = {"entity_name": options.entity_name, "entity_type": options.entity_type, "timezone": options.timezone}
    given = {name: value for name, value in more.items() if value}
    if options.entity_name and len(options.device) > 1:
        raise UpError("admit: --entity-name goes with one device")
    devices = [{"device_id": device, "apikey": options.apikey, **given} for device in options.device]
    found = remote.post(f"{BASE}/candidates/admit", {"devices": devices})
    told = f"{found['admitted']} admitted, {found['replayed']} of their messages taken, {len(found['failed'])} not"
    return shown(found, options, lambda: [told])


ACTIONS: dict[str, Action] = {
    "quarantine": Action(_quarantine, "list the messages that could not be taken, with the reason", WHICH),
    "replay": Action(
        _replay,
        "take quarantined messages again, in the order in which they came",
        {"--id": {"action": "append", "help": "this message (may be repeated)"}, **WHICH},
    ),
    "candidates": Action(_candidates, "list devices that sent messages and are not admitted"),
    "admit": Action(
        _admit,
        "provision candidates and take their messages",
        {
            "device": {"nargs": "+", "help": "the devices' ids"},
            "--apikey": {"required": True, "help": "the apikey that they used"},
            "--entity-name": {"help": "the entity of the device"},
            "--entity-type": {"help": "its type (the group's)"},
            "--timezone": {"help": "zone of times without an offset, such as Asia/Tokyo"},
        },
    ),
}
