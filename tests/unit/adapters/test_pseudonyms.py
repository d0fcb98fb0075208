"""Pseudonyms of tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.adapters.memory import FAULTS
from tsunagu.adapters.pseudonyms import Pseudonyms, pseudonym

if TYPE_CHECKING:
    from tests.adapters.memory import Site


def test_a_pseudonym_depends_on_key_and_identity() -> None:
    """The same for the same, another for any other."""
    assert pseudonym(b"k", "a") == pseudonym(b"k", "a")
    assert len({pseudonym(b"k", "a"), pseudonym(b"k", "b"), pseudonym(b"j", "a")}) == 3


async def test_each_tenant_has_a_key_of_its_own_that_lasts(empty_site: Site) -> None:
    """Two tenants cannot join their data; a restart changes nothing."""
    first = Pseudonyms(empty_site.catalogue, FAULTS)
    a, b = (await first.of("a"))("tag"), (await first.of("b"))("tag")
    again = (await Pseudonyms(empty_site.catalogue, FAULTS).of("a"))("tag")
    assert a == again != b
