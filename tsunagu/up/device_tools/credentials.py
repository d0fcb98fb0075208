"""`tsunagu devices credentials|rotate|labels`: how devices are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.up.device_tools.action import (
    BASE,
    Action,
    grid,
    shown,
)

if TYPE_CHECKING:
    import argparse

    from tsunagu.up.device_tools.action import Lines
    from tsunagu.up.remote import Remote

FORM = {"--format": {"choices": ("html", "csv"), "default": "html", "help": "page to print, or CSV (html)"}}


def _credentials(remote: Remote, options: argparse.Namespace) -> Lines:
    found = remote.get(f"{BASE}/credentials", weak="true" if options.weak else None)
    rows = [
        (
            one["deviceId"],
            one["apikey"],
            ", ".join(one["credentials"]),
            "weak" if one["weak"] else "",
            one.get("issuedAt"),
        )
        for one in found["devices"]
    ]
    heads = ("DEVICE", "APIKEY", "CREDENTIAL", "", "ISSUED")
    return shown(found, options, lambda: grid(heads, rows, "no devices"))


def _rotate(remote: Remote, options: argparse.Namespace) -> Lines:
    given: dict[str, Any] = {"devices": options.device, "apikey": options.apikey, "weak": options.weak}
    body = {name: value for name, value in given.items() if value} | {"overlap": options.overlap}
    if options.format != "table":
        text = remote.text("POST", f"{BASE}/credentials/rotate", json=body, format=options.format)
        return [text.rstrip("\n")]
    found = remote.post(f"{BASE}/credentials/rotate", body)
    rows = [(one["device_id"], one["apikey"], one["token"]) for one in found["devices"]]
    return shown(found, options, lambda: grid(("DEVICE", "APIKEY", "TOKEN (shown once)"), rows, "no devices"))


def _labels(remote: Remote, options: argparse.Namespace) -> Lines:
    return [remote.text("GET", f"{BASE}/labels", format=options.format, apikey=options.apikey).rstrip("\n")]


ACTIONS: dict[str, Action] = {
    "credentials": Action(
        _credentials,
        "list how devices are known",
        {"--weak": {"action": "store_true", "help": "only those that share an apikey"}},
    ),
    "rotate": Action(
        _rotate,
        "give devices new tokens, which are shown once",
        {
            "device": {"nargs": "*", "help": "the devices' ids"},
            "--apikey": {"help": "all devices with this apikey"},
            "--weak": {"action": "store_true", "help": "only those that share an apikey"},
            "--overlap": {"type": float, "default": 0.0, "help": "seconds that the old tokens count on (0)"},
            "--format": {
                "choices": ("table", "csv", "html"),
                "default": "table",
                "help": "html: labels to print (table)",
            },
        },
    ),
    "labels": Action(
        _labels, "labels to print, without secrets", {**FORM, "--apikey": {"help": "only devices with this apikey"}}
    ),
}
