"""The quarantine as its operator sees it: list, show, replay in the order of receipt, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.adapters.catalogue import QUARANTINE, Catalogue, Entry
from tsunagu.adapters.message import Message

if TYPE_CHECKING:
    from tsunagu.adapters.pipeline import Pipeline

BATCH = 100
MOST_TOLD = 1000


def message_of(entry: Entry) -> Message | None:
    """Return the message of an entry, None if its bytes were not kept."""
    if "body" not in entry or entry["size"] > len(entry["body"]):
        return None
    return Message(
        entry["format"],
        bytes(entry["body"]),
        entry["receivedAt"],
        entry["named"],
        entry["origin"],
        entry["contentType"],
        key=f"quarantine/{entry['id']}",
        realm=entry.get("realm"),
    )


def shown(entry: Entry) -> dict[str, Any]:
    """Return an entry as the API shows it: the body as text, or as hexadecimal digits."""
    public = {name: value for name, value in entry.items() if name not in ("body", "named", "tenant")}
    body = entry.get("body")
    if body is not None:
        try:
            public["body"] = bytes(body).decode()
        except UnicodeDecodeError:
            public["bodyHex"] = bytes(body).hex()
    return public


async def replay(pipeline: Pipeline, catalogue: Catalogue, tenant: str, where: Entry) -> dict[str, Any]:
    """Take the messages of all entries that match once more, in the order and with the time of their receipt.

    What is taken leaves the quarantine; what still fails stays, with its present reason. Returns how many were
    `replayed` and `refused`, and which `failed`, the first MOST_TOLD of them. Raises SinkUnavailable.
    """
    taken, refused, start = 0, 0, ""
    failed: list[dict[str, Any]] = []
    while True:
        after = {**where, "id": {**where.get("id", {}), "$gt": start}}
        entries = await catalogue.find(tenant, QUARANTINE, after, limit=BATCH, sort=(("id", 1),))
        if not entries:
            return {"replayed": taken, "refused": refused, "failed": failed}
        start = entries[-1]["id"]
        messages = [(entry, message) for entry in entries if (message := message_of(entry)) is not None]
        work = await pipeline.prepare([message for _, message in messages])
        for one in work:
            one.discard = True
        await pipeline.commit(work)
        done = [(entry, one) for (entry, _), one in zip(messages, work, strict=True)]
        stored = [entry["id"] for entry, one in done if one.error is None]
        await catalogue.discard(tenant, QUARANTINE, stored)
        again = [(entry, one.error.body()) for entry, one in done if one.error is not None]
        for entry, reason in again:
            if reason != entry["reason"]:
                await catalogue.change(tenant, QUARANTINE, entry["id"], {"reason": reason})
        failed += [{"id": entry["id"], "reason": reason} for entry, reason in again[: MOST_TOLD - len(failed)]]
        taken, refused = taken + len(stored), refused + len(again)
