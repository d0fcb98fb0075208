"""What travels through the pipeline: a message as it came, and what a codec reads in it.

These records are made once per message, several thousand times a second, so they are slotted and not frozen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tsunagu.adapters.credentials import Proof
    from tsunagu.adapters.errors import DeviceError


@dataclass(slots=True)
class Message:
    """A device message as a door took it.

    `named` holds what the door learned from topic or query: "apikey", "device", "attr", "event", "shape", "t" …
    `origin` is the topic or the path, for people. `received` is epoch ms UTC. `redelivered` says that the transport
    may have handed this message over before; `retained` that the MQTT broker kept it from an earlier time.
    `tag` is the door's own (an MQTT packet id). `key` names a message that is kept elsewhere (in the quarantine) and
    may be replayed again and again. `too_large` is the size in bytes of a payload that the door did not take; `body` is
    empty then. `realm` is the tenant whose groups alone the message reaches, None for all. `fault` is what the door
    found wrong with it already. `proof` is what the sender showed, None where the transport shows nothing.
    `repeat_key` is what the sender calls this message by, and every repetition of it; "" for none.
    """

    format: str
    body: bytes
    received: int
    named: Mapping[str, str]
    origin: str = ""
    content_type: str = ""
    redelivered: bool = False
    retained: bool = False
    tag: int = 0
    key: str = ""
    too_large: int = 0
    realm: str | None = None
    fault: DeviceError | None = None
    proof: Proof | None = None
    repeat_key: str = ""


@dataclass(slots=True)
class Measure:
    """Values that one device measured at one time.

    `time` is as the device gave it (see clock.read_time), None if it gave none. `receipt` is the message's own
    idempotency key. `context` holds further variables for expressions, which do not become attributes by themselves.
    `status` is what the device says of its sensor ("good", "Invalid Reading"), None if it says nothing;
    keys that hold no value because of it are in `faulty`. `raw` are the device's own bytes, where a network
    hands them on: a device with a decoder or a layout gets its values from them. `static` are instances that describe
    the entity and were not measured at that time.
    """

    apikey: str
    device_id: str
    values: dict[str, Any]
    time: Any = None
    receipt: str | None = None
    context: Mapping[str, Any] | None = None
    status: str | None = None
    faulty: frozenset[str] = frozenset()
    raw: bytes = b""
    static: dict[str, Any] | None = None


class Ready(dict[str, Any]):
    """A value that is an attribute instance already, normalized, and needs no conversion."""


@dataclass(slots=True)
class Sighting:
    """A tag that a reader heard: one advert, or several that the edge has merged (`count`).

    `tag` is the identity that the advert carries ("uuid:major:minor", "namespace:instance" or a MAC) and `address`
    the MAC it came from, "" if unknown: personal data, never to be stored, logged or counted by. `event` is the
    edge's own judgement ("enter", "refresh", "leave"), None for raw adverts.
    """

    apikey: str
    device_id: str
    tag: str
    address: str
    rssi: int | None
    time: Any = None
    count: int = 1
    event: str | None = None
    receipt: str | None = None


@dataclass(slots=True)
class Heartbeat:
    """A device says how it is; `values` are further health readings. Leaves no history.

    `state` None: somebody else speaks of the device (a network server), from which nothing follows for its being alive.
    """

    apikey: str
    device_id: str
    state: str | None
    time: Any = None
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Count:
    """Counters of a camera, cumulative since their last reset: {"total": 318, "in": …, "out": …}.

    `present` True: how many are there now instead, of which no flow follows.
    """

    apikey: str
    device_id: str
    scenario: str
    totals: dict[str, int]
    time: Any = None
    receipt: str | None = None
    present: bool = False


@dataclass(slots=True)
class CommandResult:
    """What a device answered to a command."""

    apikey: str
    device_id: str
    command: str
    result: Any
    time: Any = None


@dataclass(slots=True)
class ConfigurationRequest:
    """A device asks for the values of attributes of its entity; `wish` is "configuration" or "subscription"."""

    apikey: str
    device_id: str
    wish: str
    fields: tuple[str, ...]
    time: Any = None


Reading = Measure | Sighting | Heartbeat | Count | CommandResult | ConfigurationRequest
