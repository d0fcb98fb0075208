"""The system times that most attributes of an entity share, stored once (docs/decisions/0029).

After a creation, or a change of all attributes, most have the same TIMES: created together, modified just now. In
MongoDB's form of a document, and in the part "a" of the record of such a change, these stand under USUAL, and "sys" has
only what differs from them::

    {"attrs": {A: …, B: …, C: …}, "sys": {C: TIMES}, "usual": {"c": epoch ms, "m": epoch ms}}

An attribute that "sys" lacks has the usual TIMES. They stay as they are until all attributes change again: a change of
some puts the TIMES of those into "sys". Where there is no USUAL, as in what earlier versions stored, "sys" is complete.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tsunagu.schemas.entity import Document

USUAL = "usual"
MEMBERS = frozenset({"c", "m"})
"""What usual TIMES have: they are of instances without observedAt, expiresAt and sub-attributes."""


def leave_out(document: Document) -> None:
    """Move the TIMES that attributes share out of "sys" to USUAL, in place.

    `document` is a whole one, or the part of one that has all attributes; its "sys" is replaced, not altered.
    """
    usual: dict[str, Any] | None = None
    others: dict[str, Any] = {}
    for name, times in document["sys"].items():
        if usual is None and len(times) == len(MEMBERS) and type(times) is dict:
            usual = times
        elif times is not usual and times != usual:
            others[name] = times
    if usual is not None:
        document[USUAL], document["sys"] = usual, others


def fill_in(document: Document) -> Document:
    """Give a document that was read, or a part of one, the TIMES that were left out, in place; return it.

    Of what there is under "attrs": whoever reads "sys" in part reads as `projection` says.
    """
    usual = document.pop(USUAL, None)
    if usual is not None:
        sys: Mapping[str, Any] = document.get("sys", {})
        document["sys"] = {name: sys.get(name, usual) for name in document.get("attrs", {})}
    return document


def filled(documents: list[Document]) -> list[Document]:
    """Give documents that were read the TIMES that were left out, in place; return them."""
    for document in documents:
        if USUAL in document:
            fill_in(document)
    return documents


def projection(names: Collection[str] | None = None, *, prefix: str = "") -> dict[str, int]:
    """Return what to read to have attributes (None: all) with their TIMES; `prefix` leads to the document, "a." say."""
    trees = (f"{prefix}attrs", f"{prefix}sys")
    paths = trees if names is None else [f"{tree}.{name}" for tree in trees for name in names]
    return dict.fromkeys((f"{prefix}{USUAL}", *paths), 1)


def recorded(record: dict[str, Any]) -> dict[str, Any]:
    """Give a record of the log that was read the TIMES that were left out of its part "a", in place; return it."""
    if "a" in record:
        fill_in(record["a"])
    return record
