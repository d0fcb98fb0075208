"""A draft of a document: attribute instances put in and taken out, with their system times and what was touched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.broker.changes import TOUCHES, Document, Touch
from tsunagu.broker.storage.writes import Outcome
from tsunagu.schemas.derived import complete
from tsunagu.schemas.entity import NULL, Instance, instances
from tsunagu.schemas.kinds import BY_MEMBER, TYPE_AND_VALUE
from tsunagu.schemas.system_times import system_times

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Times = dict[str, Any]
Slots = dict[str | None, tuple[Instance, Times]]

VALUES = frozenset(BY_MEMBER)
UPDATED = TOUCHES["updated"]


class Draft:
    """The next state of `before`, which stays as it is; `finish` gives the outcome.

    Instances are told apart by their datasetId (4.5.5): each attribute has one instance per datasetId,
    and one default instance without.
    """

    def __init__(self, before: Document, now: int) -> None:
        self.before = before
        self.now = now
        self.attrs: dict[str, Any] = dict(before["attrs"])
        self.times: dict[str, Any] = dict(before["sys"])
        self.members: dict[str, Any] = {}
        for member in ("scope", "expires"):
            if member in before:
                self.members[member] = before[member]
        self.types: list[str] = before["type"]
        self.touched: list[Touch] = []
        self.may_expire = "due" in before  # the entity, or any of its attributes

    def instance(self, name: str, dataset_id: str | None = None) -> Instance | None:
        """Return the instance of an attribute with this datasetId (None: the default one), None if there is none."""
        for one in instances(self.attrs.get(name, [])):
            if one.get("datasetId") == dataset_id:
                return one
        return None

    def observed(self, name: str, dataset_id: str | None = None) -> int | None:
        """Return the observedAt of an instance in epoch ms, None if it has none."""
        value = self.attrs.get(name)
        if type(value) is dict:
            return self.times[name].get("o") if value.get("datasetId") == dataset_id else None
        known = self._slots(name).get(dataset_id)
        return known[1].get("o") if known else None

    def put(self, name: str, instance: Instance) -> None:
        """Put an instance in, in the place of the one with the same datasetId, whose createdAt it keeps."""
        self.put_all({name: instance})

    def put_all(self, attrs: Mapping[str, Instance | list[Instance]]) -> None:
        """Put all instances of these attributes in, each as `put` does."""
        own, times, now, touched = self.attrs, self.times, self.now, self.touched
        usual: Times = {"c": None, "m": now}  # one for all that were created together
        for name, value in attrs.items():
            old = own.get(name)
            if type(value) is dict and type(old) is dict and "datasetId" not in old and "datasetId" not in value:
                own[name] = value
                if len(value) == TYPE_AND_VALUE and not VALUES.isdisjoint(value):  # as most are
                    created = times[name]["c"]
                    if created != usual["c"]:
                        usual = {"c": created, "m": now}
                    times[name] = usual
                else:
                    times[name] = self._times(value, times[name], old)
                touched.append(UPDATED[name])
            else:
                for instance in instances(value):
                    self._put(name, instance)

    def _put(self, name: str, instance: Instance) -> None:
        """Put an instance in that is new, or one of several, or has a datasetId."""
        dataset_id = instance.get("datasetId")
        slots = self._slots(name)
        known = slots.get(dataset_id)
        before, previous = known or (None, None)
        slots[dataset_id] = (instance, self._times(instance, previous, before))
        self.touched.append(Touch(name, "updated" if known else "created", dataset_id))
        self._store(name, slots)

    def _times(self, instance: Instance, previous: Times | None, before: Instance | None) -> Times:
        """Return the TIMES of an instance that comes in the place of another, if there is one."""
        times = system_times(instance, self.now, previous, before=before)
        self.may_expire = self.may_expire or "e" in times
        return times

    def remove(self, name: str, dataset_id: str | None = None) -> bool:
        """Take the instance with this datasetId out; tell whether it was there."""
        slots = self._slots(name)
        if slots.pop(dataset_id, None) is None:
            return False
        self._store(name, slots)
        self.touched.append(Touch(name, "deleted", dataset_id))
        return True

    def remove_all(self, name: str) -> bool:
        """Take all instances of an attribute out; tell whether there were any."""
        found = list(self._slots(name))
        for dataset_id in found:
            self.remove(name, dataset_id)
        return bool(found)

    def add_types(self, types: list[str]) -> None:
        """Add the entity types that are not there yet."""
        if types == self.types:
            return
        missing = [one for one in types if one not in self.types]
        if missing:
            self.types = [*self.types, *missing]

    def set_member(self, name: str, value: Any) -> None:
        """Set "scope" or "expires"; an NGSI-LD null removes it."""
        if value in (NULL, [NULL], None):
            self.members.pop(name, None)
        else:
            self.members[name] = value

    def finish(self, answer: Any = None) -> Outcome:
        """Return the outcome: the new document, or the old one when nothing was done."""
        before = self.before
        if (
            not self.touched
            and self.types == before["type"]
            and self.members.get("scope") == before.get("scope")
            and self.members.get("expires") == before.get("expires")
        ):
            return Outcome(before, (), answer)
        after: Document = {
            "_id": before["_id"],
            "type": self.types,
            **self.members,
            "attrs": self.attrs,
            "sys": self.times,
            "created": before["created"],
            "modified": self.now,
            "v": before["v"],
        }
        complete(after, before, expires=self.may_expire or "expires" in self.members)
        return Outcome(after, tuple(self.touched), answer)

    def _slots(self, name: str) -> Slots:
        value = self.attrs.get(name)
        if value is None:
            return {}
        times = self.times[name]
        if isinstance(value, dict):
            return {value.get("datasetId"): (value, times)}
        return {one.get("datasetId"): (one, time) for one, time in zip(value, times, strict=True)}

    def _store(self, name: str, slots: Slots) -> None:
        if not slots:
            del self.attrs[name]
            del self.times[name]
        elif len(slots) == 1:
            self.attrs[name], self.times[name] = next(iter(slots.values()))
        else:
            ordered = sorted(slots.items(), key=lambda slot: slot[0] is not None)
            self.attrs[name] = [pair[0] for _, pair in ordered]
            self.times[name] = [pair[1] for _, pair in ordered]


def expired(document: Document, now: int) -> Iterator[tuple[str, str | None]]:
    """Yield (attribute, datasetId) of the instances of a document whose expiresAt has passed."""
    for name, times in document["sys"].items():
        pairs = zip(instances(document["attrs"][name]), instances(times), strict=True)
        for instance, one in pairs:
            if one.get("e", now + 1) <= now:
                yield name, instance.get("datasetId")
