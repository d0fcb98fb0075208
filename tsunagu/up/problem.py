"""What keeps `tsunagu up` from running, said in one line."""

from __future__ import annotations


class UpError(Exception):
    """`tsunagu up` cannot go on; the text says what is wrong and what to do, in one line."""
