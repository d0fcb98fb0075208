"""405 of the FastAPI resources: `Allow` names every method of a path, not only those of its first route."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.responses import JSONResponse
from starlette.routing import compile_path

if TYPE_CHECKING:
    from fastapi import FastAPI, Request, Response


def matches(template: str, path: str) -> bool:
    """Return whether a path is one of a template such as /iot/devices/{id}."""
    return compile_path(template)[0].match(path) is not None


def tell_allowed_methods(app: FastAPI) -> None:
    """Have an application answer a wrong method with a problem and the methods that are right (RFC 9110, 15.5.6)."""

    @app.exception_handler(405)
    async def refuse(request: Request, _: Exception) -> Response:
        known = [methods for path, methods in app.openapi()["paths"].items() if matches(path, request.url.path)]
        allowed = ", ".join(sorted({method.upper() for methods in known for method in methods}))
        detail = f"{request.method[:20]} is not possible here; possible are {allowed}"
        problem = {
            "type": "https://uri.etsi.org/ngsi-ld/errors/InvalidRequest",
            "title": "Method not allowed",
            "status": 405,
            "detail": detail,
        }
        return JSONResponse(problem, 405, headers={"Allow": allowed})
