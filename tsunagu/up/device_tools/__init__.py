"""`tsunagu devices …`: a running broker's devices, what they sent and what became of it, from the command line."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING

from tsunagu.up.device_tools import bulk, commands, credentials, doors, messages, models, overview
from tsunagu.up.remote import DEFAULT_URL, Remote

if TYPE_CHECKING:
    import argparse

ACTIONS = {
    name: action
    for part in (overview, messages, bulk, commands, credentials, models, doors)
    for name, action in part.ACTIONS.items()
}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add `devices` and its actions to the command line; returns its parser."""
    parser = commands.add_parser("devices", help="see and manage the devices of a running broker")
    actions = parser.add_subparsers(required=True, metavar="ACTION", dest="action")
    for name, action in ACTIONS.items():
        one = actions.add_parser(name, help=action.text, description=action.text)
        url = os.environ.get("TSUNAGU_URL") or DEFAULT_URL
        one.add_argument("--url", default=url, help=f"the broker ($TSUNAGU_URL or {DEFAULT_URL})")
        one.add_argument("--tenant", default="", help="the tenant (the default tenant)")
        one.add_argument("--service-path", default="/", help="the service path, Fiware-ServicePath (/)")
        one.add_argument("--json", action="store_true", help="print JSON, for scripts")
        for argument, how in action.arguments.items():
            one.add_argument(argument, **how)
    return parser


def run(options: argparse.Namespace) -> list[str]:
    """Do what the command line says; returns what to print. Raises UpError."""
    headers = {"Fiware-ServicePath": options.service_path}
    with closing(Remote(options.url, options.tenant, headers=headers)) as remote:
        return list(ACTIONS[options.action].work(remote, options))
