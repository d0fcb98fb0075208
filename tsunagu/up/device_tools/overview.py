"""`tsunagu devices list|show|health|preview`: what is there, and what a message would become."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.up.device_tools.action import (
    APIKEY,
    BASE,
    DEVICE,
    Action,
    file_content,
    grid,
    members,
    pages,
    path_of,
    shown,
)
from tsunagu.up.problem import UpError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from tsunagu.up.device_tools.action import Lines
    from tsunagu.up.remote import Remote

HEALTH = (
    "deviceState",
    "dateLastValueReported",
    "offlineSince",
    "batteryLevel",
    "rssi",
    "clockOffset",
    "decodeErrorRate",
)


def _list(remote: Remote, options: argparse.Namespace) -> Lines:
    found = pages(remote, BASE, "devices")
    rows = [
        (one["device_id"], one.get("apikey"), one["entity_type"], one["entity"], ", ".join(one["credentials"]))
        for one in found
    ]
    return shown(found, options, lambda: grid(("DEVICE", "APIKEY", "TYPE", "ENTITY", "CREDENTIAL"), rows, "no devices"))


def _show(remote: Remote, options: argparse.Namespace) -> Lines:
    found = remote.get(path_of(options), apikey=options.apikey)
    return shown(found, options, lambda: members(found))


def _health(remote: Remote, options: argparse.Namespace) -> Lines:
    if options.device:
        found = remote.get(path_of(options, "/health"), apikey=options.apikey)
        return shown(found, options, lambda: members(found))
    every = pages(remote, f"{BASE}/health", "devices")
    rows = [(one["deviceId"], *(one.get(name) for name in HEALTH)) for one in every]
    heads = ("DEVICE", "STATE", "LAST SEEN", "OFFLINE SINCE", "BATTERY", "RSSI", "CLOCK", "ERRORS")
    return shown(every, options, lambda: grid(heads, rows, "no devices"))


def _preview(remote: Remote, options: argparse.Namespace) -> Lines:
    if (options.topic is None) == (options.path is None):
        raise UpError("preview: --topic or --path is needed: where the message would come in")
    body: dict[str, Any] = {"topic": options.topic} if options.topic else {"path": options.path}
    content = file_content(options.file)
    try:
        body["text"] = content.decode()
    except UnicodeDecodeError:
        import base64

        body["base64"] = base64.b64encode(content).decode()
    if options.content_type or options.path:
        body["contentType"] = options.content_type or "application/json"
    found = remote.post(f"{BASE}/preview", body)

    def lines() -> Iterator[str]:
        if found["error"]:
            yield f"refused: {found['error']['name']}: {found['error']['message']}"
        for entity in found["entities"]:
            yield f"{entity['id']} ({entity['type']})"
            yield from (f"  {line}" for line in members({k: v for k, v in entity.items() if k not in ("id", "type")}))
        yield from (f"would fire {subscription}" for subscription in found.get("subscriptions", ()))

    return shown(found, options, lines)


ACTIONS: dict[str, Action] = {
    "list": Action(_list, "list all devices: entity, credential"),
    "show": Action(_show, "show one device as it is provisioned", {**DEVICE, **APIKEY}),
    "health": Action(
        _health,
        "how devices are: state, last seen, battery",
        {"device": {"nargs": "?", "help": "the device's id; without one, all"}, **APIKEY},
    ),
    "preview": Action(
        _preview,
        "show what a message would become; nothing is stored",
        {
            "file": {"help": "the payload; - reads it from the standard input"},
            "--topic": {"help": "MQTT topic that it would come on"},
            "--path": {"help": "path with query that it would be posted to, such as /iot/json?k=K&i=D"},
            "--content-type": {"help": "its content type (application/json)"},
        },
    ),
}
