"""Holding updates against the shipped data models (schemas.models), in one of four modes.

`internal_attributes.validation` of group or device: "off"; "warn" (the default) stores the value and marks it
suspect; "quarantine" sets the message aside; "reject" refuses it and keeps nothing. Pictures are refused for cameras
in every mode and every format.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.adapters.camera.images import holds_image
from tsunagu.adapters.errors import BadMeasure, DeviceError, ImageRefused
from tsunagu.schemas.models import models

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tsunagu.adapters.sink import EntityUpdate

MODES = ("off", "warn", "quarantine", "reject")
CAMERAS = frozenset(("Camera",))


class Rejected(Exception):
    """The message is refused, and nothing of it is to be kept."""

    def __init__(self, error: DeviceError) -> None:
        super().__init__(str(error))
        self.error = error


def mode_of(settings: Mapping[str, Any]) -> str:
    """Return the mode that the settings name. Raises BadMeasure."""
    mode = settings.get("validation", "warn")
    if mode not in MODES:
        raise BadMeasure(f"internal_attributes.validation: {mode!r} is none of {', '.join(MODES)}")
    return str(mode)


def check_update(update: EntityUpdate, mode: str) -> None:
    """Check an update; in mode "warn" mark what is suspect. Raises BadMeasure, ImageRefused, Rejected."""
    if update.type in CAMERAS:
        place = holds_image(update.attrs)
        if place is not None:
            raise ImageRefused(f"{place}: pictures never enter the broker; send a reference instead")
    model = models().get(update.type)
    if model is None or mode == "off":
        return
    for name, instance in update.attrs.items():
        check = model.checks.get(name)
        finding = check.finding(instance) if check is not None else None
        if finding is None:
            continue
        if mode == "warn":
            instance["quality"] = suspect(finding)
        elif mode == "quarantine":
            raise BadMeasure(f"{name} {finding} ({update.type})")
        else:
            raise Rejected(BadMeasure(f"{name} {finding} ({update.type})"))


def suspect(reason: str) -> dict[str, Any]:
    """Return the sub-attribute that marks a value as suspect and says why."""
    return {"type": "Property", "value": "suspect", "reason": {"type": "Property", "value": reason}}
