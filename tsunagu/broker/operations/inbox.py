"""The inbox: takes another broker's notifications in (5.3.1) and upserts their entities here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tsunagu.broker.errors import BadRequestData, NgsiError, ResourceNotFound, Unavailable
from tsunagu.broker.jsonld.expand import expand_entity
from tsunagu.broker.operations import patch
from tsunagu.broker.storage.writes import DUPLICATE, Outcome, Write
from tsunagu.schemas.entity import instances
from tsunagu.schemas.kinds.json_value import equal_json
from tsunagu.schemas.times import parse_ms

if TYPE_CHECKING:
    from tsunagu.broker.changes import Document
    from tsunagu.broker.jsonld.context import Context
    from tsunagu.broker.storage.writes import Writer
    from tsunagu.schemas.entity import Expanded

SYSTEM_TIMES = ("createdAt", "modifiedAt")
TOLD = ("type", "scope", "attrs", "expires")


@dataclass(slots=True)
class Received:
    """What became of a notification: ids stored, ids that had been stored before, (id, error) of those refused."""

    stored: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    refused: list[tuple[str, NgsiError]] = field(default_factory=list)


class Inbox:
    """Upserts the entities of notifications, each once however often its notification comes."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def receive(self, tenant: str, notification: Any, context: Context) -> Received:
        """Store what a notification tells (normalized or concise), once per notification id and entity.

        An entity that tells of its deletion (`deletedAt`) is deleted here. Raises BadRequestData when this is no
        notification, Unavailable when the store is away: the sender tries again then, and nothing is lost.
        """
        notification_id, data = _checked(notification)
        result = Received()
        writes: list[Write] = []
        for position, body in enumerate(data):
            try:
                writes.append(_write(body, context, f"{notification_id} {position}"))
            except NgsiError as error:
                result.refused.append((str(body.get("id", f"data[{position}]")), error))
        answers = await self._writer.submit_all(tenant, writes)
        for write, answer in zip(writes, answers, strict=True):
            if isinstance(answer, Unavailable):
                raise answer
            if isinstance(answer, NgsiError):
                result.refused.append((write.entity_id, answer))
            else:
                (result.repeated if answer is DUPLICATE else result.stored).append(write.entity_id)
        return result


def _checked(notification: Any) -> tuple[str, list[dict[str, Any]]]:
    """Return the id and the data of a notification. Raises BadRequestData."""
    if not isinstance(notification, dict):
        raise BadRequestData("the body is not a JSON object; the inbox takes a Notification (5.3.1)")
    notification_id = notification.get("id")
    if not isinstance(notification_id, str) or not notification_id:
        raise BadRequestData("id: a Notification has an id, a URI")
    if notification.get("type") != "Notification":
        raise BadRequestData("type: it must be Notification")
    data = notification.get("data")
    if isinstance(data, dict) and data.get("type") == "FeatureCollection":
        raise BadRequestData("data: GeoJSON cannot be taken in; subscribe with accept application/json")
    if not isinstance(data, list) or not all(isinstance(one, dict) for one in data):
        raise BadRequestData("data: a Notification has an array of entities")
    return notification_id, data


def _write(body: dict[str, Any], context: Context, receipt: str) -> Write:
    """Return the write for one entity of a notification. Raises BadRequestData."""
    if "deletedAt" in body:
        entity_id = body.get("id")
        if not isinstance(entity_id, str):
            raise BadRequestData("data: an entity has an id")
        return Write(entity_id, lambda before, _: _delete(before, entity_id), receipt=receipt)
    entity = expand_entity({key: value for key, value in body.items() if key not in SYSTEM_TIMES}, context)
    return Write(entity["id"], lambda before, now: _upsert(before, entity, now), receipt=receipt)


def _upsert(before: Document | None, entity: Expanded, now: int) -> Outcome:
    """Create the entity, or update it if that changes anything.

    What is here already is no change, and what was observed before what is here does not replace it: two brokers that
    tell each other everything would never come to rest.
    """
    if before is None:
        return patch.create(None, entity, now)
    attrs = {name: _not_older(value, before["attrs"].get(name, [])) for name, value in entity["attrs"].items()}
    fragment: Expanded = {**entity, "attrs": {name: value for name, value in attrs.items() if value}}
    outcome = patch.update(before, entity["id"], fragment, now)
    after = outcome.after
    same = after is not None and all(equal_json(after.get(member), before.get(member)) for member in TOLD)
    return Outcome(before, answer=outcome.answer) if same else outcome


def _not_older(told: Any, here: Any) -> list[dict[str, Any]]:
    """Return the attribute instances told that were not observed before the instance here of the same datasetId."""
    times = {one.get("datasetId"): one.get("observedAt") for one in instances(here)}
    return [one for one in instances(told) if not _before(one.get("observedAt"), times.get(one.get("datasetId")))]


def _before(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and parse_ms(one) < parse_ms(other)


def _delete(before: Document | None, entity_id: str) -> Outcome:
    try:
        return patch.delete(before, entity_id)
    except ResourceNotFound:
        return Outcome(None)
