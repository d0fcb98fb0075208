"""The Query of a request body (5.2.23, 5.2.13, 5.2.43), brought into the form that read_query gives to parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tsunagu.broker.api.params import PARAMETERS, duration, moment, words
from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.query.types import parse_selector

if TYPE_CHECKING:
    from tsunagu.broker.jsonld.context import Context

Reader = Callable[[str, Any], Any]


def string(name: str, value: Any) -> str:
    """Read a string that must not be empty."""
    if not isinstance(value, str) or not value:
        raise BadRequestData(f"{name}: a string is expected")
    return value


def parameter(name: str, value: Any) -> Any:
    """Read a string as the query parameter of the same name is read."""
    return PARAMETERS[name].read(name, string(name, value))


def boolean(name: str, value: Any) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise BadRequestData(f"{name}: true or false is expected")
    return value


def positive(name: str, value: Any) -> int:
    """Read a positive integer."""
    if type(value) is not int or value < 1:
        raise BadRequestData(f"{name}: an integer of at least 1 is expected")
    return value


def strings(name: str, value: Any) -> list[str]:
    """Read an array of one or more strings."""
    if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
        raise BadRequestData(f"{name}: an array of at least one string is expected")
    return value


def listed(name: str, value: Any) -> Any:
    """Read an array of strings as the query parameter of the same name, a comma-separated list, is read.

    One string, itself a comma-separated list, is accepted too.
    """
    texts = [value] if isinstance(value, str) else strings(name, value)
    return tuple(part for text in texts for part in PARAMETERS[name].read(name, text))


def joined(name: str, value: Any) -> str:
    """Read an array of strings, or one string, as a comma-separated text."""
    return string(name, value) if isinstance(value, str) else ",".join(strings(name, value))


def members(name: str, value: Any, known: dict[str, Any]) -> dict[str, Any]:
    """Return the members of an object. Raises BadRequestData if it is none, or has a member that is not known."""
    if not isinstance(value, dict):
        raise BadRequestData(f"{name}: an object is expected")
    for member in value:
        if member not in known:
            raise BadRequestData(f"{name}: it has no member {member!r}; its members are {', '.join(sorted(known))}")
    return {member: item for member, item in value.items() if item is not None}


# Member of the Query → reader of its value; the name is that of the query parameter, too.
PLAIN: dict[str, Reader] = {
    "q": string,
    "csf": string,
    "scopeQ": string,
    "lang": string,
    "geometryProperty": string,
    "attrs": strings,
    "pick": joined,
    "omit": joined,
    "containedBy": listed,
    "datasetId": listed,
    "expandValues": listed,
    "jsonKeys": listed,
    "join": parameter,
    "joinLevel": positive,
    "entityMap": boolean,
    "entityMapLifetime": parameter,
    "splitEntities": boolean,
}
KNOWN: dict[str, Any] = {**PLAIN, "type": None, "entities": None, "geoQ": None, "ordering": None}
GEO: dict[str, Any] = {"georel": None, "geometry": None, "coordinates": None, "geoproperty": None}
ORDERING: dict[str, Any] = {"collation": None, "coordinates": None, "geometry": None, "orderBy": None}


def time(name: str, value: Any) -> str:
    """Read a DateTime."""
    return moment(name, string(name, value))


def method_names(name: str, value: Any) -> tuple[str, ...]:
    """Read aggregation methods: an array of names, or a comma-separated list of them."""
    return words(name, ",".join(strings(name, value)) if isinstance(value, list) else string(name, value))


def period(name: str, value: Any) -> int:
    """Read a duration."""
    return duration(name, string(name, value))


AGGREGATION: dict[str, Reader] = {"aggrMethods": method_names, "aggrPeriodDuration": period}
TEMPORAL: dict[str, Reader] = {
    "timerel": string,
    "timeAt": time,
    "endTimeAt": time,
    "timeproperty": string,
    "lastN": positive,
    **AGGREGATION,
}
TEMPORALLY_KNOWN: dict[str, Any] = {**KNOWN, "temporalQ": None, "aggrParams": None}


def params_of(body: dict[str, Any], context: Context, *, temporal: bool = False) -> dict[str, Any]:
    """Return the parameters that a Query says, with `entities` and `wildcards` for its selectors.

    `temporal`: it asks for temporal evolutions. Raises BadRequestData, naming the member.
    """
    if not temporal and ("temporalQ" in body or "aggrParams" in body):
        raise BadRequestData("temporalQ and aggrParams belong to queries of temporal evolutions (5.7.4)")
    query = members("Query", body, TEMPORALLY_KNOWN if temporal else KNOWN)
    if query.get("type") != "Query":
        raise BadRequestData('type: it is "Query"')
    params = {name: read(name, query[name]) for name, read in PLAIN.items() if name in query}
    if "entities" in query:
        selectors = query["entities"]
        if not isinstance(selectors, list) or not selectors:
            raise BadRequestData("entities: an array of at least one entity selector is expected")
        params["entities"] = tuple(parse_selector(one, context) for one in selectors)
        params["wildcards"] = tuple(one["type"] for one in selectors)
    if "geoQ" in query:
        params.update(members("geoQ", query["geoQ"], GEO))
    if "ordering" in query:
        params.update(ordering(members("ordering", query["ordering"], ORDERING)))
    for name, known in (("temporalQ", TEMPORAL), ("aggrParams", AGGREGATION)):
        if name in query:
            given = members(name, query[name], known)
            params.update({member: known[member](f"{name}.{member}", value) for member, value in given.items()})
    if "aggrMethods" in params:
        params["format"] = "aggregatedValues"
    return params


def ordering(given: dict[str, Any]) -> dict[str, Any]:
    """Return the ordering parameters that OrderingParams (5.2.43) say. Raises BadRequestData."""
    params: dict[str, Any] = {"orderBy": joined("ordering.orderBy", given.get("orderBy"))}
    if "collation" in given:
        params["collation"] = string("ordering.collation", given["collation"])
    if "geometry" in given:
        params["orderGeometry"] = string("ordering.geometry", given["geometry"])
    if "coordinates" in given:
        if not isinstance(given["coordinates"], list):
            raise BadRequestData("ordering.coordinates: a JSON array is expected")
        params["orderFrom"] = given["coordinates"]
    return params
