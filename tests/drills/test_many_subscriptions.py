"""(e) Many subscriptions: what a change costs to match, how long a worker takes to read them, how much they hold."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from pymongo import AsyncMongoClient

from tests.drills.broker import broker
from tests.drills.harness import LONG
from tsunagu.broker.changes import Change, Touch
from tsunagu.broker.jsonld.context import CORE
from tsunagu.broker.jsonld.expand import expand_entity
from tsunagu.broker.operations import patch
from tsunagu.broker.operations.subscription_form import new_entry
from tsunagu.broker.query.ast import EntityQuery
from tsunagu.broker.query.match import compile_matcher
from tsunagu.subscriptions.index import SubscriptionIndex, candidates
from tsunagu.subscriptions.matching import Effect, matching
from tsunagu.subscriptions.subscription import Subscription, subscription_of

pytestmark = pytest.mark.drill

FEW, MANY = 1_000, 100_000 if LONG else 20_000
TYPES = 50
CHANGES = 2_000


def body(number: int, dice: random.Random) -> dict[str, Any]:
    """Return one of the subscriptions of a city: to a device, to a rare level, to a small area, to a family of ids."""
    members: dict[str, Any]
    kind = f"Gauge{number % TYPES}"
    match number % 10:
        case 0 | 1 | 2 | 3:
            members = {"entities": [{"type": kind, "id": f"urn:ngsi-ld:{kind}:{number}"}]}
        case 4 | 5 | 6:
            members = {"entities": [{"type": kind}], "watchedAttributes": ["level"], "q": f"level>{5 + dice.random()}"}
        case 7 | 8:
            point = [134.6 + dice.random() * 0.22, 34.6 + dice.random() * 0.18]
            near = {"georel": "near;maxDistance==50", "geometry": "Point", "coordinates": point}
            members = {"entities": [{"type": kind}], "geoQ": near}
        case _:
            members = {"entities": [{"type": kind, "idPattern": f"^urn:ngsi-ld:{kind}:{number:06d}"}]}
    endpoint = {"uri": f"http://127.0.0.1:1/{number}"}
    return {"type": "Subscription", "notification": {"endpoint": endpoint}, **members}


def entries(count: int) -> list[dict[str, Any]]:
    """Return catalogue entries of so many subscriptions."""
    dice = random.Random(4)
    return [new_entry(body(number, dice), CORE, now=0) for number in range(count)]


def changes(dice: random.Random) -> list[Change]:
    """Return updates of the level of gauges."""
    found = []
    for number in range(CHANGES):
        kind = f"Gauge{dice.randrange(TYPES)}"
        point = [134.6 + dice.random() * 0.22, 34.6 + dice.random() * 0.18]
        states = []
        for level in (dice.random() * 5, dice.random() * 5):
            entity = {
                "id": f"urn:ngsi-ld:{kind}:{dice.randrange(MANY)}",
                "type": kind,
                "level": {"type": "Property", "value": level},
                "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": point}},
            }
            states.append(patch.fresh(expand_entity(entity, CORE), 0, 0))
        name = next(name for name in states[0]["attrs"] if name.endswith("level"))
        touched = (Touch(name, "updated"),)
        found.append(Change("", "w", number, states[1]["_id"], "updated", 0, states[0], states[1], touched))
    return found


def cost(index: SubscriptionIndex, all_changes: list[Change]) -> tuple[float, int]:
    """Return the CPU time in microseconds that finding a change's subscriptions takes, and how many were found."""
    found = 0
    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        found = 0
        for change in all_changes:
            effect = Effect(change)
            shelves = index.shelves_for(change.entity_id, effect.document["type"])
            found += len(matching(candidates(shelves, effect), effect, 1))
        best = min(best, time.process_time() - began)
    return best / len(all_changes) * 1e6, found


def concerned(compiled: list[Subscription], effect: Effect) -> set[Subscription]:
    """Return the subscriptions that a change concerns, found without an index."""
    return {
        one
        for one in matching(compiled, effect, 1)
        if compile_matcher(EntityQuery(selectors=one.plan.selectors))(effect.document)
    }


def test_many_subscriptions_cost_little_more_than_a_thousand() -> None:
    """All that concern a change are found among 100,000, as without an index; the CPU time is printed."""
    all_changes = changes(random.Random(5))
    figures = []
    for count in (FEW, MANY):
        compiled = [subscription_of("", entry) for entry in entries(count)]
        index = SubscriptionIndex()
        for one in compiled:
            index.add(one)
        took, found = cost(index, all_changes)
        figures.append((count, took, found))
        for change in all_changes[:20]:
            effect = Effect(change)
            shelves = index.shelves_for(change.entity_id, effect.document["type"])
            assert set(matching(candidates(shelves, effect), effect, 1)) == concerned(compiled, effect)
    few, many = figures[0][1], figures[1][1]
    print(
        "(e) "
        + "; ".join(
            f"{count:,} subscriptions: {took:.1f} µs CPU a change, {found} matched" for count, took, found in figures
        )
        + f"; ratio {many / few:.2f}"
    )


async def test_a_worker_reads_many_subscriptions_at_start(tmp_path: Path) -> None:
    """A worker is ready with all subscriptions in effect; the time it takes, and its memory, are printed."""
    count = MANY if LONG else 6_000
    async with broker(tmp_path / "broker") as own:
        worker = own.workers[0]
        lines = []
        for total in (FEW, count):
            await worker.stop()
            client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(own.mongodb.uri)
            rows = client["tsunagu"]["subscriptions"]
            there = await rows.count_documents({})
            await rows.insert_many([{"_id": entry["id"], "d": entry} for entry in entries(total)[there:]])
            await client.close()
            began = time.monotonic()
            await own.start(worker)
            lines.append((total, time.monotonic() - began, own.cpu(), own.memory()))
            async with httpx.AsyncClient() as http:
                told = (await http.get(f"{own.url}/metrics")).text.splitlines()
            assert f"tsunagu_subscriptions {total:.1f}" in told
        (few, _, cpu, memory), (many, _, more_cpu, more) = lines
        starts = "; ".join(f"{total:,} subscriptions ready in {took:.1f} s, {mb} MB" for total, took, _, mb in lines)
        each = 1 / (many - few)
        print(
            f"(e) start: {starts}; for each {(more_cpu - cpu) * each * 1e6:.0f} µs CPU and "
            f"{(more - memory) * each * 1024:.1f} KB"
        )
