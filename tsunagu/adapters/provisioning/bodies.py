"""The bodies of the provisioning API (iotagent-node-lib doc/api.md, lib/templates): which members, of which form.

What the reference checks is checked here as strictly; that an attribute, its expression or its metadata cannot work
is found by compiling it, so that an integrator hears of it now and not when the first measure comes.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, ValidationError

from tsunagu.adapters.command_payload import check_command
from tsunagu.adapters.devices.plan import compile_plan
from tsunagu.adapters.errors import DeviceError
from tsunagu.adapters.positions import check_settings
from tsunagu.adapters.provisioning.errors import wrong_syntax
from tsunagu.adapters.sightings import TagRules
from tsunagu.adapters.tabular.shape import shape_of

FORBIDDEN = re.compile(r"[<>();'=\"]")


def _free_of_forbidden(text: str) -> str:
    if not text or FORBIDDEN.search(text):
        raise ValueError("must not be empty nor contain any of < > ( ) ; ' = \"")
    return text


Name = Annotated[str, AfterValidator(_free_of_forbidden)]
ObjectOrList = dict[str, Any] | list[Any]


class Part(BaseModel):
    """A body or a part of one: unknown members are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Attribute(Part):
    """An active attribute."""

    object_id: str | None = None
    name: Name
    type: Name | None = None
    expression: str | None = None
    skipValue: Any = None  # noqa: N815 - FIWARE's name
    entity_name: str | None = None
    entity_type: str | None = None
    metadata: dict[str, Any] | None = None


class Mqtt(Part):
    """How a command is published."""

    qos: str | int | None = Field(None)
    retain: StrictBool | None = None


class Command(Part):
    """A command, or a lazy attribute."""

    object_id: str | None = None
    name: Name
    type: Name | None = None
    value: str | None = None
    expression: str | None = None
    payloadType: str | None = None  # noqa: N815 - FIWARE's name
    contentType: str | None = None  # noqa: N815 - FIWARE's name
    headers: dict[str, Any] | None = None
    mqtt: Mqtt | None = None
    metadata: dict[str, Any] | None = None


class StaticAttribute(BaseModel):
    """A static attribute; FIWARE leaves its form free."""

    model_config = ConfigDict(extra="allow", strict=True)

    name: Name
    type: str | None = None
    value: Any = None
    metadata: dict[str, Any] | None = None


class Shared(BaseModel):
    """The members that groups and devices have in common."""

    model_config = ConfigDict(extra="allow", strict=True)

    model: str | None = None
    entity_type: str | None = None
    apikey: str | None = None
    endpoint: str | None = None
    transport: str | None = None
    timezone: str | None = None
    timestamp: StrictBool | None = None
    autoprovision: StrictBool | None = None
    explicitAttrs: StrictBool | str | list[Any] | None = None  # noqa: N815 - FIWARE's name
    ngsiVersion: str | None = None  # noqa: N815 - FIWARE's name
    payloadType: str | None = None  # noqa: N815 - FIWARE's name
    storeLastMeasure: StrictBool | None = None  # noqa: N815 - FIWARE's name
    useCBflowControl: StrictBool | None = None  # noqa: N815 - FIWARE's name
    cmdMode: str | None = None  # noqa: N815 - FIWARE's name
    avoidLeadingSlash: StrictBool | None = None  # noqa: N815 - FIWARE's name
    attributes: list[Attribute] | None = None
    lazy: list[Command] | None = None
    commands: list[Command] | None = None
    static_attributes: list[StaticAttribute] | None = None
    internal_attributes: ObjectOrList | None = None


class Group(Shared):
    """A group of devices (formerly: service)."""

    apikey: str
    resource: str
    entityNameExp: str | None = None  # noqa: N815 - FIWARE's name
    defaultEntityNameConjunction: str | None = None  # noqa: N815 - FIWARE's name
    trust: str | None = None
    cbHost: str | None = None  # noqa: N815 - FIWARE's name
    description: str | None = None


class GroupChange(Shared):
    """What PUT changes of a group."""

    resource: str | None = None
    entityNameExp: str | None = None  # noqa: N815 - FIWARE's name
    defaultEntityNameConjunction: str | None = None  # noqa: N815 - FIWARE's name
    trust: str | None = None
    cbHost: str | None = None  # noqa: N815 - FIWARE's name
    description: str | None = None


class Device(Shared):
    """A device. `device_id` may be absent here: the reference names that error differently."""

    device_id: str | None = None
    entity_name: str | None = None
    protocol: str | None = None
    polling: StrictBool | None = None
    lastMeasure: dict[str, Any] | None = None  # noqa: N815 - FIWARE's name


class DeviceChange(Device):
    """What PUT changes of a device; unknown members are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Groups(Part):
    """The body of POST /iot/groups."""

    groups: list[Group]


class Services(Part):
    """The body of POST /iot/services."""

    services: list[Group]


class Devices(Part):
    """The body of POST /iot/devices."""

    devices: list[Device]


class Removal(BaseModel):
    """A device in the body of POST /iot/op/delete."""

    model_config = ConfigDict(extra="allow", strict=True)

    deviceId: str  # noqa: N815 - FIWARE's name
    apikey: str | None = None


class Removals(BaseModel):
    """The body of POST /iot/op/delete."""

    model_config = ConfigDict(extra="allow", strict=True)

    devices: list[Removal]


def check(model: type[BaseModel], body: Any) -> dict[str, Any]:
    """Return the members that the body gives, checked. Raises ProvisioningError naming the member."""
    try:
        return model.model_validate(body).model_dump(exclude_unset=True, by_alias=True)
    except ValidationError as error:
        raise wrong_syntax("; ".join(_place(one) for one in error.errors()[:5])) from None


def _place(error: Any) -> str:
    path = ""
    for part in error["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return f"{path or 'body'}: {error['msg']}"


def check_plan(device: dict[str, Any], group: dict[str, Any]) -> None:
    """Compile what was provisioned. Raises ProvisioningError naming the member that cannot work."""
    try:
        plan = compile_plan({"device_id": "device", **device}, group)
        TagRules.of(plan.settings)
        check_settings(plan.settings)
        shape_of(plan.settings)
        for i, command in enumerate(plan.commands):
            check_command(command, f"commands[{i}].{command['name']}")
    except DeviceError as error:
        raise wrong_syntax(str(error)) from None
