"""Running the golden messages of a device model: each must become just the entities that the file says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tsunagu.adapters.catalogue import Entry

    Look = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]

ANY = "*"


async def run(model: Entry, look: Look) -> list[dict[str, Any]]:
    """Return what became of each golden message: {"title", "ok", "differences"}. `look` is the preview."""
    results = []
    template = {name: value for name, value in model.items() if name != "golden"}
    for golden in model.get("golden") or ():
        group = {"apikey": "golden", "resource": "", **golden.get("group", {}), "template": template}
        device = golden.get("device")
        found = await look({**golden["message"], "group": group, **({"device": device} if device else {})})
        differences = compare(golden["entities"], found["entities"])
        if found["error"] is not None:
            differences.append(f"refused: {found['error']['message']}")
        results.append({"title": golden["title"], "ok": not differences, "differences": differences})
    return results


def compare(expected: Any, found: Any, where: str = "entities") -> list[str]:
    """Return the places in which two documents differ; "*" takes anything, "urn:x:*" any text that begins so."""
    if expected == ANY or (
        isinstance(expected, str)
        and expected.endswith(ANY)
        and isinstance(found, str)
        and found.startswith(expected[:-1])
    ):
        return []
    if isinstance(expected, dict) and isinstance(found, dict):
        names = [*expected, *(name for name in found if name not in expected)]
        pairs = [(expected.get(name), found.get(name), f"{where}.{name}") for name in names]
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = [(one, other, f"{where}[{i}]") for i, (one, other) in enumerate(zip(expected, found, strict=True))]
    elif expected == found:
        return []
    else:
        return [f"{where} should be {_short(expected)} and is {_short(found)}"]
    return [difference for one, other, place in pairs for difference in compare(one, other, place)]


def _short(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= 80 else text[:79] + "…"  # noqa: PLR2004 - a line
