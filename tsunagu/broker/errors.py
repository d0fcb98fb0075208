"""The errors that an NGSI-LD operation can end with (ETSI GS CIM 009 v1.9.1, 5.5.2 and 6.3.2).

The tree::

    NgsiError
    ├── InvalidRequest          400  the request itself is malformed (not JSON, unknown parameter)
    ├── BadRequestData          400  the data does not meet the standard's requirements
    ├── AlreadyExists           409  the entity, subscription … is there already
    ├── Conflict                409  a registration stands in the way, or nothing of the request could be done
    ├── ResourceNotFound        404  no such entity, attribute, subscription …
    ├── NonexistentTenant       404  no such tenant
    ├── OperationNotSupported   422  the broker is not able to do this
    ├── TooComplexQuery         403  the query costs more than the operator allows
    ├── TooManyResults          403  the answer would be larger than the operator allows
    ├── PreconditionFailed      412  If-Match names another version of the entity (ours)
    ├── PayloadTooLarge         413  the body is larger than the operator allows
    ├── LdContextNotAvailable   504  a remote @context cannot be had
    ├── Unavailable             503  the store, or a queue, cannot take the request now; try again
    └── InternalError           500  a fault of ours
"""

from __future__ import annotations

ERROR_BASE = "https://uri.etsi.org/ngsi-ld/errors/"


class NgsiError(Exception):
    """An error with the standard's type, a title for programs and a detail for people.

    `detail` names the member that is wrong and says what would be right.
    """

    type: str = ERROR_BASE + "InternalError"
    title: str = "Internal error"
    status: int = 500

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title

    def problem(self) -> dict[str, object]:
        """Return the problem document of 5.5.3: type, title, status, detail."""
        return {"type": self.type, "title": self.title, "status": self.status, "detail": self.detail}


class InvalidRequest(NgsiError):
    """The request associated to the operation is syntactically invalid or has wrong content."""

    type = ERROR_BASE + "InvalidRequest"
    title = "Invalid request"
    status = 400


class BadRequestData(NgsiError):
    """The request includes input data which does not meet the requirements of the operation."""

    type = ERROR_BASE + "BadRequestData"
    title = "Bad request data"
    status = 400


class AlreadyExists(NgsiError):
    """The referred element already exists."""

    type = ERROR_BASE + "AlreadyExists"
    title = "Already exists"
    status = 409


class Conflict(NgsiError):
    """The operation conflicts with what is there (5.9.2.4, 6.3.17)."""

    type = ERROR_BASE + "Conflict"
    title = "Conflict"
    status = 409


class ResourceNotFound(NgsiError):
    """The referred resource has not been found."""

    type = ERROR_BASE + "ResourceNotFound"
    title = "Resource not found"
    status = 404


class NonexistentTenant(NgsiError):
    """The addressed tenant does not exist."""

    type = ERROR_BASE + "NonexistentTenant"
    title = "Nonexistent tenant"
    status = 404


class OperationNotSupported(NgsiError):
    """The operation is not supported."""

    type = ERROR_BASE + "OperationNotSupported"
    title = "Operation not supported"
    status = 422


class TooComplexQuery(NgsiError):
    """The query associated to the operation is too complex and cannot be resolved."""

    type = ERROR_BASE + "TooComplexQuery"
    title = "Too complex query"
    status = 403


class TooManyResults(NgsiError):
    """The query associated to the operation is producing too many results."""

    type = ERROR_BASE + "TooManyResults"
    title = "Too many results"
    status = 403


class PreconditionFailed(NgsiError):
    """The entity has another version than the one that If-Match names (extension of ours)."""

    type = ERROR_BASE + "PreconditionFailed"
    title = "Precondition failed"
    status = 412


class PayloadTooLarge(NgsiError):
    """The body has more bytes than the operator allows."""

    type = ERROR_BASE + "PayloadTooLarge"
    title = "Payload too large"
    status = 413


class LdContextNotAvailable(NgsiError):
    """A remote JSON-LD @context referenced in the request cannot be retrieved."""

    type = ERROR_BASE + "LdContextNotAvailable"
    title = "Context not available"
    status = 504


class Unavailable(NgsiError):
    """The broker cannot take the request now; the same request may be sent again.

    `retry_after` is in seconds and becomes the Retry-After header.
    """

    type = ERROR_BASE + "Unavailable"
    title = "Service unavailable"
    status = 503

    def __init__(self, detail: str = "", retry_after: int = 2) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class InternalError(NgsiError):
    """A fault of the broker."""
