"""`tsunagu subscriptions …`: what became of a subscription's notifications, and steering them, at a running broker."""

from __future__ import annotations

import json
import os
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tsunagu.up.remote import DEFAULT_URL, Remote, table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator

    Lines = Iterable[str]
    Action = Callable[[Remote, argparse.Namespace], Lines]

NGSI = "/ngsi-ld/v1/subscriptions"
OURS = "/tsunagu/v1/subscriptions"
SHORT = 60


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add `subscriptions` and its actions to the command line; returns its parser."""
    parser = commands.add_parser("subscriptions", help="see and steer what a running broker sends")
    actions = parser.add_subparsers(required=True, metavar="ACTION", dest="action")
    for name, (_, text) in ACTIONS.items():
        one = actions.add_parser(name, help=text, description=text)
        one.add_argument(
            "--url",
            default=os.environ.get("TSUNAGU_URL") or DEFAULT_URL,
            help=f"the broker ($TSUNAGU_URL or {DEFAULT_URL})",
        )
        one.add_argument("--tenant", default="", help="the tenant (the default tenant)")
        one.add_argument("--json", action="store_true", help="print JSON, for scripts")
        if name != "list":
            one.add_argument("id", help="the subscription's id")
        if name in ("deliveries", "deadletters"):
            one.add_argument("--limit", type=int, default=20, help="how many at most (20)")
        if name == "deliveries":
            one.add_argument("--before", metavar="TIME", help="only those before a time: 2026-11-21T05:46:00Z")
        if name == "redeliver":
            one.add_argument("--letter", action="append", metavar="ID", help="this dead letter (may be repeated)")
            one.add_argument("--since", metavar="TIME", help="those given up since a time")
        if name == "replay":
            one.add_argument("--from", dest="start", metavar="TIME", required=True, help="changes from this time on")
            one.add_argument("--to", dest="end", metavar="TIME", required=True, help="and before this one")
        if name == "preview":
            one.add_argument("--last", type=int, default=100, help="how many of the latest changes to look at (100)")
    return parser


def run(options: argparse.Namespace) -> list[str]:
    """Do what the command line says; returns what to print. Raises UpError."""
    action, _ = ACTIONS[options.action]
    with closing(Remote(options.url, options.tenant)) as remote:
        return list(action(remote, options))


def _path(options: argparse.Namespace, tail: str = "", *, root: str = OURS) -> str:
    return f"{root}/{quote(options.id, safe='')}{tail}"


def _shown(document: Any, options: argparse.Namespace, lines: Callable[[], Lines]) -> Lines:
    """Return a document as JSON if that was asked for, else as lines for people."""
    if options.json:
        return [json.dumps(document, ensure_ascii=False, indent=2)]
    return lines()


def _list(remote: Remote, options: argparse.Namespace) -> Lines:
    found = list(remote.all(NGSI))
    heads = ("ID", "STATUS", "DELIVERY", "SENT", "FAILED", "LAST SUCCESS", "LAST FAILURE", "ENDPOINT")

    def row(one: dict[str, Any]) -> tuple[Any, ...]:
        told = one["notification"]
        counts = (told.get("status"), told.get("timesSent", 0), told.get("timesFailed", 0))
        return (
            *(one["id"], one["status"], *counts),
            *(told.get("lastSuccess"), told.get("lastFailure"), told["endpoint"]["uri"]),
        )

    return _shown(found, options, lambda: table(heads, [row(one) for one in found]) if found else ["no subscriptions"])


def _show(remote: Remote, options: argparse.Namespace) -> Lines:
    found = remote.get(_path(options, root=NGSI))
    return _shown(found, options, lambda: _members(found))


def _members(document: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield a document as lines, one member each; what lies in the notification with its path."""
    for name, value in document.items():
        if name in ("notification", "endpoint"):
            yield from _members(value, f"{prefix}{name}.")
        else:
            yield f"{prefix + name:38} {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"


def _deliveries(remote: Remote, options: argparse.Namespace) -> Lines:
    found = remote.get(_path(options, "/deliveries"), limit=options.limit, before=options.before)
    heads = ("AT", "RESULT", "STATUS", "MS", "BYTES", "CHANGES", "REASON")
    rows = [
        (
            *(one["at"], "ok" if one["ok"] else "failed", one.get("status"), one["latency"], one["size"]),
            *(len(one["changes"]), one.get("reason")),
        )
        for one in found
    ]
    return _shown(found, options, lambda: table(heads, rows) if rows else ["nothing was sent yet"])


def _dead_letters(remote: Remote, options: argparse.Namespace) -> Lines:
    found = remote.get(_path(options, "/deadletters"), limit=options.limit)
    heads = ("GIVEN UP", "CHANGED", "ENTITIES", "REASON", "ID")
    rows = [
        (one["givenUpAt"], one["changedAt"], _cut(", ".join(one["entities"])), _cut(one["reason"]), one["id"])
        for one in found
    ]
    return _shown(found, options, lambda: table(heads, rows) if rows else ["no dead letters"])


def _redeliver(remote: Remote, options: argparse.Namespace) -> Lines:
    body = {"ids": options.letter, "since": options.since}
    given = {name: value for name, value in body.items() if value is not None}
    found = remote.post(_path(options, "/deadletters/redeliver"), given)
    count = found["redelivered"]
    return _shown(found, options, lambda: [f"{count} dead letter{'' if count == 1 else 's'} delivered again"])


def _replay(remote: Remote, options: argparse.Namespace) -> Lines:
    found = remote.post(_path(options, "/replay"), **{"from": options.start, "to": options.end})
    count = found["replayed"]
    return _shown(found, options, lambda: [f"{count} change{'' if count == 1 else 's'} sent again, in order"])


def _preview(remote: Remote, options: argparse.Namespace) -> Lines:
    found = remote.get(_path(options, "/preview"), last=options.last)

    def lines() -> Iterator[str]:
        yield f"{len(found)} of the last {options.last} changes would be told (nothing was sent):"
        for one in found:
            yield f"{one['at']}  {one['entity']}"
            yield f"  {json.dumps(one['body'], ensure_ascii=False)}"

    return _shown(found, options, lines)


def _pause(remote: Remote, options: argparse.Namespace) -> Lines:
    return _steered(remote, options, "pause", "paused: what waits is kept until `resume`")


def _resume(remote: Remote, options: argparse.Namespace) -> Lines:
    return _steered(remote, options, "resume", "active: what waited is sent first")


def _steered(remote: Remote, options: argparse.Namespace, action: str, told: str) -> Lines:
    remote.post(_path(options, f"/{action}"))
    status = "paused" if action == "pause" else "active"
    return _shown({"id": options.id, "status": status}, options, lambda: [f"{options.id} is {told}"])


def _cut(text: str) -> str:
    return text if len(text) <= SHORT else text[: SHORT - 1] + "…"


ACTIONS: dict[str, tuple[Action, str]] = {
    "list": (_list, "list all subscriptions: status, counters, endpoint"),
    "show": (_show, "show one subscription, secrets masked"),
    "deliveries": (_deliveries, "list the latest attempts to deliver, newest first"),
    "deadletters": (_dead_letters, "list the notifications that were given up"),
    "redeliver": (_redeliver, "deliver dead letters again: all, --letter ID, or --since TIME"),
    "replay": (_replay, "send all changes between two times again, marked as a replay"),
    "preview": (_preview, "show which of the latest changes would be told; nothing is sent"),
    "pause": (_pause, "send nothing more; what waits is kept"),
    "resume": (_resume, "send again, first what waited"),
}
