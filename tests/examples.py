"""How many examples the tests by hypothesis try: few in CI, TSUNAGU_EXAMPLES times as many in a long run."""

from __future__ import annotations

import os

FACTOR = int(os.environ.get("TSUNAGU_EXAMPLES", "1"))


def examples(number: int) -> int:
    """Return the number of examples for a test that tries `number` in CI."""
    return number * FACTOR
