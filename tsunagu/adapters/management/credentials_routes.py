"""The routes of credentials and labels under /tsunagu/v1/devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response

from tsunagu.adapters.catalogue import DEVICES
from tsunagu.adapters.management import credentials, labels
from tsunagu.adapters.management.requests import Problem, json_answer, json_object, path_of, tenant_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tsunagu.adapters.catalogue import Entry
    from tsunagu.adapters.provisioning.store import ProvisioningStore

LONGEST_OVERLAP = 90 * 24 * 3600.0
ONCE = {"Cache-Control": "no-store"}


def add_credentials(router: APIRouter, store: ProvisioningStore) -> None:
    """Add the routes."""

    async def device_of(request: Request, device_id: str) -> Entry:
        return await store.stored(tenant_of(request), path_of(request), device_id, request.query_params.get("apikey"))

    @router.get("/credentials", summary="Which devices have credentials of their own, and which share an apikey (weak)")
    async def list_credentials(request: Request) -> Response:
        text = request.query_params.get("weak")
        if text not in (None, "true", "false"):
            raise Problem(400, "weak must be true or false")
        found = await credentials.listed(store, tenant_of(request), weak=None if text is None else text == "true")
        return json_answer({"count": len(found), "weak": sum(one["weak"] for one in found), "devices": found})

    @router.post("/credentials/rotate", summary="Give many devices new tokens, which are shown once")
    async def rotate(request: Request) -> Response:
        body = await json_object(request)
        devices = await _chosen(store, tenant_of(request), body)
        issued = await credentials.issue(store, tenant_of(request), devices, overlap=_overlap(body))
        return _labelled(request, issued)

    @router.get("/labels", summary="Labels of devices, without their secrets: CSV, or a page with QR codes")
    async def print_labels(request: Request) -> Response:
        where = {name: request.query_params[name] for name in ("apikey",) if name in request.query_params}
        devices = await store.catalogue.find(tenant_of(request), DEVICES, where)
        return _labelled(request, devices)

    @router.post("/{device_id}/credentials", summary="Give a device a new token, which is shown once")
    async def issue_token(request: Request, device_id: str) -> Response:
        body = await json_object(request) if await request.body() else {}
        device = await device_of(request, device_id)
        (issued,) = await credentials.issue(store, tenant_of(request), [device], overlap=_overlap(body))
        answer = json_answer({"deviceId": device["device_id"], "token": issued["token"]}, 201)
        answer.headers.update(ONCE)
        return answer

    @router.get("/{device_id}/credentials", summary="What a device shows to be itself, without the secret")
    async def get_credentials(request: Request, device_id: str) -> Response:
        return json_answer(credentials.shown(await device_of(request, device_id)))

    @router.put("/{device_id}/credentials/certificate", summary="Bind a device to a client certificate")
    async def pin_certificate(request: Request, device_id: str) -> Response:
        body = await json_object(request)
        if not isinstance(body.get("fingerprint"), str):
            raise Problem(400, "fingerprint: the SHA-256 of the certificate is needed")
        device = await credentials.pin(
            store, tenant_of(request), await device_of(request, device_id), body["fingerprint"]
        )
        return json_answer(credentials.shown(device))

    @router.delete("/{device_id}/credentials", summary="Take a device's credentials away: its apikey is enough again")
    async def withdraw(request: Request, device_id: str) -> Response:
        await credentials.withdraw(store, tenant_of(request), await device_of(request, device_id))
        return Response(status_code=204)


async def _chosen(store: ProvisioningStore, tenant: str, body: dict[str, Any]) -> list[Entry]:
    """Return the devices that a body chooses: by "apikey", by "devices", all that are weak. Raises Problem."""
    found = await store.catalogue.find(tenant, DEVICES)
    if "devices" in body:
        names = body["devices"]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise Problem(400, "devices must be a list of device ids")
        found = [device for device in found if device["device_id"] in set(names)]
        missing = set(names) - {device["device_id"] for device in found}
        if missing:
            raise Problem(404, f"devices: there is no {', '.join(sorted(missing)[:5])}")
    elif not body.get("apikey") and body.get("weak") is not True:
        raise Problem(400, 'devices, apikey or "weak": true is needed: which devices get new tokens')
    if body.get("apikey"):
        found = [device for device in found if device.get("apikey") == body["apikey"]]
    if body.get("weak") is True:
        found = [device for device in found if credentials.shown(device)["weak"]]
    return found


def _overlap(body: dict[str, Any]) -> float:
    """Return how many seconds the old token counts on. Raises Problem."""
    value = body.get("overlap", 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST_OVERLAP:
        raise Problem(400, f"overlap must be a number of seconds from 0 to {LONGEST_OVERLAP:.0f}")
    return float(value)


def _labelled(request: Request, devices: Sequence[Entry]) -> Response:
    """Return devices as JSON, or as labels in the form that is asked for."""
    kind = request.query_params.get("format") or ""
    accept = request.headers.get("accept", "")
    if kind == "html" or (not kind and "text/html" in accept):
        return Response(labels.as_html(devices), headers=ONCE, media_type="text/html; charset=utf-8")
    if kind == "csv" or (not kind and "text/csv" in accept):
        return Response(labels.as_csv(devices), headers=ONCE, media_type="text/csv; charset=utf-8")
    if kind not in ("", "json"):
        raise Problem(400, "format must be json, csv or html")
    answer = json_answer({"count": len(devices), "devices": labels.rows(devices)})
    answer.headers.update(ONCE)
    return answer
