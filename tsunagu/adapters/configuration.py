"""Devices that ask for values of their entity (iotagent-json usermanual, "Bidirectional configuration").

The answer goes to `<key>/<device>/configuration/values` over MQTT, or to `<endpoint>/configuration` over HTTP: JSON
{"field": value …, "dt": "20260719T041000Z"}, or in Ultralight `field=value|…|dt=20260719T041000Z`. Fields that the
entity does not have are left out. A request for a "subscription" is answered in the same way, and kept
(`configuration_subscriptions.py`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from tsunagu.adapters import clock
from tsunagu.adapters.command_payload import ULTRALIGHT
from tsunagu.adapters.command_push import headers_of, url_of
from tsunagu.adapters.errors import DeviceError
from tsunagu.adapters.jexl.operators import as_text
from tsunagu.adapters.mapping import VALUE_MEMBERS
from tsunagu.adapters.sink import SinkUnavailable

if TYPE_CHECKING:
    from tsunagu.adapters.commands import Commands
    from tsunagu.adapters.devices.plan import Plan
    from tsunagu.adapters.message import ConfigurationRequest

log = structlog.get_logger(__name__)


async def answer_configuration(commands: Commands, plan: Plan, request: ConfigurationRequest) -> bool:
    """Send a device the values it asked for; tell whether it was reached. Raises SinkUnavailable."""
    stored = await commands.sink.read(plan.tenant, plan.entity_id) or {}
    values = {name: _value(stored[name]) for name in request.fields if name in stored}
    body = configuration_body(values, clock.now(), ultralight=plan.resource in ULTRALIGHT)
    try:
        await _send(commands, plan, body)
    except (SinkUnavailable, DeviceError) as error:
        log.warning("a device's configuration was not sent", tenant=plan.tenant, reason=str(error)[:200])
        return False
    return True


def configuration_body(values: dict[str, Any], now: int, *, ultralight: bool) -> bytes:
    """Return the answer with the time `dt` in it."""
    values = {**values, "dt": f"{datetime.fromtimestamp(now / 1000, UTC):%Y%m%dT%H%M%SZ}"}
    if ultralight:
        return "|".join(f"{name}={as_text(value)}" for name, value in values.items()).encode()
    return orjson.dumps(values)


async def _send(commands: Commands, plan: Plan, body: bytes) -> None:
    """Send it where the device takes its commands. Raises SinkUnavailable, DeviceError."""
    url = url_of(plan, "configuration", None) if plan.transport != "MQTT" else None
    if url is not None and commands.pusher is not None:
        headers = headers_of(plan, {"name": "configuration"}, None, "application/json")
        pushed = await commands.pusher.push(f"{url}/configuration", body, headers)
        if not pushed.ok:
            raise SinkUnavailable(pushed.fault)
    elif commands.publisher is not None:
        topic = f"{plan.slash}{plan.apikey}/{plan.device_id}/configuration/values"
        await commands.publisher.publish(plan.tenant, topic, body, qos=1, retain=False)


def _value(instance: Any) -> Any:
    one = instance[0] if isinstance(instance, list) else instance
    return next((one[member] for member in VALUE_MEMBERS if member in one), None)
