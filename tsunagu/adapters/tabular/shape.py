"""Where things stand in JSON or CSV of any shape: a group's `internal_attributes.message`."""

from __future__ import annotations

import codecs
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from tsunagu.adapters.errors import BadMeasure

if TYPE_CHECKING:
    from collections.abc import Mapping


def _encoding(text: str) -> str:
    try:
        return codecs.lookup(text).name
    except LookupError:
        raise ValueError("is no encoding that is known") from None


def _different(columns: list[str]) -> list[str]:
    if len(set(columns)) < len(columns):
        raise ValueError("each column needs a name of its own")
    return columns


Path = Annotated[str, Field(min_length=1)]


class Shape(BaseModel):
    """The shape of a message; all members may be left out.

    `device`, `time`, `rows` and `values` are paths (members joined by dots, a list index a number), or columns of CSV;
    `columns` names the columns of CSV without a heading, `encoding` is one that Python knows.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    device: Path | None = None
    time: Path | None = None
    rows: Path | None = None
    values: dict[str, Path] | None = None
    columns: Annotated[list[str], Field(min_length=1), AfterValidator(_different)] | None = None
    delimiter: Annotated[str, Field(pattern=r'^[^"\r\n]$')] = ","
    encoding: Annotated[str, AfterValidator(_encoding)] | None = None


@lru_cache(maxsize=4096)
def _compiled(text: bytes) -> Shape:
    return Shape.model_validate_json(text)


def shape_of(settings: Mapping[str, Any]) -> Shape:
    """Return the shape that a group's settings give. Raises BadMeasure naming the member."""
    try:
        return _compiled(orjson.dumps(settings.get("message") or {}))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(["internal_attributes.message", *(str(part) for part in first["loc"])])
        raise BadMeasure(f"{where}: {first['msg']}") from None
