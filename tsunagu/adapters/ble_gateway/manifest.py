"""Where the reports of BLE gateways come in."""

from __future__ import annotations

from tsunagu.adapters.ble_gateway.codec import decode
from tsunagu.adapters.format import Format, Route, Topic

FORMAT = Format(
    name="ble_gateway",
    title="BLE gateways (Minew, AprilBrother, Ruuvi, OpenMQTTGateway, edge filters)",
    resources=("/iot/ble",),
    decode=decode,
    topics=(
        Topic("/ble/{shape}/{apikey}/{device}"),
        Topic("ble/{shape}/{apikey}/{device}"),
        Topic("{apikey}/{device}/BTtoMQTT/{mac}", {"shape": "openmqttgateway"}),
    ),
    routes=(Route("/iot/ble/{shape}", ("POST",)),),
    needs=("k",),
    personal=True,
)
