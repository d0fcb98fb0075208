"""Where cameras report."""

from __future__ import annotations

from tsunagu.adapters.camera.codec import decode
from tsunagu.adapters.format import Format, Route, Topic

ONVIF = {"action": "onvif"}

FORMAT = Format(
    name="camera",
    title="Cameras (heartbeats, AXIS Object Analytics, ONVIF events)",
    resources=("/iot/camera",),
    decode=decode,
    topics=(
        *(Topic(p + "camera/{apikey}/{device}/heartbeat") for p in ("/", "")),
        *(Topic(p + "camera/{apikey}/{device}/event/#") for p in ("/", "")),
        *(Topic(p + "camera/{apikey}/{device}/onvif-ej/#", ONVIF) for p in ("/", "")),
        Topic("axis/{device}/event/#", {"apikey": "axis"}),
        Topic("{device}/onvif-ej/#", {"apikey": "onvif", **ONVIF}),
    ),
    routes=(Route("/iot/camera", ("POST",)),),
)
