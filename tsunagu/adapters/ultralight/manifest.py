"""Where Ultralight 2.0 messages come in."""

from __future__ import annotations

from tsunagu.adapters.format import Format, Route, Topic
from tsunagu.adapters.ultralight.codec import decode

PREFIXES = ("/ul/", "ul/")
RESULT = {"action": "result"}
CONFIGURATION = {"action": "configuration"}

FORMAT = Format(
    name="ultralight",
    title="FIWARE Ultralight 2.0",
    resources=("/iot/d", "/iot/ul", ""),
    decode=decode,
    topics=(
        *(Topic(p + "{apikey}/{device}/attrs") for p in PREFIXES),
        *(Topic(p + "{apikey}/{device}/attrs/{attr}") for p in PREFIXES),
        *(Topic(p + "{apikey}/{device}/cmdexe", RESULT) for p in PREFIXES),
        *(Topic(p + "{apikey}/{device}/configuration/commands", CONFIGURATION) for p in PREFIXES),
    ),
    routes=(
        Route("/iot/d", ("GET",), named={"source": "query"}),
        Route("/iot/d", ("POST",), ("text/plain",)),
        Route("/iot/ul", ("GET",), named={"source": "query"}),
        Route("/iot/ul", ("POST",), ("text/plain",)),
        Route("/iot/d/attrs/{attr}", ("POST",), ("text/plain",)),
        Route("/iot/d/commands", ("POST",), ("text/plain",), RESULT),
    ),
)
