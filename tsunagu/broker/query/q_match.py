"""q in memory: a tree becomes a function of a document, made of closures (see `ast` for what targets are).

Nothing of the tree is interpreted while matching: `waterLevel>2` costs well under a microsecond.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.broker.query.ast import And, Between, Compare, Exists, Like, Linked, Or, PointsTo
from tsunagu.broker.query.leaves import leaf_tests, time_test

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tsunagu.broker.query.ast import Path, QNode
    from tsunagu.broker.query.leaves import LeafTest
    from tsunagu.schemas.entity import Document, Instance

    Matcher = Callable[[Document], bool]
    InstanceTest = Callable[[Instance], bool]
    TimeTest = Callable[[int | None], bool]

VALUE_MEMBERS = ("value", "vocab", "valueList")
OBJECT_MEMBERS = ("object", "objectList")
KEYED_MEMBERS = ("value", "json", "languageMap", "valueList")
_MISSING = object()
_EMPTY: dict[str, Any] = {}


def compile_q(node: QNode) -> Matcher:
    """Return the matcher of a tree without Linked nodes (see `linked.resolve_linked`)."""
    if isinstance(node, And):
        return _all(tuple(map(compile_q, node.parts)))
    if isinstance(node, Or):
        return _any(tuple(map(compile_q, node.parts)))
    if isinstance(node, Linked):
        raise TypeError("a linked term must be resolved before it can be matched")
    if isinstance(node, Exists) and node.negated:
        exists = compile_q(Exists(node.path))
        return lambda document: not exists(document)
    path = node.path
    if isinstance(node, PointsTo):
        return _at(path.names, _points_to(node.ids))
    if path.is_time:
        return _at_times(path, _time_test(node))
    test = _has(path) if isinstance(node, Exists) else _instance_test(node)
    return _at(path.names, test) if path.names else test


def _all(parts: tuple[Matcher, ...]) -> Matcher:
    if len(parts) == 2:  # noqa: PLR2004 - the common case, without a loop
        first, second = parts
        return lambda document: first(document) and second(document)
    return lambda document: all(part(document) for part in parts)


def _any(parts: tuple[Matcher, ...]) -> Matcher:
    return lambda document: any(part(document) for part in parts)


def _at(names: tuple[str, ...], test: InstanceTest) -> Matcher:
    """Return whether any instance of the attribute at the path passes the test."""
    for name in reversed(names):
        test = _any_instance(name, test)
    return lambda document: test(document["attrs"])


def _any_instance(name: str, test: InstanceTest) -> InstanceTest:
    """Return whether any instance of what stands under the name passes the test."""

    def matches(instance: Instance) -> bool:
        found = instance.get(name)
        if found is None:
            return False
        if isinstance(found, dict):
            return test(found)
        return any(map(test, found))

    return matches


def _has(path: Path) -> InstanceTest:
    if path.member:
        member = _member_name(path)
        return lambda instance: member in instance
    if path.keys == ("*",):
        return lambda instance: "languageMap" in instance
    if path.keys:
        keys = path.keys
        return lambda instance: any(True for _ in _reached(instance, keys))
    return lambda _: True


def _instance_test(node: Compare | Between | Like) -> InstanceTest:
    """Return the test of an instance; for the negated operators see `ast`."""
    path = node.path
    equality = node.operator in ("==", "!=") if isinstance(node, Compare) else isinstance(node, Between)
    matches = _any_leaf(path, *leaf_tests(node), objects=equality)
    if not is_negated(node):
        return matches
    present = _any_leaf(path, _is_text, _is_text, objects=False) if isinstance(node, Like) else _has(path)
    return lambda instance: present(instance) and not matches(instance)


def is_negated(node: Compare | Between | Like) -> bool:
    """Return whether the term is one of != and !~=."""
    return node.operator == "!=" if isinstance(node, Compare) else node.negated


def _is_text(leaf: Any) -> bool:
    return isinstance(leaf, str)


def _any_leaf(path: Path, test: LeafTest, text_test: LeafTest, *, objects: bool) -> InstanceTest:
    """Return whether any target of an instance passes; `objects`: those of Relationships count, too."""
    if path.member:
        member = _member_name(path)
        return lambda instance: member in instance and _passes(instance[member], text_test)
    if path.keys == ("*",):
        return lambda instance: any(map(text_test, _texts(instance)))
    if path.keys:
        keys = path.keys
        return lambda instance: any(
            _passes(value, text_test if member == "languageMap" else test) for member, value in _reached(instance, keys)
        )
    text_members = ("vocab", *OBJECT_MEMBERS) if objects else ("vocab",)

    def matches(instance: Instance) -> bool:
        value = instance.get("value", _MISSING)
        if value is not _MISSING:
            return any(map(test, value)) if isinstance(value, list) else test(value)
        if "valueList" in instance:
            return any(map(test, instance["valueList"]))
        for member in text_members:
            if member in instance:
                return _passes(instance[member], text_test)
        return any(map(text_test, _texts(instance)))

    return matches


def _passes(value: Any, test: LeafTest) -> bool:
    return any(map(test, value)) if isinstance(value, list) else test(value)


def _texts(instance: Instance) -> Iterator[Any]:
    """Yield the strings of a languageMap in every language."""
    for text in instance.get("languageMap", {}).values():
        if isinstance(text, list):
            yield from text
        else:
            yield text


def _reached(instance: Instance, keys: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Yield what a trailing path leads to, each with the member of the instance where it starts.

    An array on the way stands for the objects in it, as in MongoDB.
    """
    for member in KEYED_MEMBERS:
        if member in instance:
            for value in _follow(instance[member], keys):
                yield member, value


def _follow(value: Any, keys: tuple[str, ...]) -> Iterator[Any]:
    if not keys:
        yield value
        return
    for item in value if isinstance(value, list) else (value,):
        if isinstance(item, dict) and keys[0] in item:
            yield from _follow(item[keys[0]], keys[1:])


def _points_to(ids: frozenset[str]) -> InstanceTest:
    def matches(instance: Instance) -> bool:
        return any(_passes(instance[member], ids.__contains__) for member in OBJECT_MEMBERS if member in instance)

    return matches


def _member_name(path: Path) -> str:
    """Return the member of an instance, or of a document where the path addresses the entity itself."""
    return "_id" if path.member == "id" else str(path.member)


def _time_test(node: Exists | Compare | Between | Like) -> TimeTest:
    """Return the test of one time, None where the instance has none. A time is no string: patterns never match it."""
    if isinstance(node, Exists):
        return lambda time: time is not None
    if isinstance(node, Like):
        return lambda _: False
    test = time_test(node)
    if is_negated(node):
        return lambda time: time is not None and not test(time)
    return lambda time: time is not None and test(time)


def _at_times(path: Path, test: TimeTest) -> Matcher:
    """Return whether a time of the entity, or of any instance of the attribute at the path, passes the test."""
    member = str(path.member)
    if not path.names:
        return lambda document: test(document.get(member))
    at_times: InstanceTest = lambda times: test(times.get(member))  # noqa: E731
    for name in reversed(path.names[1:]):
        at_times = _at_sub_times(name, at_times)
    name = path.names[0]

    def matches(document: Document) -> bool:
        found = document.get("sys", _EMPTY).get(name, ())
        return at_times(found) if isinstance(found, dict) else any(map(at_times, found))

    return matches


def _at_sub_times(name: str, test: InstanceTest) -> InstanceTest:
    def matches(times: Instance) -> bool:
        found = times.get("s", _EMPTY).get(name, ())
        return test(found) if isinstance(found, dict) else any(map(test, found))

    return matches
