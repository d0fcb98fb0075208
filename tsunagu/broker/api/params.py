"""The query parameters: what each one is and how its text is read; which endpoint takes which stands in routes.py.

An unknown or misplaced parameter, and a value of `options` or `format` that the operation does not support, is an
InvalidRequest (6.3.20); a value that does not meet its definition is BadRequestData (ETSI GS CIM 009 v1.9.1, 5.5.2).
The languages in q, type, georel … are read by their own parsers, with the @context, in the handlers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from tsunagu.broker.errors import BadRequestData, InvalidRequest
from tsunagu.schemas.ids import is_uri
from tsunagu.schemas.times import parse_ms

if TYPE_CHECKING:
    from collections.abc import Callable

    from tsunagu.broker.api.route import Route

MAX_COUNT = 2**31 - 1
DURATION = re.compile(
    r"P(?:(\d{1,4})Y)?(?:(\d{1,5})M)?(?:(\d{1,6})W)?(?:(\d{1,6})D)?"
    r"(?:T(?=\d)(?:(\d{1,8})H)?(?:(\d{1,9})M)?(?:(\d{1,10}(?:\.\d{1,9})?)S)?)?",
    re.ASCII,
)
UNITS = (31_536_000, 2_592_000, 604_800, 86_400, 3_600, 60, 1)  # seconds in a year, month, week …
SYNONYMS = {"keyValues": "simplified"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter: its reader (text → value, raising BadRequestData) and what OpenAPI says of it."""

    name: str
    read: Callable[[str, str], Any]
    about: str
    schema: dict[str, Any] = field(default_factory=lambda: {"type": "string"})
    deprecated: bool = False


def text(name: str, value: str) -> str:
    """Read a text that must not be empty."""
    if not value:
        raise BadRequestData(f"{name} is empty; leave it out or give it a value")
    return value


def boolean(name: str, value: str) -> bool:
    """Read true or false."""
    lowered = value.lower()
    if lowered not in {"true", "false"}:
        raise BadRequestData(f"{name} is {value!r}; it is true or false")
    return lowered == "true"


def whole(name: str, value: str) -> int:
    """Read an integer of at least 0."""
    if not (value.isascii() and value.isdigit()) or int(value[:12]) > MAX_COUNT:
        raise BadRequestData(f"{name} is {value[:40]!r}; it is an integer of at least 0")
    return int(value)


def positive(name: str, value: str) -> int:
    """Read an integer of at least 1."""
    if not (value.isascii() and value.isdigit()) or not 1 <= int(value[:12]) <= MAX_COUNT:
        raise BadRequestData(f"{name} is {value[:40]!r}; it is an integer of at least 1")
    return int(value)


def words(name: str, value: str) -> tuple[str, ...]:
    """Read a comma-separated list of names."""
    parts = tuple(part.strip() for part in value.split(","))
    if not all(parts):
        raise BadRequestData(f"{name} has an empty element; it is a comma-separated list of names")
    return parts


def uris(name: str, value: str) -> tuple[str, ...]:
    """Read a comma-separated list of URIs."""
    parts = words(name, value)
    for part in parts:
        if not is_uri(part):
            raise BadRequestData(f"{name}: {part!r} is not a URI")
    return parts


def dataset_ids(name: str, value: str) -> tuple[str, ...]:
    """Read a comma-separated list of URIs, with "@none" for the default instance (4.5.5)."""
    parts = words(name, value)
    for part in parts:
        if part != "@none" and not is_uri(part):
            raise BadRequestData(f'{name}: {part!r} is not a URI; "@none" stands for the default instance')
    return parts


def duration(name: str, value: str) -> int:
    """Read an ISO 8601 duration; return milliseconds."""
    match = DURATION.fullmatch(value)
    if match is None or not any(match.groups()):
        raise BadRequestData(f"{name} is {value[:40]!r}; it is an ISO 8601 duration such as PT10M")
    return round(sum(float(part) * unit for part, unit in zip(match.groups(), UNITS, strict=True) if part) * 1000)


def moment(name: str, value: str) -> str:
    """Read a DateTime (4.6.3); return the text."""
    try:
        parse_ms(value)
    except ValueError:
        raise BadRequestData(f"{name} is {value!r}; it is a DateTime in UTC such as 2026-07-18T19:10:00Z") from None
    return value


def one_of(*allowed: str) -> Callable[[str, str], str]:
    """Return a reader of one of the allowed words."""

    def read(name: str, value: str) -> str:
        if value not in allowed:
            raise BadRequestData(f"{name} is {value!r}; it is one of {', '.join(allowed)}")
        return value

    return read


BOOLEAN: dict[str, Any] = {"type": "boolean"}
WHOLE: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": MAX_COUNT}
POSITIVE: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": MAX_COUNT}

PARAMETERS: dict[str, Parameter] = {
    p.name: p
    for p in (
        Parameter("aggrMethods", words, "Aggregation methods (comma-separated, 4.5.19)"),
        Parameter("aggrPeriodDuration", duration, "Duration of each aggregation period, ISO 8601"),
        Parameter("attrs", words, "Attributes to match and return (comma-separated)", deprecated=True),
        Parameter("collation", text, "ICU collation for orderBy"),
        Parameter("containedBy", uris, "Entity ids met before while following relationships (comma-separated)"),
        Parameter("coordinates", text, "Coordinates of the geo-query's geometry (4.10)"),
        Parameter("count", boolean, "Return the number of results in NGSILD-Results-Count", BOOLEAN),
        Parameter("csf", text, "Context source filter (4.9)"),
        Parameter("datasetId", dataset_ids, 'Instances to return (comma-separated URIs; "@none": the default one)'),
        Parameter("deleteAll", boolean, "Delete all instances of the attribute", BOOLEAN),
        Parameter("details", boolean, "Return details instead of names", BOOLEAN),
        Parameter("drop", words, "Attributes to delete from the matching entities (comma-separated)"),
        Parameter("endTimeAt", moment, "End of the interval of a temporal query (4.11)"),
        Parameter("entityMap", boolean, "Create or use an entity map and return its location", BOOLEAN),
        Parameter("entityMapLifetime", duration, "Suggested lifetime of the entity map, ISO 8601 duration"),
        Parameter("expandValues", words, "Attributes whose values in q are expanded by the @context (comma-separated)"),
        Parameter("geometry", text, "Geometry type of the geo-query (4.10)"),
        Parameter("geometryProperty", text, "GeoProperty that becomes the GeoJSON geometry"),
        Parameter("geoproperty", text, "GeoProperty that the geo-query tests; location by default"),
        Parameter("georel", text, "Geo-relationship (4.10)"),
        Parameter("id", uris, "Entity ids (comma-separated URIs)"),
        Parameter("idPattern", text, "Regular expression that entity ids match"),
        Parameter("join", one_of("flat", "inline", "@none"), "How to return linked entities (4.5.23)"),
        Parameter("joinLevel", positive, "How deep to follow relationships", POSITIVE),
        Parameter("jsonKeys", words, "Attributes whose values in q are plain JSON (comma-separated)"),
        Parameter("keep", words, "Attributes to keep of the matching entities (comma-separated)"),
        Parameter("kind", one_of("Cached", "Hosted", "ImplicitlyCreated"), "Kind of the @contexts to list"),
        Parameter("lang", text, "Preferred language (RFC 5646)"),
        Parameter("lastN", positive, "Instances of each attribute at most, the latest ones", POSITIVE),
        Parameter("limit", whole, "Elements in a page at most", WHOLE),
        Parameter("local", boolean, "Only what this broker holds itself (6.3.18)", BOOLEAN),
        Parameter("observedAt", moment, "observedAt of merged attributes that had one"),
        Parameter("offset", whole, "Elements to skip", WHOLE),
        Parameter("omit", text, "Members to leave out (4.21)"),
        Parameter("orderBy", text, "Members to order by (4.23)"),
        Parameter("orderFrom", text, "Coordinates to measure distances from when ordering"),
        Parameter("orderGeometry", text, "Geometry type of orderFrom; Point by default"),
        Parameter("pick", text, "Members to return (4.21)"),
        Parameter("q", text, "Query on attribute values (4.9)"),
        Parameter("reload", boolean, "Download the @context again instead of deleting it", BOOLEAN),
        Parameter("scopeQ", text, "Query on scopes (4.19)"),
        Parameter("splitEntities", boolean, "Entities may be spread over several sources", BOOLEAN),
        Parameter("timeAt", moment, "Time of a temporal query (4.11)"),
        Parameter("timeproperty", text, "Time member that a temporal query looks at; observedAt by default"),
        Parameter("timerel", text, "before, after or between (4.11)"),
        Parameter("type", text, "Entity type selection (4.17)"),
    )
}


def read_query(route: Route, query: bytes) -> dict[str, Any]:
    """Return the query parameters of a request by name, each as its reader returned it.

    `options` becomes a frozenset without the representation formats; those, from either parameter, become `format`.
    Raises InvalidRequest or BadRequestData, naming the parameter.
    """
    if not query:
        return {}
    values: dict[str, Any] = {}
    for name, value in pairs(query):
        if name not in route.allowed:
            raise InvalidRequest(misplaced(route, name))
        if name in values:
            raise InvalidRequest(f"parameter {name!r} is given twice; give it once")
        if name in {"options", "format"}:
            values[name] = value
        else:
            values[name] = PARAMETERS[name].read(name, value)
    if "options" in values or "format" in values:
        settle_options(route, values)
    return values


@lru_cache(maxsize=1024)
def pairs(query: bytes) -> tuple[tuple[str, str], ...]:
    """Return the decoded names and values of a query string; "+" is a space.

    Raises InvalidRequest if a value is not UTF-8 or holds a control character.
    """
    found: list[tuple[str, str]] = []
    for part in query.split(b"&"):
        if not part:
            continue
        name, _, value = part.partition(b"=")
        found.append((decoded(name), decoded(value)))
    return tuple(found)


def decoded(raw: bytes) -> str:
    """Return a percent-encoded name or value as text. Raises InvalidRequest if it is not UTF-8 or holds NUL."""
    try:
        value = unquote_to_bytes(raw.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise InvalidRequest("the query string is not UTF-8 after percent-decoding") from None
    if "\0" in value:
        raise InvalidRequest("the query string holds the NUL character")
    return value


def misplaced(route: Route, name: str) -> str:
    """Return the detail for a parameter that the operation does not take."""
    what = f"does not apply to {route.operation}" if name in PARAMETERS else "is unknown"
    takes = ", ".join(sorted(route.allowed)) or "no parameters"
    return f"parameter {name!r} {what}; it takes {takes}"


def settle_options(route: Route, values: dict[str, Any]) -> None:
    """Check `options` and `format` and separate the representation format from the other options (6.3.7, 6.3.20).

    `options=count`, as ngsi-go says, is `count=true` (6.3.13).
    """
    formats: set[str] = set()
    options: set[str] = set()
    for word in filter(None, (part.strip() for part in values.pop("options", "").split(","))):
        if word in route.formats:
            formats.add(SYNONYMS.get(word, word))
        elif word in route.options:
            options.add(word)
        elif word == "count" and word in route.parameters:
            values.setdefault(word, True)
        else:
            raise InvalidRequest(f"options: {word!r} is not supported here; {', '.join(route.words)} are")
    chosen = values.pop("format", "")
    if chosen:
        if chosen not in route.formats:
            raise InvalidRequest(f"format: {chosen!r} is not supported here; {', '.join(route.formats)} are")
        formats = {SYNONYMS.get(chosen, chosen)}
    if len(formats) > 1:
        raise InvalidRequest(f"options: {' and '.join(sorted(formats))} exclude each other; give one")
    if options:
        values["options"] = frozenset(options)
    if formats:
        values["format"] = formats.pop()
