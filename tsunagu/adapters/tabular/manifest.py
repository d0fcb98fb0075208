"""Where JSON and CSV of any shape come in."""

from __future__ import annotations

from tsunagu.adapters.format import Format, Route, Topic
from tsunagu.adapters.tabular.codec import decode

FORMAT = Format(
    name="tabular",
    title="JSON and CSV of any shape, described by the group",
    resources=("/iot/any",),
    decode=decode,
    topics=tuple(
        Topic(f"{slash}any/{form}/{{apikey}}{device}", {"form": form})
        for slash in ("/", "")
        for form in ("json", "csv")
        for device in ("", "/{device}")
    ),
    routes=(
        Route("/iot/any/json", ("POST",), named={"form": "json"}),
        Route("/iot/any/csv", ("POST",), named={"form": "csv"}),
    ),
    needs=("k",),
    configured=True,
)
