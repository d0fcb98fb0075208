"""The errors of the provisioning API, in name, text and status those of iotagent-node-lib (lib/errors.js)."""

from __future__ import annotations

from typing import Any

import orjson


class ProvisioningError(Exception):
    """Answered as {"name", "message"}."""

    def __init__(self, name: str, status: int, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.status = status

    def body(self) -> dict[str, str]:
        """Return the body of the answer."""
        return {"name": self.name, "message": str(self)}


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()


def missing_headers(names: list[str]) -> ProvisioningError:
    """Return the error for absent headers or mandatory query parameters."""
    return ProvisioningError("MISSING_HEADERS", 400, f"Some headers were missing from the request: {_text(names)}")


def wrong_syntax(detail: str) -> ProvisioningError:
    """Return the error of a body that is not of the documented form; `detail` names the member."""
    return ProvisioningError(
        "WRONG_SYNTAX", 400, f"Wrong syntax in request: Errors found validating request. {detail}".rstrip()
    )


def missing_attributes(names: list[str], given: Any) -> ProvisioningError:
    """Return the error of a device that lacks a mandatory member."""
    return ProvisioningError(
        "MISSING_ATTRIBUTES",
        400,
        f"The request was not well formed:Missing attributes: {_text(names)} with: {_text(given)}",
    )


def missing_config_params(names: list[str]) -> ProvisioningError:
    """Return the error of a group that lacks a mandatory member."""
    return ProvisioningError(
        "MISSING_CONFIG_PARAMS", 400, f"The following mandatory configuration parameters were missing: {_text(names)}"
    )


def bad_request(detail: str) -> ProvisioningError:
    """Return the error of a request for something that cannot be."""
    return ProvisioningError("BAD_REQUEST", 400, f"Request error connecting to the Context Broker: {detail}")


def duplicate_group(group: dict[str, Any]) -> ProvisioningError:
    """Return the error for a group whose resource and apikey are taken."""
    return ProvisioningError(
        "DUPLICATE_GROUP",
        409,
        f"A device configuration already exists for resource {group['resource']} and API Key {group['apikey']}",
    )


def duplicate_device(device_id: str) -> ProvisioningError:
    """Return the error for a device that is there already."""
    return ProvisioningError(
        "DUPLICATE_DEVICE_ID",
        409,
        f"A device with the same info (DeviceId, ApiKey, Service, Subservice) was found:{device_id}",
    )


def device_not_found(device_id: str, where: dict[str, Any]) -> ProvisioningError:
    """Return the error for a device that the service path does not have."""
    return ProvisioningError("DEVICE_NOT_FOUND", 404, f"No device was found with id:{device_id} and {_text(where)}")


def group_not_found(resource: str, apikey: str) -> ProvisioningError:
    """Return the error for a group that does not exist."""
    fields, values = _text(["resource", "apikey"]), _text({"resource": resource, "apikey": apikey})
    return ProvisioningError(
        "DEVICE_GROUP_NOT_FOUND", 404, f"Couldn't find device group for fields: {fields} and values: {values}"
    )


def mismatched_service() -> ProvisioningError:
    """Return the error for a group of another service or service path."""
    return ProvisioningError(
        "MISMATCHED_SERVICE", 403, "The declared service didn't match the stored one in the entity"
    )
