"""What the routes of /tsunagu/v1/devices share: reading a request, and answering errors as problem documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute

from tsunagu.adapters.errors import DeviceError
from tsunagu.adapters.provisioning.errors import ProvisioningError
from tsunagu.adapters.sink import SinkUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

ERRORS = "https://uri.etsi.org/ngsi-ld/errors/"
PROBLEMS = {400: ("BadRequestData", "Bad request data"), 404: ("ResourceNotFound", "Resource not found")}
PROBLEMS |= {409: ("AlreadyExists", "Already exists"), 415: ("BadRequestData", "Bad request data")}
MAX_PAGE = 1000


class Problem(Exception):
    """Answered as a problem document."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """Return a problem document of ETSI GS CIM 009, 5.5.3."""
    name, title = PROBLEMS.get(status, ("Unavailable", "Service unavailable"))
    body = {"type": ERRORS + name, "title": title, "status": status, "detail": detail}
    return Response(orjson.dumps(body), status, headers, media_type="application/json")


def route_class(unavailable: type[Exception]) -> type[APIRoute]:
    """Return a class of routes that answer errors as problem documents; `unavailable` says that the store is away."""

    class ProblemRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handler = super().get_route_handler()

            async def answer(request: Request) -> Response:
                try:
                    return await handler(request)
                except (Problem, ProvisioningError, DeviceError) as error:
                    return problem(error.status, str(error))
                except (SinkUnavailable, unavailable) as error:
                    return problem(503, f"try again: {error}", {"Retry-After": "2"})

            return answer

    return ProblemRoute


def json_answer(body: Any, status: int = 200) -> Response:
    """Return an answer with a JSON body."""
    return Response(orjson.dumps(body, default=str), status, media_type="application/json")


def tenant_of(request: Request) -> str:
    """Return the tenant that a request names, "" for the default one."""
    headers = request.headers
    return (headers.get("ngsild-tenant") or headers.get("fiware-service") or "").strip().lower()


def path_of(request: Request) -> str:
    """Return the service path that a request names."""
    return request.headers.get("fiware-servicepath", "/").strip() or "/"


async def json_object(request: Request) -> dict[str, Any]:
    """Return the JSON object of a body. Raises Problem."""
    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise Problem(400, f"the body must be an object and not {type(body).__name__}")
    return body


def page_of(request: Request) -> tuple[int, int]:
    """Return limit and offset. Raises Problem."""
    numbers = []
    for name, default in (("limit", 100), ("offset", 0)):
        text = request.query_params.get(name, str(default))
        if not text.isdigit():
            raise Problem(400, f"{name} must be a whole number from 0 on and not {text[:20]!r}")
        numbers.append(int(text))
    return min(numbers[0], MAX_PAGE) or MAX_PAGE, numbers[1]
