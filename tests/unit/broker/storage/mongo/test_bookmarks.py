"""Bookmarks: which may be used, and when they are given up."""

from __future__ import annotations

from typing import Literal

import pytest

from tsunagu.broker.changes import Change
from tsunagu.broker.storage.mongo import bookmarks as module
from tsunagu.broker.storage.mongo.bookmarks import Bookmarks


def change(identifier: str, kind: Literal["created", "updated", "deleted"]) -> Change:
    return Change("t", "w", 1, identifier, kind, 0, None, None, ())


def test_the_page_after_the_last_one_is_found_again_whatever_is_written() -> None:
    """A bookmark at the offset itself holds while entities come, go and change before it."""
    marks = Bookmarks()
    marks.put("t", "q", 20, "urn:m")
    marks.committed([change(f"urn:a{number}", "created") for number in range(50)])
    marks.committed([change(f"urn:b{number}", "deleted") for number in range(9)])
    assert marks.nearest("t", "q", 20) == (20, "urn:m")
    assert marks.nearest("t", "another", 20) is None
    assert marks.nearest("another", "q", 20) is None


def test_a_list_made_anew_forgets_its_bookmarks() -> None:
    """When half of the entities before a bookmark left and others came, it counts nothing any more."""
    marks = Bookmarks()
    marks.put("t", "q", 4, "urn:m")
    marks.committed([change("urn:a", "deleted"), change("urn:b", "deleted"), change("urn:z", "created")])
    assert marks.nearest("t", "q", 4) == (4, "urn:m")  # what came, came behind it
    marks.committed([change("urn:a", "created")])
    assert marks.nearest("t", "q", 4) is None


def test_counting_off_from_a_bookmark_needs_a_still_list() -> None:
    """A page that begins behind a bookmark uses it only if nothing was written and no other process writes."""
    marks = Bookmarks()
    marks.put("t", "q", 20, "urn:m")
    assert marks.nearest("t", "q", 25) == (20, "urn:m")
    assert marks.nearest("t", "q", 25, shared=True) is None
    assert marks.nearest("t", "q", 20, shared=True) == (20, "urn:m")
    assert marks.nearest("t", "q", 19) is None
    marks.committed([change("urn:a", "updated")])
    assert marks.nearest("t", "q", 25) is None
    marks.put("t", "q", 22, "urn:n")
    assert marks.nearest("t", "q", 25) == (22, "urn:n")


def test_bookmarks_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    """After its lifetime a bookmark is not used any more."""
    marks = Bookmarks()
    marks.put("t", "q", 20, "urn:m")
    monkeypatch.setattr(module, "LIFETIME", -1.0)
    assert marks.nearest("t", "q", 20) is None
