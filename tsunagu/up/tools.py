"""The operator's tools of the command line, on the database of a broker that runs here or that MONGODB_URI names."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tsunagu.app.workbench import Workbench, workbench
from tsunagu.broker.errors import NgsiError
from tsunagu.up.brokers import read_settings
from tsunagu.up.folder import DataFolder
from tsunagu.up.problem import UpError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tool works: the data folder of a running `up`, the tenant, the URL of an @context."""

    data: Path
    tenant: str = ""
    context: str | None = None


def place_of(options: argparse.Namespace) -> Place:
    """Return the place that the command line names."""
    return Place(options.data, options.tenant, options.context)


def index(action: str, entity_type: str, attribute: str, place: Place) -> list[str]:
    """Add, drop or list declared indexes; returns what to print. Raises UpError."""

    async def work(bench: Workbench) -> list[str]:
        if action == "add":
            members = await bench.add_index(entity_type, attribute)
            return [f"{entity_type}.{attribute} is indexed ({', '.join(members)})"]
        if action == "drop":
            await bench.drop_index(entity_type, attribute)
            return [f"{entity_type}.{attribute} is indexed no more"]
        rows = await bench.list_indexes()
        return [f"{one}.{name} ({', '.join(members)})" for one, name, members in rows] or ["no index is declared"]

    return _run(work, place)


def explain(query: str, place: Place) -> list[str]:
    """Tell how the first page of a query is found; returns what to print. Raises UpError."""

    async def work(bench: Workbench) -> list[str]:
        found = await bench.explain(query)
        return [f"{name:20} {_text(value)}" for name, value in found.items()]

    return _run(work, place)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return json.dumps(value, default=str, ensure_ascii=False) if isinstance(value, dict) else str(value)


def _run(work: Callable[[Workbench], Awaitable[list[str]]], place: Place) -> list[str]:
    async def inside() -> list[str]:
        settings = read_settings(_variables(place.data))
        async with workbench(settings, tenant=place.tenant, context=place.context) as bench:
            return await work(bench)

    try:
        return asyncio.run(inside())
    except NgsiError as error:
        raise UpError(f"{error.title}: {error.detail}") from None


def _variables(data: Path) -> dict[str, str | None]:
    """Return the address of MongoDB: as the environment says, else that of the `up` that uses the data folder."""
    if os.environ.get("MONGODB_URI") or os.environ.get("TSUNAGU_MONGODB_URI"):
        return {}
    port = DataFolder(data).port_of("mongod")
    if port is None:
        raise UpError(f"no broker has run with {data}: name its folder with --data, or set MONGODB_URI")
    return {"MONGODB_URI": f"mongodb://127.0.0.1:{port}/?directConnection=true"}
