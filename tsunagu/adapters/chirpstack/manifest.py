"""Where ChirpStack events come in."""

from __future__ import annotations

from tsunagu.adapters.chirpstack.codec import decode
from tsunagu.adapters.format import Format, Route, Topic

FORMAT = Format(
    name="chirpstack",
    title="ChirpStack v4",
    resources=("/iot/chirpstack", ""),
    decode=decode,
    topics=(Topic("application/{apikey}/device/{device}/event/{event}"),),
    routes=(Route("/iot/chirpstack", ("POST",)),),
    needs=(),
)
