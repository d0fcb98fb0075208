"""One group: the pure part of a transaction, from the documents read to the commands that write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.broker.changes import Change, ChangeKind, Document, all_touched
from tsunagu.broker.errors import NgsiError
from tsunagu.broker.storage.mongo.evolutions import EvolutionNote
from tsunagu.broker.storage.mongo.records import SCOPE, WHOLE, Record, late_records, records_of
from tsunagu.broker.storage.mongo.statements import Statement, insertion, update
from tsunagu.broker.storage.mongo.states import bare
from tsunagu.broker.storage.writes import DUPLICATE, Outcome
from tsunagu.schemas.entity import instances

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bson.raw_bson import RawBSONDocument

    from tsunagu.broker.storage.mongo.lane import Item


class Group:
    """Applies the writes of a group in arrival order to the documents that were read.

    Attributes after `apply`: `answers` (item, answer or error), `changes`, `records`, `receipts` (documents to insert),
    the statements `updates`, `inserts`, `deletes` for the entities' collection, and `evolutions`, what is to be noted
    of temporal evolutions, by entity id.
    """

    def __init__(self, tenant: str, writer: str, items: list[Item]) -> None:
        self.tenant = tenant
        self.writer = writer
        self.items = items
        self.answers: list[tuple[Item, Any]] = []
        self.changes: list[Change] = []
        self.records: list[Record] = []
        self.receipts: list[Document] = []
        self.updates: list[Statement] = []
        self.inserts: list[Document | RawBSONDocument] = []
        self.deletes: list[Statement] = []
        self.evolutions: dict[str, EvolutionNote] = {}
        self._whole: dict[str, int | None] = {}  # WHOLE, by entity
        self._steps: dict[str, list[Record]] = {}  # of changes, by entity, in order

    @property
    def entity_ids(self) -> list[str]:
        """The entities of the group, each once."""
        return list({item.write.entity_id: None for item in self.items})

    @property
    def receipt_ids(self) -> list[str]:
        """The receipts that the group's writes carry, each once."""
        return list({item.write.receipt: None for item in self.items if item.write.receipt is not None})

    def apply(self, documents: Iterable[Document], receipts: Iterable[str], now: int, number: int) -> int:
        """Apply all writes and fill the attributes; changes are numbered after `number`. Returns the last number.

        Raises what `bson.encode` raises.
        """
        read: dict[str, Document] = {}
        for document in documents:
            self._whole[document["_id"]] = document.get(WHOLE)
            read[document["_id"]] = bare(document)
        state: dict[str, Document | None] = dict(read)
        floor: dict[str, int] = {}
        seen = set(receipts)
        for item in self.items:
            write = item.write
            if write.receipt is not None and write.receipt in seen and not write.fresh:
                self.answers.append((item, DUPLICATE))
                continue
            before = state.get(write.entity_id)
            if before is not None and "expires" in before and before["expires"] <= now:
                expiry = Outcome(None, all_touched(before, "deleted"))  # 4.22: not swept yet
                number = self._record(item, before, expiry, max(now, before["modified"]), number + 1, floor)
                before = state[write.entity_id] = None
            at = now if before is None else max(now, before["modified"])
            try:
                outcome = write.apply(before, at)
            except NgsiError as error:
                self.answers.append((item, error))
                continue
            if write.receipt is not None and write.receipt not in seen:
                seen.add(write.receipt)
                self.receipts.append({"_id": write.receipt})
            self.answers.append((item, outcome.answer))
            if outcome.after is not before:
                number = self._record(item, before, outcome, at, number + 1, floor)
                state[write.entity_id] = outcome.after
            if outcome.late and write.history:
                number = self._late(write.entity_id, outcome, at, number + 1)
        self._write(read, state)
        return number

    def _record(
        self, item: Item, before: Document | None, outcome: Outcome, at: int, number: int, floor: dict[str, int]
    ) -> int:
        """Give the new document its version, and note the change under `number`. Returns the last number used.

        The first version of an entity is the time of its creation in ms, so that versions of one id only ever grow,
        also over a deletion.
        """
        entity_id, after = item.write.entity_id, outcome.after
        kind: ChangeKind
        if after is None:
            kind = "deleted"
            floor[entity_id] = before["v"] + 1 if before is not None else 0
        elif before is None:
            kind = "created"
            after["v"] = max(at, floor.get(entity_id, 0) + 1)
        else:
            kind = "updated"
            after["v"] = before["v"] + 1
        change = Change(
            self.tenant, self.writer, number, entity_id, kind, at, before, after, outcome.touched, item.write.meta
        )
        self.changes.append(change)
        records = records_of(change, history=item.write.history)
        if outcome.late and any(name == SCOPE for name, _, _ in outcome.late):
            records[0].pop("s", None)  # the history of the scope is told apart
        self.records.extend(records)
        self._steps.setdefault(entity_id, []).append(records[0])
        if item.write.history and before is not None:
            self._note_departed(before, change, records[0])
        return number + len(records) - 1

    def _late(self, entity_id: str, outcome: Outcome, at: int, number: int) -> int:
        """Note what belongs to the history alone, under numbers from `number` on. Returns the last number used."""
        document = outcome.after
        if document is None:
            document = {"_id": entity_id, "type": outcome.types or [], "v": at}
        records = late_records(self.writer, number, document, at, outcome.late)
        self.records.extend(records)
        names = {name for name, _, _ in outcome.late if not _is_observed(outcome.after, name)}
        if names or outcome.after is None:
            evolution = self._evolution(entity_id)
            evolution.names.update(names)
            evolution.types.update(document["type"] if outcome.after is None else ())
        return number + len(records) - 1

    def _note_departed(self, before: Document, change: Change, record: Record) -> None:
        """Note what the history has, and the current state not any more: attributes, or the whole entity."""
        names = {entry[0] for entry in record["t"] if type(entry) is not str and entry[1] == "deleted"}
        if SCOPE in before and (change.after is None or SCOPE not in change.after):
            names.add(SCOPE)
        if change.after is None:
            evolution = self._evolution(change.entity_id)
            evolution.names.update(names)
            evolution.last = {
                "type": before["type"],
                "created": before["created"],
                "modified": before["modified"],
                "deleted": change.at,
            }
        elif names:
            self._evolution(change.entity_id).names.update(names)

    def _evolution(self, entity_id: str) -> EvolutionNote:
        return self.evolutions.setdefault(entity_id, EvolutionNote())

    def _write(self, read: dict[str, Document], state: dict[str, Document | None]) -> None:
        """Work out the statements that turn what was read into the final state.

        They name the entity by its id alone: the transaction's snapshot is the guard, since MongoDB refuses to write
        a document that changed after it was read there, and an id alone spares it the query planner (decision 0006).
        """
        for entity_id, records in self._steps.items():
            old, new = read.get(entity_id), state[entity_id]
            if new is None:
                if old is not None:
                    self.deletes.append({"q": {"_id": entity_id}, "limit": 1})
            elif old is None:
                self.inserts.append(insertion(new, records))
            else:
                statement = update(old, new, records, whole=self._whole[entity_id])
                self.updates.append({"q": {"_id": entity_id}, "u": statement})


def _is_observed(document: Document | None, name: str) -> bool:
    """Return whether the current state has the attribute with an observedAt."""
    return document is not None and any("o" in times for times in instances(document["sys"].get(name, [])))
