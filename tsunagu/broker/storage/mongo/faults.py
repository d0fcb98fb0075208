"""What MongoDB's faults mean to a caller."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bson.errors import BSONError
from pymongo.errors import (
    ConnectionFailure,
    DocumentTooLarge,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    WTimeoutError,
)

from tsunagu.broker.errors import BadRequestData, NgsiError, TooComplexQuery, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

DUPLICATE_KEY = 11000
TOO_LARGE = frozenset({10334, 17419, 17420, 10003})
GEO_KEYS = frozenset({16755, 16756, 16572, 16804})
BAD_QUERY = frozenset({2, 51091, 51108, 292})
SHUTTING_DOWN = frozenset({91, 189, 10107, 11600, 11602, 13435, 13436})
UNAVAILABLE = "the database is not reachable now; the same request may be sent again"


def is_outage(error: BaseException) -> bool:
    """Tell whether an error says that MongoDB is away, rather than that the request is wrong."""
    if isinstance(error, ConnectionFailure | ExecutionTimeout | WTimeoutError | TimeoutError):
        return True
    if isinstance(error, OperationFailure):
        return error.code in SHUTTING_DOWN or error.has_error_label("RetryableWriteError")
    return isinstance(error, PyMongoError) and error.timeout


def is_transient(error: BaseException) -> bool:
    """Tell whether the same transaction may succeed when it is tried again at once."""
    return isinstance(error, PyMongoError) and error.has_error_label("TransientTransactionError")


def refusal(error: BaseException, entity_id: str = "") -> NgsiError | None:
    """Return the client's error behind a failed write of one entity, None if it is not the client's."""
    where = f"entity {entity_id}: " if entity_id else ""
    if isinstance(error, DocumentTooLarge) or (isinstance(error, OperationFailure) and error.code in TOO_LARGE):
        return BadRequestData(
            f"{where}the entity is larger than 16 MiB; split it, or keep large values elsewhere and refer to them"
        )
    if isinstance(error, OverflowError):
        return BadRequestData(
            f"{where}an integer is outside -2^63 … 2^63-1; send it as a string or a floating-point number"
        )
    if isinstance(error, BSONError):
        return BadRequestData(f"{where}a value cannot be stored: {error}")
    if isinstance(error, OperationFailure) and error.code in GEO_KEYS:
        reason = str(error)[:200]
        return BadRequestData(f"{where}a GeoProperty has a geometry that cannot be indexed: {reason}")
    return None


@contextmanager
def translated() -> Iterator[None]:
    """Turn MongoDB's faults inside the block into errors of the broker."""
    try:
        yield
    except NgsiError:
        raise
    except (PyMongoError, TimeoutError, BSONError, OverflowError) as error:
        if is_outage(error) or is_transient(error):
            raise Unavailable(UNAVAILABLE) from error
        known = refusal(error)
        if known is not None:
            raise known from error
        if isinstance(error, OperationFailure) and error.code in BAD_QUERY:
            raise TooComplexQuery(
                f"the database cannot evaluate this query: {error.details.get('errmsg') if error.details else error}"
            ) from error
        raise
