"""What the representations need of a JSON-LD context."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tsunagu.schemas.kinds.kind import Terms

if TYPE_CHECKING:
    from collections.abc import Mapping


class Names(Terms, Protocol):
    """Maps that never miss: `names` has the name of each IRI, `shown` that of each stored attribute name."""

    @property
    def names(self) -> Mapping[str, str]:
        """IRI → name."""

    @property
    def shown(self) -> Mapping[str, str]:
        """Stored attribute name → name."""
