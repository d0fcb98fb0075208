"""From topic patterns with named parts to MQTT filters, and from a topic to its format, by a tree of levels."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tsunagu.adapters.format import Format

MAX_CACHED = 100_000
Match = tuple[str, dict[str, str]]


def is_named(level: str) -> bool:
    """Tell whether a level of a pattern is a named part, "{device}"."""
    return level.startswith("{") and level.endswith("}")


def mqtt_filter(pattern: str) -> str:
    """Return the MQTT topic filter of a pattern: "/json/{apikey}/{device}/attrs" → "/json/+/+/attrs"."""
    return "/".join("+" if is_named(level) else level for level in pattern.split("/"))


class TopicTree:
    """The patterns of all formats; `match` is cached by topic, for devices use the same topics again and again."""

    def __init__(self, formats: Iterable[Format]) -> None:
        self._root: dict[str, Any] = {}
        self.match = lru_cache(MAX_CACHED)(self._match)
        self.filters: list[str] = []
        for row in formats:
            for topic in row.topics:
                self._add(topic.pattern, row.name, topic.named)

    def _add(self, pattern: str, format_name: str, named: dict[str, str]) -> None:
        node = self._root
        names = []
        for position, level in enumerate(pattern.split("/")):
            if is_named(level):
                names.append((position, level[1:-1]))
            node = node.setdefault("+" if is_named(level) else level, {})
        node[" end "] = (format_name, tuple(names), named)
        self.filters.append(mqtt_filter(pattern))

    def _match(self, topic: str) -> Match | None:
        """Return the format's name and the named parts of a topic; None if no pattern takes it.

        A part is empty where the topic has an empty level and no other pattern takes it: the filter takes it, too.
        """
        levels = topic.split("/")
        end = _walk(self._root, levels, 0) or _walk(self._root, levels, 0, empty=True)
        if end is None:
            return None
        (format_name, names, named), rest = end
        parts = {name: levels[position] for position, name in names}
        return format_name, {**parts, **named, **({"rest": rest} if rest is not None else {})}


def _walk(
    node: dict[str, Any], levels: list[str], position: int, *, empty: bool = False
) -> tuple[Any, str | None] | None:
    """Follow the levels: a level of that very name first, then a named part, then "#"."""
    if position == len(levels):
        end = node.get(" end ")
        return (end, None) if end is not None else None
    level = levels[position]
    for key in (level, "+"):
        if key in ("#", " end ") or (key == "+" and not level and not empty):
            continue
        inner = node.get(key)
        found = _walk(inner, levels, position + 1, empty=empty) if inner is not None else None
        if found is not None:
            return found
    rest = node.get("#")
    return (rest[" end "], "/".join(levels[position:])) if rest is not None else None
