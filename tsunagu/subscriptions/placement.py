"""Where the index puts a subscription: by entity id, start of the id, type; by watched attribute; by a gate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tsunagu.broker.query.ast import And, Compare, QNode
from tsunagu.broker.query.match import link_depth
from tsunagu.subscriptions.areas import area_of
from tsunagu.subscriptions.plan import UNCONDITIONAL, conditions_of, types_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tsunagu.broker.operations.subscription_form import Entry
    from tsunagu.subscriptions.subscription import Subscription

Gate = tuple[str, str, Any]
SCALARS = (int, float, str)
SHORTEST_PREFIX = 4
SPECIAL = frozenset("^$.[]()*+?{}|")
REPEATS = frozenset("*?{")
ANY, ID, PREFIX, TYPE = "any", "id", "prefix", "type"


@dataclass(frozen=True, slots=True)
class Placement:
    """`keys`: each a kind (ANY, ID, PREFIX, TYPE) and a name; `attributes`: watched ones, (None,) for any.

    `gate`: what must hold for the conditions to hold: (attribute, operator, value), None if nothing. The operator "@"
    stands for an area, its value for the cells.
    """

    keys: tuple[tuple[str, str], ...]
    attributes: tuple[str | None, ...]
    gate: Gate | None


def placement_of(subscription: Subscription) -> Placement:
    """Return where a subscription belongs; the same whenever it is asked."""
    entry = subscription.entry
    watched = subscription.watched
    attributes = (None,) if watched is None else tuple(sorted(watched))
    keys = tuple(dict.fromkeys(_keys(entry)))
    return Placement(keys or ((ANY, ""),), attributes or (None,), _gate(entry))


def _keys(entry: Entry) -> Iterator[tuple[str, str]]:
    parts = entry["parts"].get("entities", ())
    for selector, part in zip(entry["body"].get("entities", ()), parts, strict=True):
        ids = selector.get("id")
        if ids is not None:
            for one in ids if isinstance(ids, list) else [ids]:
                yield ID, one
            continue
        prefix = prefix_of(selector.get("idPattern", ""))
        types = types_of(part)
        if len(prefix) >= SHORTEST_PREFIX:
            yield PREFIX, prefix
        elif types is not None:
            for alternative in types.alternatives:
                yield TYPE, alternative[0]
        else:
            yield ANY, ""


def prefix_of(pattern: str) -> str:
    """Return what every text that a regular expression matches must begin with, as far as it is easily seen."""
    if not pattern.startswith("^") or "|" in pattern:
        return ""
    found: list[str] = []
    at = 1
    while at < len(pattern) and pattern[at] not in SPECIAL:
        if pattern[at] == "\\":
            at += 1
            if at >= len(pattern) or pattern[at].isalnum():
                break
        found.append(pattern[at])
        at += 1
    if at < len(pattern) and pattern[at] in REPEATS and found:
        found.pop()
    return "".join(found)


def _gate(entry: Entry) -> Gate | None:
    query = conditions_of(entry["body"], entry["parts"])
    if query is UNCONDITIONAL or link_depth(query.q):
        return None
    compared = _comparison(query.q)
    if compared is not None and compared[1] == "==":
        return compared
    cells = area_of(query.geo) if query.geo is not None else None
    if query.geo is not None and cells is not None:
        return query.geo.attribute, "@", cells
    return compared


def _comparison(node: QNode | None) -> Gate | None:
    if isinstance(node, And):
        found = [gate for gate in map(_comparison, node.parts) if gate is not None]
        return min(found, key=lambda gate: gate[1] != "==", default=None)
    if not isinstance(node, Compare) or len(node.values) != 1:
        return None
    path, value = node.path, node.values[0]
    if len(path.names) != 1 or path.member is not None or path.keys or isinstance(value, bool):
        return None
    if node.operator == "==" and isinstance(value, SCALARS):
        return path.names[0], "==", value
    if node.operator in {">", ">=", "<", "<="} and isinstance(value, int | float):
        return path.names[0], node.operator[0], value
    return None
