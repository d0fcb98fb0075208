"""`tsunagu devices …`: a running broker's devices, what they sent and what became of it, from the command line."""

from __future__ import annotations

import json
import os
import sys
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tsunagu.up.problem import UpError
from tsunagu.up.remote import DEFAULT_URL, Remote, table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator, Mapping

    Lines = Iterable[str]
    Work = Callable[[Remote, argparse.Namespace], Lines]

BASE = "/tsunagu/v1/devices"
SHORT = 60
PAGE = 100
HEALTH = (
    "deviceState",
    "dateLastValueReported",
    "offlineSince",
    "batteryLevel",
    "rssi",
    "clockOffset",
    "decodeErrorRate",
)


@dataclass(frozen=True, slots=True)
class Action:
    """One action: what it does, what it says of itself, its arguments as argparse takes them."""

    work: Work
    text: str
    arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


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


def _of(options: argparse.Namespace, tail: str = "") -> str:
    return f"{BASE}/{quote(options.device, safe='')}{tail}"


def _shown(document: Any, options: argparse.Namespace, lines: Callable[[], Lines]) -> Lines:
    if options.json:
        return [json.dumps(document, ensure_ascii=False, indent=2)]
    return lines()


def _pages(remote: Remote, path: str, member: str, **params: Any) -> list[Any]:
    """Return all elements of a list that comes in pages."""
    found: list[Any] = []
    while True:
        page = remote.get(path, limit=PAGE, offset=len(found), **params)[member]
        found += page
        if len(page) < PAGE:
            return found


def _rows(heads: tuple[str, ...], rows: list[tuple[Any, ...]], nothing: str) -> Lines:
    return table(heads, rows) if rows else [nothing]


def _cut(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHORT else text[: SHORT - 1] + "…"


def _members(document: Mapping[str, Any]) -> Iterator[str]:
    for name, value in document.items():
        yield f"{name:24} {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"


def _content(name: str) -> bytes:
    """Return what a file holds, or the standard input for "-". Raises UpError."""
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise UpError(f"{name}: {error.strerror}") from None


# What is there.


def _list(remote: Remote, options: argparse.Namespace) -> Lines:
    found = _pages(remote, BASE, "devices")
    rows = [
        (one["device_id"], one.get("apikey"), one["entity_type"], one["entity"], ", ".join(one["credentials"]))
        for one in found
    ]
    return _shown(
        found, options, lambda: _rows(("DEVICE", "APIKEY", "TYPE", "ENTITY", "CREDENTIAL"), rows, "no devices")
    )


def _show(remote: Remote, options: argparse.Namespace) -> Lines:
    found = remote.get(_of(options), apikey=options.apikey)
    return _shown(found, options, lambda: _members(found))


def _health(remote: Remote, options: argparse.Namespace) -> Lines:
    if options.device:
        found = remote.get(_of(options, "/health"), apikey=options.apikey)
        return _shown(found, options, lambda: _members(found))
    every = _pages(remote, f"{BASE}/health", "devices")
    rows = [(one["deviceId"], *(one.get(name) for name in HEALTH)) for one in every]
    heads = ("DEVICE", "STATE", "LAST SEEN", "OFFLINE SINCE", "BATTERY", "RSSI", "CLOCK", "ERRORS")
    return _shown(every, options, lambda: _rows(heads, rows, "no devices"))


def _preview(remote: Remote, options: argparse.Namespace) -> Lines:
    if (options.topic is None) == (options.path is None):
        raise UpError("preview: --topic or --path is needed: where the message would come in")
    body: dict[str, Any] = {"topic": options.topic} if options.topic else {"path": options.path}
    content = _content(options.file)
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
            yield from (f"  {line}" for line in _members({k: v for k, v in entity.items() if k not in ("id", "type")}))

    return _shown(found, options, lines)


# What could not be taken.


def _quarantine(remote: Remote, options: argparse.Namespace) -> Lines:
    found = _pages(remote, f"{BASE}/quarantine", "messages", reason=options.reason, format=options.format)
    rows = [
        (one["id"], one["format"], one["reason"]["name"], _cut(one["reason"]["message"]), _cut(one.get("origin") or ""))
        for one in found
    ]
    heads = ("ID", "FORMAT", "REASON", "WHAT IS WRONG", "CAME BY")
    return _shown(found, options, lambda: _rows(heads, rows, "the quarantine is empty"))


def _replay(remote: Remote, options: argparse.Namespace) -> Lines:
    given = {"ids": options.id, "reason": options.reason, "format": options.format}
    found = remote.post(f"{BASE}/quarantine/replay", {name: value for name, value in given.items() if value})

    def lines() -> Iterator[str]:
        yield f"{found['replayed']} taken, {len(found['failed'])} still set aside"
        for one in found["failed"][:20]:
            yield f"  {one['id']}  {one['reason']['name']}: {one['reason']['message']}"

    return _shown(found, options, lines)


def _candidates(remote: Remote, options: argparse.Namespace) -> Lines:
    found = remote.get(f"{BASE}/candidates")["candidates"]
    rows = [
        (one["deviceId"], one["apikey"], one["format"], one["count"], one["lastSeen"], _cut(one["sample"] or ""))
        for one in found
    ]
    heads = ("DEVICE", "APIKEY", "FORMAT", "MESSAGES", "LAST SEEN", "SAMPLE")
    return _shown(found, options, lambda: _rows(heads, rows, "nobody waits to be admitted"))


def _admit(remote: Remote, options: argparse.Namespace) -> Lines:
    more = {"entity_name": options.entity_name, "entity_type": options.entity_type, "timezone": options.timezone}
    given = {name: value for name, value in more.items() if value}
    if options.entity_name and len(options.device) > 1:
        raise UpError("admit: --entity-name goes with one device")
    devices = [{"device_id": device, "apikey": options.apikey, **given} for device in options.device]
    found = remote.post(f"{BASE}/candidates/admit", {"devices": devices})
    told = f"{found['admitted']} admitted, {found['replayed']} of their messages taken, {len(found['failed'])} not"
    return _shown(found, options, lambda: [told])


# Devices in bulk.


def _import(remote: Remote, options: argparse.Namespace) -> Lines:
    found = remote.send(
        "POST",
        f"{BASE}/import",
        content=_content(options.file),
        headers={"Content-Type": "text/csv"},
        apikey=options.apikey,
        entity_type=options.entity_type,
        timezone=options.timezone,
        dryRun="true" if options.dry_run else None,
    )

    def lines() -> Iterator[str]:
        counts = ", ".join(f"{found[name]} {name}" for name in ("created", "changed", "unchanged", "rejected"))
        yield f"{'would be: ' if found['dryRun'] else ''}{counts}"
        yield from (f"  row {one['row']}: {one['detail']}" for one in found["rows"] if one["status"] == "rejected")
        if "import" in found:
            yield f"take it back with: tsunagu devices undo {found['import']}"

    return _shown(found, options, lines)


def _undo(remote: Remote, options: argparse.Namespace) -> Lines:
    found = remote.post(f"{BASE}/imports/{quote(options.key, safe='')}/undo")
    return _shown(found, options, lambda: [f"{found['removed']} removed, {found['restored']} as before"])


# Commands and credentials.


def _commands(remote: Remote, options: argparse.Namespace) -> Lines:
    found = remote.get(_of(options, "/commands"), apikey=options.apikey)["commands"]
    rows = [
        (
            one["createdAt"],
            one["name"],
            _cut(one["value"]),
            one["state"],
            _cut(one.get("result", one.get("reason", ""))),
        )
        for one in found
    ]
    return _shown(found, options, lambda: _rows(("GIVEN", "COMMAND", "VALUE", "STATE", "RESULT"), rows, "no commands"))


def _send(remote: Remote, options: argparse.Namespace) -> Lines:
    try:
        value = json.loads(options.value)
    except ValueError:
        value = options.value
    body = {"name": options.name, "value": value, "expiresIn": options.expires_in}
    found = remote.post(
        _of(options, "/commands"), {k: v for k, v in body.items() if v is not None}, apikey=options.apikey
    )
    return _shown(found, options, lambda: [f"{found['name']} is {found['state']}"])


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
    return _shown(found, options, lambda: _rows(heads, rows, "no devices"))


def _rotate(remote: Remote, options: argparse.Namespace) -> Lines:
    given: dict[str, Any] = {"devices": options.device, "apikey": options.apikey, "weak": options.weak}
    body = {name: value for name, value in given.items() if value} | {"overlap": options.overlap}
    if options.format != "table":
        text = remote.text("POST", f"{BASE}/credentials/rotate", json=body, format=options.format)
        return [text.rstrip("\n")]
    found = remote.post(f"{BASE}/credentials/rotate", body)
    rows = [(one["device_id"], one["apikey"], one["token"]) for one in found["devices"]]
    return _shown(found, options, lambda: _rows(("DEVICE", "APIKEY", "TOKEN (shown once)"), rows, "no devices"))


def _labels(remote: Remote, options: argparse.Namespace) -> Lines:
    return [remote.text("GET", f"{BASE}/labels", format=options.format, apikey=options.apikey).rstrip("\n")]


# Where messages come in.


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
    return _shown(found, options, lambda: _rows(heads, rows, "no connections"))


def _routes(remote: Remote, options: argparse.Namespace) -> Lines:
    found = remote.get(f"{BASE}/routes")["routes"]
    rows = [(one["id"], one.get("topic") or one["path"], one.get("connection"), one["format"]) for one in found]
    return _shown(found, options, lambda: _rows(("ROUTE", "PATTERN", "CONNECTION", "FORMAT"), rows, "no routes"))


# Device models.


def _models(remote: Remote, options: argparse.Namespace) -> Lines:
    found = remote.get(f"{BASE}/models")["models"]
    rows = [
        (one["id"], one["version"], one["entityType"], "ships" if one["shipped"] else "own", ", ".join(one["requires"]))
        for one in found
    ]
    return _shown(found, options, lambda: table(("MODEL", "VERSION", "TYPE", "FROM", "A DEVICE MUST GIVE"), rows))


def _export_model(remote: Remote, options: argparse.Namespace) -> Lines:
    return [json.dumps(remote.get(f"{BASE}/models/{quote(options.model, safe='@')}"), ensure_ascii=False, indent=1)]


def _import_model(remote: Remote, options: argparse.Namespace) -> Lines:
    content, headers = _content(options.file), {"Content-Type": "application/json"}
    found = remote.send("POST", f"{BASE}/models", content=content, headers=headers)
    told = f"{found['id']}@{found['version']} is there; {found['following']} groups and devices follow it"
    return _shown(found, options, lambda: [told])


def _check_model(remote: Remote, options: argparse.Namespace) -> Lines:
    found = remote.post(f"{BASE}/models/{quote(options.model, safe='@')}/check")

    def lines() -> Iterator[str]:
        for one in found["results"]:
            yield f"{'ok    ' if one['ok'] else 'differs'} {one['title']}"
            yield from (f"    {difference}" for difference in one["differences"])

    return _shown(found, options, lines)


MODEL = {"model": {"help": "a model, or one version of it: ID@VERSION"}}
DEVICE = {"device": {"help": "the device's id"}}
APIKEY = {"--apikey": {"help": "its apikey, where two devices have one id"}}
FORM = {"--format": {"choices": ("html", "csv"), "default": "html", "help": "page to print, or CSV (html)"}}
WHICH = {
    "--reason": {"help": "only with this reason, such as BAD_PAYLOAD"},
    "--format": {"help": "only of this format"},
}

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
    "import": Action(
        _import,
        "provision devices from CSV, row by row",
        {
            "file": {"help": "CSV in UTF-8 or Shift_JIS; - reads the standard input"},
            "--apikey": {"help": "apikey of rows that have none"},
            "--entity-type": {"help": "entity type of rows that have none"},
            "--timezone": {"help": "zone of rows that have none"},
            "--dry-run": {"action": "store_true", "help": "only say what would become of each row"},
        },
    ),
    "undo": Action(_undo, "take an import back", {"key": {"help": "what the import printed"}}),
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
    "models": Action(_models, "list the device models that groups and devices may name"),
    "export-model": Action(_export_model, "print a device model: a file that can be shared", MODEL),
    "import-model": Action(
        _import_model,
        "add a device model, or a new version of one",
        {"file": {"help": "JSON; - reads the standard input"}},
    ),
    "check-model": Action(_check_model, "run the golden messages of a device model", MODEL),
    "connections": Action(_connections, "list the MQTT brokers that the tenant connects to, with their states"),
    "routes": Action(_routes, "list the topics and webhooks that are read"),
}
