"""What a command becomes on its way to a device (iotagent-json docs/usermanual.md, "Commands transformations").

A device that speaks JSON gets {"turn": "left"}, one that speaks Ultralight device@turn|left. A command's `expression`
gives the whole payload instead, from the value by the command's name and the device's static attributes; its
`payloadType` says how that is written.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson

from tsunagu.adapters.errors import BadMeasure, BadPayload, DeviceError
from tsunagu.adapters.jexl import compile_expression
from tsunagu.adapters.jexl.operators import as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tsunagu.adapters.catalogue import Entry
    from tsunagu.adapters.devices.plan import Plan

ULTRALIGHT = frozenset(("/iot/d", "/iot/ul"))
HEX_PAIRS = re.compile(r"(?:[0-9A-Fa-f]{2})*")


def _from_hex(value: Any) -> bytes:
    """Return the bytes of hexadecimal digits, as far as they come in pairs; of a list each number is a byte."""
    if isinstance(value, list):
        return bytes(int(as_text(part)) & 0xFF for part in value)
    match = HEX_PAIRS.match(as_text(value))
    return bytes.fromhex(match[0] if match else "")


def _from_string(value: Any) -> bytes:
    return (",".join(as_text(part) for part in value) if isinstance(value, list) else as_text(value)).encode()


# payloadType → how the value alone is written; the others write JSON.
WRITERS: dict[str, Callable[[Any], bytes]] = {
    "binaryfromstring": _from_string,
    "binaryfromhex": _from_hex,
    "text": _from_string,
}
PAYLOAD_TYPES = (*WRITERS, "binaryfromjson", "json")


def check_command(command: Mapping[str, Any], where: str) -> None:
    """Raise BadMeasure or BadExpression for a command that cannot work; `where` names it."""
    kind = command.get("payloadType")
    if kind is not None and kind.lower() not in PAYLOAD_TYPES:
        raise BadMeasure(f"{where}.payloadType: {kind!r} is none of {', '.join(PAYLOAD_TYPES)}")
    if command.get("expression"):
        try:
            compile_expression(command["expression"])
        except DeviceError as error:
            raise type(error)(f"{where}.expression: {error}") from None
    qos = (command.get("mqtt") or {}).get("qos", 0)
    if str(qos) not in ("0", "1", "2"):
        raise BadMeasure(f"{where}.mqtt.qos must be 0, 1 or 2")


def payload_of(plan: Plan, command: Entry, value: Any) -> bytes:
    """Return what goes to the device. Raises BadExpression, BadMeasure."""
    name, ultralight = command["name"], plan.resource in ULTRALIGHT
    shaped = bool(command.get("expression"))
    if shaped:
        context = {**plan.variables, "entity_name": plan.entity_id, name: value}
        value = compile_expression(command["expression"]).evaluate(context)
        if value is None:
            raise BadMeasure(f"{name}: its expression gives nothing for this value")
    if ultralight:
        return _ultralight(plan.device_id, name, value).encode()
    write = WRITERS.get((command.get("payloadType") or "json").lower())
    try:
        return write(value) if write is not None else orjson.dumps(value if shaped else {name: value})
    except ValueError:
        raise BadMeasure(f"{name}: {as_text(value)[:80]!r} cannot be written as {command['payloadType']}") from None


def _ultralight(device_id: str, name: str, value: Any) -> str:
    if isinstance(value, dict):
        return "|".join((f"{device_id}@{name}", *(f"{key}={as_text(part)}" for key, part in value.items())))
    return f"{device_id}@{name}|{as_text(value)}"


def content_type(plan: Plan, command: Entry) -> str:
    """Return the content type with which a command is pushed over HTTP."""
    return command.get("contentType") or ("text/plain" if plan.resource in ULTRALIGHT else "application/json")


def answer(entries: Sequence[Entry], *, ultralight: bool) -> bytes:
    """Return the answer to a device that fetched its commands."""
    if ultralight:
        return b"#".join(entry["payload"] for entry in entries)
    merged: dict[str, Any] = {}
    for entry in entries:
        try:
            payload = orjson.loads(entry["payload"])
        except orjson.JSONDecodeError:
            payload = entry["value"]
        merged.update(payload if isinstance(payload, dict) else {entry["name"]: payload})
    return orjson.dumps(merged)


def results_in(body: bytes, command: str, *, ultralight: bool) -> Any:
    """Return the result that a device's answer to a pushed command holds, None if it holds none.

    Raises BadPayload for an answer of another form: the command was sent all the same.
    """
    if not body.strip():
        return None
    if ultralight:
        head, _, result = body.decode("utf-8", "replace").partition("|")
        return result if head.partition("@")[2] == command else None
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadPayload("the device's answer is no JSON") from None
    return found.get(command) if isinstance(found, dict) else None
