"""The routes of /tsunagu/v1/devices/models: list, export, import, check, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response

from tsunagu.adapters.device_models import golden
from tsunagu.adapters.device_models.model import checked
from tsunagu.adapters.device_models.store import ModelStore, shipped
from tsunagu.adapters.management.requests import Problem, json_answer, json_object, tenant_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tsunagu.adapters.catalogue import Entry

    Look = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]


def add_models(router: APIRouter, models: ModelStore, look: Look) -> None:
    """Add the routes. `look` previews a message for a tenant."""

    async def model_of(request: Request, name: str) -> Entry:
        model = await models.find(tenant_of(request), name)
        if model is None:
            raise Problem(404, f"{name}: there is no such model")
        return model

    async def results(request: Request, model: Entry) -> list[dict[str, Any]]:
        tenant = tenant_of(request)

        async def preview(body: dict[str, Any]) -> dict[str, Any]:
            return await look(tenant, body)

        return await golden.run(model, preview)

    @router.get("/models", summary="The device models that groups and devices may name")
    async def list_models(request: Request) -> Response:
        ours = {(model["id"], model["version"]) for model in shipped()}
        found = [
            {
                "id": model["id"],
                "version": model["version"],
                "title": model["title"],
                "entityType": model["entity_type"],
                "shipped": (model["id"], model["version"]) in ours,
                "requires": [one["name"] for one in model.get("requires") or ()],
            }
            for model in await models.of(tenant_of(request))
        ]
        return json_answer({"count": len(found), "models": found})

    @router.post("/models", summary="Import a device model, once its golden messages become what it says")
    async def import_model(request: Request) -> Response:
        model = checked(await json_object(request))
        failed = [one for one in await results(request, model) if not one["ok"]]
        if failed:
            told = "; ".join(f"{one['title']}: {', '.join(one['differences'][:3])}" for one in failed)
            raise Problem(400, f"golden: {told}")
        following = await models.add(tenant_of(request), model)
        return json_answer({"id": model["id"], "version": model["version"], "following": following}, 201)

    @router.get("/models/{name}", summary="Export a device model: a file that can be shared")
    async def export_model(request: Request, name: str) -> Response:
        return json_answer(await model_of(request, name))

    @router.post("/models/{name}/check", summary="Run the golden messages of a device model")
    async def check_model(request: Request, name: str) -> Response:
        found = await results(request, await model_of(request, name))
        return json_answer({"ok": all(one["ok"] for one in found), "results": found})

    @router.delete("/models/{name}", summary="Remove one version of a model of the tenant's own")
    async def delete_model(request: Request, name: str) -> Response:
        if "@" not in name:
            raise Problem(400, f"{name}: name the version, e.g. {name}@1.0.0")
        if not await models.remove(tenant_of(request), name):
            raise Problem(404, f"{name}: the tenant has no such model of its own")
        return Response(status_code=204)
