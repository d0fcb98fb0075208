"""The table of device formats: one row per folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsunagu.adapters.ble_gateway.manifest import FORMAT as BLE_GATEWAY
from tsunagu.adapters.camera.manifest import FORMAT as CAMERA
from tsunagu.adapters.chirpstack.manifest import FORMAT as CHIRPSTACK
from tsunagu.adapters.gif_river.manifest import FORMAT as GIF_RIVER
from tsunagu.adapters.iotagent_json.manifest import FORMAT as IOTAGENT_JSON
from tsunagu.adapters.sigfox.manifest import FORMAT as SIGFOX
from tsunagu.adapters.tabular.manifest import FORMAT as TABULAR
from tsunagu.adapters.tts.manifest import FORMAT as TTS
from tsunagu.adapters.ultralight.manifest import FORMAT as ULTRALIGHT

if TYPE_CHECKING:
    from tsunagu.adapters.format import Format

FORMATS: dict[str, Format] = {
    row.name: row
    for row in (
        IOTAGENT_JSON,
        ULTRALIGHT,
        CHIRPSTACK,
        TTS,
        SIGFOX,
        BLE_GATEWAY,
        CAMERA,
        TABULAR,
        GIF_RIVER,
    )
}
