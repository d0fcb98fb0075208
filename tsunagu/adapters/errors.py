"""What can be wrong with a device message, in the names and HTTP statuses that FIWARE's IoT Agents use.

The tree::

    DeviceError
    ├── BadPayload          400  BAD_PAYLOAD                 the bytes are not of the format
    ├── MissingParameters   400  MANDATORY_PARAMS_NOT_FOUND  k, i or d is absent
    ├── UnsupportedType     400  UNSUPPORTED_TYPE            a content type that the route does not take
    ├── BadTimestamp        400  BAD_TIMESTAMP               a device time that cannot be read
    ├── BadMeasure          400  BAD_MEASURE                 a value or a name that cannot become an attribute
    ├── BadExpression       400  INVALID_EXPRESSION          a JEXL expression that cannot be parsed or computed
    ├── EntityRefused       400  ENTITY_REFUSED              the broker did not take the entity
    ├── ImageRefused        415  IMAGE_REFUSED               picture data: never taken
    ├── NotAllowed          401  NOT_ALLOWED                 the request does not show the credential that is needed
    ├── GroupNotFound       404  DEVICE_GROUP_NOT_FOUND      no group has this apikey
    ├── DeviceNotFound      404  DEVICE_NOT_FOUND            the group does not know the device
    ├── MethodNotAllowed    405  METHOD_NOT_ALLOWED          the path takes other methods
    ├── PathNotFound        404  NOT_FOUND                   no such path at the device door
    ├── TooLarge            413  PAYLOAD_TOO_LARGE           more bytes than the operator allows
    ├── AdapterFault        500  INTERNAL_ERROR              a fault of ours; the message is kept in the quarantine
    └── Busy                503  SERVICE_UNAVAILABLE         the queue is full; the same message may be sent again

`sink.SinkUnavailable` is not among them: nothing is wrong with the message then.
"""

from __future__ import annotations


class DeviceError(Exception):
    """A device message cannot be taken; the text names the member and says what would be right."""

    name = "DEVICE_ERROR"
    status = 400

    def body(self) -> dict[str, str]:
        """Return the body that FIWARE's agents answer with: {"name", "message"}."""
        return {"name": self.name, "message": str(self)}


class BadPayload(DeviceError):
    """The bytes are not of the format."""

    name = "BAD_PAYLOAD"


class MissingParameters(DeviceError):
    """A mandatory query parameter is absent."""

    name = "MANDATORY_PARAMS_NOT_FOUND"


class UnsupportedType(DeviceError):
    """The route does not take this content type."""

    name = "UNSUPPORTED_TYPE"


class BadTimestamp(DeviceError):
    """The device's time cannot be read."""

    name = "BAD_TIMESTAMP"


class BadMeasure(DeviceError):
    """A value or a name cannot become an attribute."""

    name = "BAD_MEASURE"


class BadExpression(DeviceError):
    """A JEXL expression cannot be parsed or computed."""

    name = "INVALID_EXPRESSION"


class EntityRefused(DeviceError):
    """The broker did not take the entity."""

    name = "ENTITY_REFUSED"


class ImageRefused(DeviceError):
    """Picture data never enters the broker; send a reference instead."""

    name = "IMAGE_REFUSED"
    status = 415


class NotAllowed(DeviceError):
    """The request does not show the credential that is needed."""

    name = "NOT_ALLOWED"
    status = 401


class GroupNotFound(DeviceError):
    """No group has this apikey."""

    name = "DEVICE_GROUP_NOT_FOUND"
    status = 404


class DeviceNotFound(DeviceError):
    """The group does not know the device and takes no unknown ones; `apikey` and `device_id` say which it would be."""

    name = "DEVICE_NOT_FOUND"
    status = 404

    def __init__(self, detail: str, *, apikey: str = "", device_id: str = "") -> None:
        super().__init__(detail)
        self.apikey = apikey
        self.device_id = device_id


class PathNotFound(DeviceError):
    """The device door has no such path."""

    name = "NOT_FOUND"
    status = 404


class MethodNotAllowed(DeviceError):
    """The path takes other methods."""

    name = "METHOD_NOT_ALLOWED"
    status = 405


class TooLarge(DeviceError):
    """The body has more bytes than the operator allows."""

    name = "PAYLOAD_TOO_LARGE"
    status = 413


class AdapterFault(DeviceError):
    """A fault of ours met this message; it is kept in the quarantine, and the log has the traceback."""

    name = "INTERNAL_ERROR"
    status = 500


class Busy(DeviceError):
    """As many messages wait as the operator allows; the same message may be sent again."""

    name = "SERVICE_UNAVAILABLE"
    status = 503
