"""`tsunagu devices commands|send`: what a device is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tsunagu.up.device_tools.action import (
    APIKEY,
    DEVICE,
    Action,
    cut,
    grid,
    path_of,
    shown,
)

if TYPE_CHECKING:
    import argparse

    from tsunagu.up.device_tools.action import Lines
    from tsunagu.up.remote import Remote


def _commands(remote: Remote, options: argparse.Namespace) -> Lines:
    found = remote.get(path_of(options, "/commands"), apikey=options.apikey)["commands"]
    rows = [
        (
            one["createdAt"],
            one["name"],
            cut(one["value"]),
            one["state"],
            cut(one.get("result", one.get("reason", ""))),
        )
        for one in found
    ]
    return shown(found, options, lambda: grid(("GIVEN", "COMMAND", "VALUE", "STATE", "RESULT"), rows, "no commands"))


def _send(remote: Remote, options: argparse.Namespace) -> Lines:
    try:
        value = json.loads(options.value)
    except ValueError:
        value = options.value
    body = {"name": options.name, "value": value, "expiresIn": options.expires_in}
    found = remote.post(
        path_of(options, "/commands"), {k: v for k, v in body.items() if v is not None}, apikey=options.apikey
    )
    return shown(found, options, lambda: [f"{found['name']} is {found['state']}"])


ACTIONS: dict[str, Action] = {
    "commands": Action(_commands, "list a device's commands and their states", {**DEVICE, **APIKEY}),
    "send": Action(
        _send,
        "send a device a command",
        {
            **DEVICE,
            "name": {"help": "the command"},
            "value": {"help": "JSON, or text"},
            **APIKEY,
            "--expires-in": {"type": float, "help": "seconds after which it is not to be carried out (a day)"},
        },
    ),
}
