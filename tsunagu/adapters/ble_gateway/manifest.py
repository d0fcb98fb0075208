"""Where the reports of BLE gateways come in."""

from __future__ import annotations

from tsunagu.adapters.ble_gateway.codec import SHAPES, decode
from tsunagu.adapters.format import Format, Route, Topic

FORMAT = Format(
    name="ble_gateway",
    title="BLE gateways (Minew, AprilBrother, Ruuvi, OpenMQTTGateway, edge filters)",
    resources=("/iot/ble",),
    decode=decode,
    topics=(
        *(Topic(f"/ble/{shape}/{{apikey}}/{{device}}", {"shape": shape}) for shape in SHAPES),
        *(Topic(f"ble/{shape}/{{apikey}}/{{device}}", {"shape": shape}) for shape in SHAPES),
        *(Topic(f"{slash}ble/ruuvi/{{apikey}}/{{device}}/{{mac}}", {"shape": "ruuvi"}) for slash in ("/", "")),
        Topic("{apikey}/{device}/BTtoMQTT/{mac}", {"shape": "openmqttgateway"}),
    ),
    routes=(Route("/iot/ble/{shape}", ("POST",)),),
    needs=("k",),
    personal=True,
)
