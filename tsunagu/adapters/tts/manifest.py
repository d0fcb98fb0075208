"""Where messages of The Things Stack come in."""

from __future__ import annotations

from tsunagu.adapters.format import Format, Route, Topic
from tsunagu.adapters.tts.codec import decode

EVENTS = ("up", "join", "location/solved", "uplink/normalized")

FORMAT = Format(
    name="tts",
    title="The Things Stack v3",
    resources=("/iot/tts", ""),
    decode=decode,
    topics=tuple(Topic(f"v3/{{apikey}}/devices/{{device}}/{event}") for event in EVENTS),
    routes=(Route("/iot/tts", ("POST",)),),
    needs=(),
)
