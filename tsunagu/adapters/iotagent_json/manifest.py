"""Where IoT-Agent JSON messages come in."""

from __future__ import annotations

from tsunagu.adapters.format import Format, Route, Topic
from tsunagu.adapters.iotagent_json.codec import decode

PREFIXES = ("/json/", "json/", "/", "")
BODIES = ("application/json", "text/plain", "application/octet-stream", "application/soap+xml")
RESULT = {"action": "result"}
CONFIGURATION = {"action": "configuration"}

FORMAT = Format(
    name="iotagent_json",
    title="FIWARE IoT-Agent JSON",
    resources=("/iot/json", "/iot/d", ""),
    decode=decode,
    topics=(
        *(Topic(p + "{apikey}/{device}/attrs") for p in PREFIXES),
        *(Topic(p + "{apikey}/{device}/attrs/{attr}") for p in PREFIXES),
        *(Topic(p + "{apikey}/{device}/cmdexe", RESULT) for p in PREFIXES),
        *(Topic(p + "{apikey}/{device}/configuration/commands", CONFIGURATION) for p in PREFIXES),
    ),
    routes=(
        Route("/iot/json", ("GET",), named={"source": "query"}),
        Route("/iot/json", ("POST",), ("application/json",)),
        Route("/iot/d", ("POST",), ("application/json",)),
        Route("/iot/json/attrs/{attr}", ("POST",), BODIES),
        Route("/iot/json/commands", ("POST",), ("application/json",), RESULT),
        Route("/iot/json/configuration", ("POST",), ("application/json",), CONFIGURATION),
    ),
)
