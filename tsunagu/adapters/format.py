"""The record that describes a device format; each format's manifest.py makes one, registry.py lists them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tsunagu.adapters.message import Reading


@dataclass(frozen=True, slots=True)
class Topic:
    """An MQTT topic pattern with named parts: "/json/{apikey}/{device}/attrs".

    A last part "#" takes the rest as "rest".
    `named` are parts that the pattern itself settles ({"action": "result"}).
    """

    pattern: str
    named: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Route:
    """An HTTP path with named parts, its methods, and the content types it takes (empty: any)."""

    path: str
    methods: tuple[str, ...] = ("POST",)
    types: tuple[str, ...] = ()
    named: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Format:
    """A device format.

    `resources` are the `resource` values of groups that speak it, the best first. `decode(message)` reads a message,
    or raises DeviceError (BadPayload …). `needs` are the query parameters without which its HTTP routes answer 400.
    A `configured` format reads messages by its group's settings: its decode gets them (`internal_attributes`) too.
    `personal` formats carry identities of people's belongings: the quarantine keeps no body of theirs.
    """

    name: str
    title: str
    resources: tuple[str, ...]
    decode: Callable[..., Sequence[Reading]]
    topics: tuple[Topic, ...] = ()
    routes: tuple[Route, ...] = ()
    needs: tuple[str, ...] = ("k", "i")
    personal: bool = False
    configured: bool = False
