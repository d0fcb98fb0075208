"""A subscription as a client writes it: which members it may have and what they may hold.

Source: ETSI GS CIM 009 v1.9.1, 5.2.12 (Subscription), 5.2.13 (GeoQuery), 5.2.14 (NotificationParams),
5.2.33 (EntitySelector); for the endpoint see `schemas.endpoint`. Ours is the member `coalesce`: of several changes
of one entity that wait for the subscriber only the latest is sent; `lateData`: readings that came too late for the
current state are told, too; and the formats x-ngsiv2….

Only the form is checked here. What needs a @context or a query parser (types, attribute names, q, geoQ, scopeQ, pick …)
is checked by `broker.operations.subscriptions`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from tsunagu.schemas.endpoint import NGSIV2, Endpoint, Positive, Strict, Text, Uri, not_bool, uri_text
from tsunagu.schemas.entity import NULL
from tsunagu.schemas.times import parse_ms

Trigger = Literal[
    "entityCreated", "entityUpdated", "entityDeleted", "attributeCreated", "attributeUpdated", "attributeDeleted"
]
DEFAULT_TRIGGERS = ("attributeCreated", "attributeUpdated")

# The x-ngsiv2 ones are ours, named as Orion-LD names them: `subscriptions.ngsiv2`.
Format = Literal[
    "normalized",
    "concise",
    "simplified",
    "keyValues",
    "x-ngsiv2",
    "x-ngsiv2-normalized",
    "x-ngsiv2-keyValues",
    "x-ngsiv2-normalized-compacted",
    "x-ngsiv2-keyValues-compacted",
]

READ_ONLY = frozenset({"status", "createdAt", "modifiedAt"})
READ_ONLY_NOTIFICATION = frozenset(
    {"lastFailure", "lastNotification", "lastSuccess", "status", "timesFailed", "timesSent"}
)

# Members as version 1.2.2 of the specification and older named them; ngsi-go and Orion-LD's users still do.
FORMER = {"name": "subscriptionName", "expires": "expiresAt"}

VERSION = re.compile(r"\d+\.\d+")
RESERVED = frozenset({"id", "type", "scope"})


class InvalidSubscription(ValueError):
    """A subscription is malformed; the text names the member and says what would be right."""


def _time(text: str) -> str:
    parse_ms(text)
    return text


def _ids(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _dataset(text: str) -> str:
    return text if text == "@none" else uri_text(text)


Names = Annotated[list[Text], Field(min_length=1)]


class NotificationParams(Strict):
    """What a notification holds and where it goes (5.2.14.1)."""

    endpoint: Endpoint
    attributes: Names | None = None
    format: Format = "normalized"
    join: Literal["flat", "inline", "@none"] | None = None
    joinLevel: Annotated[int, BeforeValidator(not_bool), Field(ge=1, le=10)] | None = None  # noqa: N815
    omit: Names | None = None
    pick: Names | None = None
    showChanges: bool = False  # noqa: N815
    sysAttrs: bool = False  # noqa: N815

    @model_validator(mode="after")
    def _restrictions(self) -> NotificationParams:
        if self.showChanges and self.format in {"simplified", "keyValues"}:
            raise ValueError(f"showChanges cannot be true with format {self.format}; use normalized or concise")
        if self.format.startswith("x-ngsiv2") or self.endpoint.accept == NGSIV2:
            self._check_ngsiv2()
        if self.attributes is not None:
            if self.pick is not None or self.omit is not None:
                raise ValueError("attributes is the old form of pick: give it, or pick and omit, not both")
            reserved = RESERVED.intersection(self.attributes)
            if reserved:
                raise ValueError(f"attributes must not hold {min(reserved)}; use pick for it")
        both = set(self.pick or ()) & set(self.omit or ())
        if both:
            raise ValueError(f"{min(both)} stands in pick and in omit; it can be in one of them only")
        return self

    def _check_ngsiv2(self) -> None:
        """Raise ValueError for what a notification in the form of NGSIv2 cannot have."""
        if self.endpoint.accept not in ("application/json", NGSIV2):
            raise ValueError(f"endpoint.accept must be application/json or {NGSIV2} with format {self.format}")
        if self.showChanges:
            raise ValueError("showChanges cannot be true in the form of NGSIv2, which has no place for it")
        if self.join not in (None, "@none"):
            raise ValueError(f"join cannot be {self.join} in the form of NGSIv2, which has no linked entities")


class EntitySelector(Strict):
    """Which entities a subscription is about (5.2.33); `id` takes precedence over `idPattern`."""

    type: Text
    id: Annotated[list[Uri], BeforeValidator(_ids), Field(min_length=1)] | None = None
    idPattern: Text | None = None  # noqa: N815


class GeoQuery(Strict):
    """The area that an entity must lie in, touch … (5.2.13)."""

    georel: Text
    geometry: Text
    coordinates: list[Any] | str
    geoproperty: Text | None = None


class Subscription(Strict):
    """A subscription without what the broker adds (5.2.12)."""

    id: Uri | None = None
    type: Literal["Subscription"]
    entities: Annotated[list[EntitySelector], Field(min_length=1)] | None = None
    notification: NotificationParams
    notificationTrigger: Annotated[list[Trigger], Field(min_length=1)] | None = None  # noqa: N815
    watchedAttributes: Names | None = None  # noqa: N815
    q: Text | None = None
    geoQ: GeoQuery | None = None  # noqa: N815
    scopeQ: Text | None = None  # noqa: N815
    csf: Text | None = None
    temporalQ: dict[str, Any] | None = None  # noqa: N815
    datasetId: Annotated[list[Annotated[str, AfterValidator(_dataset)]], Field(min_length=1)] | None = None  # noqa: N815
    description: str | None = None
    expandValues: Text | None = None  # noqa: N815
    jsonKeys: Text | None = None  # noqa: N815
    expiresAt: Annotated[str, AfterValidator(_time)] | None = None  # noqa: N815
    isActive: bool = True  # noqa: N815
    jsonldContext: Uri | None = None  # noqa: N815
    lang: Text | None = None
    localOnly: bool = False  # noqa: N815
    ngsildConformance: Annotated[str, Field(pattern=VERSION.pattern)] | None = None  # noqa: N815
    splitEntities: bool | None = None  # noqa: N815
    subscriptionName: str | None = None  # noqa: N815
    throttling: Positive | None = None
    timeInterval: Positive | None = None  # noqa: N815
    coalesce: bool = False
    lateData: bool = False  # noqa: N815 - the standard's way to write names

    @model_validator(mode="after")
    def _restrictions(self) -> Subscription:
        if self.timeInterval is not None:
            if self.watchedAttributes is not None:
                raise ValueError("timeInterval and watchedAttributes exclude each other; give one of them")
            if self.throttling is not None:
                raise ValueError("timeInterval and throttling exclude each other; give one of them")
            if self.entities is None and not self.localOnly:
                raise ValueError("entities is missing: timeInterval needs it")
        if self.entities is None and self.watchedAttributes is None and not self.localOnly:
            raise ValueError("entities or watchedAttributes is missing: give at least one of them, or localOnly true")
        if self.lateData and (self.coalesce or self.throttling is not None or self.timeInterval is not None):
            raise ValueError("lateData excludes coalesce, throttling and timeInterval, which tell only the latest")
        if self.temporalQ is not None:
            raise ValueError("temporalQ is for subscriptions to context source registrations only; leave it out")
        return self


def _plain(value: Any) -> Any:
    """Return a JSON value without the object members that are null, as JSON-LD has it."""
    if isinstance(value, dict):
        return {key: _plain(member) for key, member in value.items() if member is not None and member != NULL}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    return value


def renamed(body: dict[str, Any]) -> dict[str, Any]:
    """Return a subscription or a part of one with today's names for former ones, unless both are there."""
    return {key if FORMER.get(key, key) in body else FORMER[key]: value for key, value in body.items()}


def clean(body: dict[str, Any]) -> dict[str, Any]:
    """Return a subscription without null members, its @context, and what only the broker may set (5.2.12, 5.2.14.2)."""
    result: dict[str, Any] = _plain(
        {key: value for key, value in body.items() if key not in READ_ONLY and key != "@context"}
    )
    notification = result.get("notification")
    if isinstance(notification, dict):
        result["notification"] = {
            key: value for key, value in notification.items() if key not in READ_ONLY_NOTIFICATION
        }
    return result


def check(subscription: dict[str, Any]) -> None:
    """Check the form of a cleaned subscription. Raises InvalidSubscription."""
    try:
        Subscription.model_validate(subscription)
    except ValidationError as error:
        raise InvalidSubscription("; ".join(_explain(one) for one in error.errors()[:5])) from None


EXPLAINED = {
    "missing": "is missing",
    "extra_forbidden": "is not a member that is known here; check its spelling",
    "string_type": "must be a string",
    "bool_type": "must be true or false",
    "list_type": "must be an array",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "model_type": "must be a JSON object",
    "dict_type": "must be a JSON object",
    "float_type": "must be a number greater than 0",
    "greater_than": "must be a number greater than 0",
    "finite_number": "must be a number greater than 0",
    "int_type": "must be an integer from 1 to 10",
    "greater_than_equal": "must be an integer from 1 to 10",
    "less_than_equal": "must be an integer from 1 to 10",
    "string_pattern_mismatch": "must be a version as in 1.9",
}


def _explain(error: Any) -> str:
    """Return one of pydantic's errors as a sentence about a member."""
    steps = [str(step) for step in error["loc"] if not str(step).startswith(("function-", "list[", "constrained-"))]
    path = re.sub(r"\.(\d+)", r"[\1]", ".".join(steps))
    kind = error["type"]
    if kind == "value_error":
        text = str(error["ctx"]["error"])
        return f"{path}: {text}" if path else text
    if kind == "literal_error":
        return f"{path} must be {error['ctx']['expected']}"
    return f"{path or 'the subscription'} {EXPLAINED.get(kind, error['msg'])}"
