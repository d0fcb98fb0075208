"""FIWARE IoT-Agent JSON (iotagent-json docs/usermanual.md): measures, multimeasures, results, configuration requests.

A measure is an object of attribute values, `TimeInstant` among them its time; an array of objects is several
measures. On the single-attribute topic a body that is no JSON is taken as hexadecimal digits, as the reference agent
does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from tsunagu.adapters import json_body
from tsunagu.adapters.errors import BadPayload
from tsunagu.adapters.iotagent_json.soap import parse_xml
from tsunagu.adapters.message import CommandResult, ConfigurationRequest, Measure, Message, Reading

if TYPE_CHECKING:
    from collections.abc import Mapping

TIME = "TimeInstant"


def decode(message: Message) -> list[Reading]:
    """Return the readings of a message. Raises BadPayload."""
    named = message.named
    action = named.get("action", "measure")
    if action == "measure":
        attribute = named.get("attr")
        values = [{attribute: single_value(message)}] if attribute else measures_of(json_body.parse(message.body))
        return [_measure(named, one) for one in values]
    body = json_body.parse(message.body)
    if action == "result":
        return [
            CommandResult(named["apikey"], named["device"], command, result)
            for one in measures_of(body)
            for command, result in one.items()
            if command != TIME
        ]
    return [_configuration(named, one) for one in measures_of(body)]


def measures_of(body: Any) -> list[dict[str, Any]]:
    """Return the measures of a body: an object, or an array of objects. Raises BadPayload."""
    bodies = body if isinstance(body, list) else [body]
    for i, one in enumerate(bodies):
        if not isinstance(one, dict):
            where = f"[{i}]" if isinstance(body, list) else ""
            raise BadPayload(
                f'payload{where} must be an object of attribute values, e.g. {{"t": 21.5}}, '
                f"and not {type(one).__name__}"
            )
    return bodies


def single_value(message: Message) -> Any:
    """Return the value of a single-attribute message by its content type; without one JSON, else hexadecimal."""
    kind = message.content_type.partition(";")[0].strip().lower()
    if kind == "text/plain":
        return message.body.decode("utf-8", "replace")
    if kind == "application/octet-stream":
        return message.body.hex()
    if kind == "application/soap+xml":
        return parse_xml(message.body)
    if kind:
        return json_body.parse(message.body)
    try:
        return orjson.loads(message.body)
    except orjson.JSONDecodeError:
        return message.body.hex()


def _measure(named: Mapping[str, str], values: dict[str, Any]) -> Measure:
    time = named.get("t") or values.get(TIME)
    if TIME in values:
        values = {key: value for key, value in values.items() if key != TIME}
    return Measure(named["apikey"], named["device"], values, time)


def _configuration(named: Mapping[str, str], body: dict[str, Any]) -> ConfigurationRequest:
    wish, fields = body.get("type"), body.get("fields")
    if wish not in ("configuration", "subscription"):
        raise BadPayload(f'type must be "configuration" or "subscription" and not {wish!r}')
    if not isinstance(fields, list) or not all(isinstance(name, str) for name in fields):
        raise BadPayload("fields must be a list of attribute names")
    return ConfigurationRequest(named["apikey"], named["device"], wish, tuple(fields))
