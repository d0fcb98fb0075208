"""The one place where errors become HTTP (ETSI GS CIM 009 v1.9.1, 5.5.2, 5.5.3, 6.3.2, 6.3.3)."""

from __future__ import annotations

import orjson
import structlog

from tsunagu.broker.api.call import Answer
from tsunagu.broker.errors import InternalError, InvalidRequest, NgsiError, Unavailable

log = structlog.get_logger(__name__)

JSON_TYPE = (b"content-type", b"application/json")


class MethodNotAllowed(NgsiError):
    """The resource is there, but not with this method; `allowed` becomes the Allow header."""

    type = InvalidRequest.type
    title = "Method not allowed"
    status = 405

    def __init__(self, detail: str, allowed: str) -> None:
        super().__init__(detail)
        self.allowed = allowed


class NotAcceptable(NgsiError):
    """No representation that the Accept header allows is offered; `offers` lists those that are (6.3.4)."""

    type = InvalidRequest.type
    title = "Not acceptable"
    status = 406

    def __init__(self, detail: str, offers: tuple[str, ...]) -> None:
        super().__init__(detail)
        self.offers = offers

    def problem(self) -> dict[str, object]:
        """Return the problem document with the list of the available representations."""
        return {**super().problem(), "availableRepresentations": list(self.offers)}


class RequestTimeout(NgsiError):
    """A request did not arrive whole in the time it may take."""

    type = InvalidRequest.type
    title = "Request timeout"
    status = 408


class ClientGone(NgsiError):
    """Nobody waits for the answer any more; nothing was done. Only the metrics see the status, which is nginx's."""

    type = InvalidRequest.type
    title = "Client closed the request"
    status = 499


class UriTooLong(NgsiError):
    """The request's URI has more bytes than the server takes."""

    type = InvalidRequest.type
    title = "URI too long"
    status = 414


class HeadTooLarge(NgsiError):
    """The request's headers have more bytes than the server takes."""

    type = InvalidRequest.type
    title = "Request header fields too large"
    status = 431


class Bare(NgsiError):
    """A refusal that carries a status only and no body (6.3.4)."""


class LengthRequired(Bare):
    """A POST, PUT or PATCH request came without Content-Length."""

    title = "Length required"
    status = 411


class UnsupportedMediaType(Bare):
    """The body is neither application/json nor application/ld+json."""

    title = "Unsupported media type"
    status = 415


class UnsupportedCoding(UnsupportedMediaType):
    """The body is compressed; the answer's Accept-Encoding says that it must not be (RFC 9110, 12.5.3)."""


def problem_answer(error: NgsiError) -> Answer:
    """Return the answer for an error: its problem document as application/json, with the headers that belong to it."""
    if isinstance(error, Bare):
        coding = isinstance(error, UnsupportedCoding)
        return Answer(error.status, None, [(b"accept-encoding", b"identity")] if coding else [])
    answer = Answer(error.status, orjson.dumps(error.problem()), [JSON_TYPE])
    if isinstance(error, MethodNotAllowed):
        answer.headers.append((b"allow", error.allowed.encode()))
    elif isinstance(error, Unavailable):
        answer.headers.append((b"retry-after", str(error.retry_after).encode()))
    return answer


def fault_answer(operation: str, error: Exception) -> Answer:
    """Log an exception that nobody expected and return a 500 problem that says nothing about the inside."""
    log.error("request failed", operation=operation, exc_info=error)
    return problem_answer(InternalError("the broker failed to process the request; its log has the details."))
