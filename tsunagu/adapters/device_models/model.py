"""The form of a device model's file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, StrictBool

from tsunagu.adapters.devices.plan import compile_plan
from tsunagu.adapters.errors import DeviceError
from tsunagu.adapters.provisioning import bodies
from tsunagu.adapters.provisioning.bodies import Attribute, Command, Name, ObjectOrList, Part, StaticAttribute
from tsunagu.adapters.provisioning.errors import wrong_syntax

if TYPE_CHECKING:
    from tsunagu.adapters.catalogue import Entry

ID = r"[a-z0-9][a-z0-9-]{0,63}"
VERSION = r"\d{1,5}\.\d{1,5}\.\d{1,5}"
REFERENCE = re.compile(rf"({ID})(?:@({VERSION}))?")
TEMPLATE = (
    *("entity_type", "explicitAttrs", "attributes", "static_attributes", "commands", "timezone"),
    *("payloadType", "transport", "internal_attributes"),
)


class Requirement(Part):
    """A static attribute that each device must give: where it hangs, how high its zero point is."""

    name: Name
    description: str = ""
    unitCode: str | None = None  # noqa: N815 - NGSI-LD's name


class Golden(Part):
    """A message, in the form of the preview, and the entities that it must become.

    An expected id or value "*" takes any, for what differs from town to town (a tag's pseudonym).
    """

    title: str
    group: dict[str, Any] = Field(default_factory=dict)
    device: dict[str, Any] = Field(default_factory=dict)
    message: dict[str, Any]
    entities: list[dict[str, Any]]


class DeviceModel(Part):
    """A device model. What is not of the catalogue card is in the form of the provisioning API."""

    id: Annotated[str, Field(pattern=f"^{ID}$")]
    version: Annotated[str, Field(pattern=f"^{VERSION}$")]
    title: Annotated[str, Field(min_length=1, max_length=200)]
    brandName: str = ""  # noqa: N815 - Smart Data Models' names
    modelName: str = ""  # noqa: N815
    manufacturer: str = ""
    documentation: str = ""
    source: str = ""
    entity_type: Name
    explicitAttrs: StrictBool | str | list[Any] | None = None  # noqa: N815 - FIWARE's name
    attributes: list[Attribute] = Field(default_factory=list)
    static_attributes: list[StaticAttribute] = Field(default_factory=list)
    commands: list[Command] = Field(default_factory=list)
    timezone: str | None = None
    payloadType: str | None = None  # noqa: N815 - FIWARE's name
    transport: str | None = None
    internal_attributes: ObjectOrList = Field(default_factory=dict)
    requires: list[Requirement] = Field(default_factory=list)
    golden: list[Golden] = Field(default_factory=list)


def checked(body: Any) -> Entry:
    """Return a model that can work. Raises ProvisioningError naming the member."""
    model = bodies.check(DeviceModel, body)
    statics = [{"name": one["name"], "type": "Number", "value": 1} for one in model.get("requires", ())]
    try:
        compile_plan({"device_id": "device", "static_attributes": statics, "template": model}, {})
    except DeviceError as error:
        raise wrong_syntax(str(error)) from None
    return model


def reference(text: Any) -> tuple[str, str | None]:
    """Return id and version (None: the newest) that a reference names. Raises ProvisioningError."""
    match = REFERENCE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise wrong_syntax("model: right would be e.g. milesight-em500-swl or milesight-em500-swl@1.0.0")
    return match[1], match[2]


def ordered(version: str) -> tuple[int, ...]:
    """Return a version for comparison."""
    return tuple(int(part) for part in version.split("."))
