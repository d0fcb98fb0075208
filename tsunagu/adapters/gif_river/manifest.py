"""Where GIF river level files come in."""

from __future__ import annotations

from tsunagu.adapters.format import Format, Route
from tsunagu.adapters.gif_river.codec import decode

FORMAT = Format(
    name="gif_river",
    title="GIF 455-1-25 river levels (CSV)",
    resources=("/iot/gif/river",),
    decode=decode,
    routes=(Route("/iot/gif/river", ("POST",)),),
    needs=("k",),
)
