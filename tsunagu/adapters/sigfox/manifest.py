"""Where Sigfox callbacks come in."""

from __future__ import annotations

from tsunagu.adapters.format import Format, Route
from tsunagu.adapters.sigfox.codec import decode

FORMAT = Format(
    name="sigfox",
    title="Sigfox callbacks",
    resources=("/iot/sigfox", ""),
    decode=decode,
    routes=(Route("/iot/sigfox", ("GET",), named={"source": "form"}), Route("/iot/sigfox", ("POST",))),
    needs=("k",),
)
