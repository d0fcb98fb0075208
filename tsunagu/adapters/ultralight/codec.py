"""FIWARE Ultralight 2.0 (iotagent-ul docs/usermanual.md).

Grammar of measures::

    payload = group { "#" group }
    group   = [ "|" ] [ timestamp "|" ] key "|" value { "|" key "|" value }

A group with an odd number of fields starts with its timestamp. A value that reads as JSON (15, true, "x", [1]) is
that value, else it is text. A command result is `device@command|result`.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from typing import TYPE_CHECKING, Any

import orjson

from tsunagu.adapters import json_body
from tsunagu.adapters.errors import BadPayload
from tsunagu.adapters.message import CommandResult, ConfigurationRequest, Measure, Message, Reading

if TYPE_CHECKING:
    from collections.abc import Mapping

TIME = "TimeInstant"


def decode(message: Message) -> list[Reading]:
    """Return the readings of a message. Raises BadPayload."""
    named = message.named
    try:
        text = message.body.removeprefix(BOM_UTF8).decode().strip()
    except UnicodeDecodeError:
        raise BadPayload("Ultralight payloads are UTF-8 text") from None
    if not text:
        raise BadPayload("the payload is empty; right would be e.g. t|15|k|abc")
    action = named.get("action", "measure")
    if action == "result":
        return [_result(named, part) for part in text.split("#")]
    if action == "configuration":
        wish, *fields = text.split("|")
        if wish not in ("configuration", "subscription"):
            raise BadPayload(f'the request must start with "configuration" or "subscription" and not {wish[:40]!r}')
        return [ConfigurationRequest(named["apikey"], named["device"], wish, tuple(fields))]
    if named.get("attr"):
        return [Measure(named["apikey"], named["device"], {named["attr"]: typed(text)}, named.get("t"))]
    return [_measure(named, group) for group in text.split("#")]


def _measure(named: Mapping[str, str], group: str) -> Measure:
    fields = group.removeprefix("|").split("|")
    time = fields.pop(0) if len(fields) % 2 else None
    if not fields or not all(fields):
        raise BadPayload(f"group {group[:80]!r}: fields come in pairs key|value, none of them empty")
    values = {key: typed(value) for key, value in zip(fields[::2], fields[1::2], strict=True)}
    if 2 * len(values) < len(fields):
        twice = next(key for key in values if fields[::2].count(key) > 1)
        raise BadPayload(f"group {group[:80]!r} has {twice[:40]!r} twice: which one is meant? Groups are parted by #")
    inner = values.pop(TIME, None)
    return Measure(named["apikey"], named["device"], values, named.get("t") or time or inner)


def typed(text: str) -> Any:
    """Return the JSON value that the text writes, else the text. Raises BadPayload for a member twice in an object."""
    try:
        return json_body.parse(text.encode()) if text[0] in "{[" else orjson.loads(text)
    except (orjson.JSONDecodeError, json_body.NotJson):
        return text


def _result(named: Mapping[str, str], text: str) -> CommandResult:
    head, _, result = text.partition("|")
    device, at, command = head.partition("@")
    if not at or not command:
        raise BadPayload(f"result {text[:80]!r} must have the form device@command|result")
    if device and device != named["device"]:
        raise BadPayload(f"result of device {device[:40]!r} on the topic of device {named['device'][:40]!r}")
    return CommandResult(named["apikey"], named["device"], command, typed(result))
