"""`tsunagu devices models|export-model|import-model|check-model`: what is said once of many devices."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote

from tsunagu.up.device_tools.action import (
    BASE,
    Action,
    file_content,
    shown,
)
from tsunagu.up.remote import table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from tsunagu.up.device_tools.action import Lines
    from tsunagu.up.remote import Remote

MODEL = {"model": {"help": "a model, or one version of it: ID@VERSION"}}


def _models(remote: Remote, options: argparse.Namespace) -> Lines:
    found = remote.get(f"{BASE}/models")["models"]
    rows = [
        (one["id"], one["version"], one["entityType"], "ships" if one["shipped"] else "own", ", ".join(one["requires"]))
        for one in found
    ]
    return shown(found, options, lambda: table(("MODEL", "VERSION", "TYPE", "FROM", "A DEVICE MUST GIVE"), rows))


def _export_model(remote: Remote, options: argparse.Namespace) -> Lines:
    return [json.dumps(remote.get(f"{BASE}/models/{quote(options.model, safe='@')}"), ensure_ascii=False, indent=1)]


def _import_model(remote: Remote, options: argparse.Namespace) -> Lines:
    content, headers = file_content(options.file), {"Content-Type": "application/json"}
    found = remote.send("POST", f"{BASE}/models", content=content, headers=headers)
    told = f"{found['id']}@{found['version']} is there; {found['following']} groups and devices follow it"
    return shown(found, options, lambda: [told])


def _check_model(remote: Remote, options: argparse.Namespace) -> Lines:
    found = remote.post(f"{BASE}/models/{quote(options.model, safe='@')}/check")

    def lines() -> Iterator[str]:
        for one in found["results"]:
            yield f"{'ok    ' if one['ok'] else 'differs'} {one['title']}"
            yield from (f"    {difference}" for difference in one["differences"])

    return shown(found, options, lines)


ACTIONS: dict[str, Action] = {
    "models": Action(_models, "list the device models that groups and devices may name"),
    "export-model": Action(_export_model, "print a device model: a file that can be shared", MODEL),
    "import-model": Action(
        _import_model,
        "add a device model, or a new version of one",
        {"file": {"help": "JSON; - reads the standard input"}},
    ),
    "check-model": Action(_check_model, "run the golden messages of a device model", MODEL),
}
