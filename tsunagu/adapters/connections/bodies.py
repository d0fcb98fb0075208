"""What a connection and a route look like to the API, and what of them may be shown.

Secrets (passwords in a URL, a client key, what a webhook must show) go in and never come out: they are shown as a mask,
and a mask that is sent back keeps what is stored. What a webhook must show is kept as a digest.
"""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, model_validator

from tsunagu.adapters.connections.patterns import PatternError, compile_pattern
from tsunagu.adapters.inbound.http import HOOKS
from tsunagu.adapters.registry import FORMATS
from tsunagu.schemas.secrets import MASK, MaskNotStored, masked_uri, restored

SCHEMES = ("mqtt", "mqtts", "tcp", "ssl")
FIELD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Part(BaseModel):
    """A body or a part of one: unknown members are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


def _mqtt_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in SCHEMES or not parts.hostname or parts.path not in ("", "/") or parts.query:
        raise ValueError("must have the form mqtt://[user:password@]host[:port], or mqtts:// for TLS")
    _ = parts.port
    return text


def _pattern(text: str) -> str:
    try:
        compile_pattern(text)
    except PatternError as error:
        raise ValueError(str(error)) from None
    return text


def _hook(text: str) -> str:
    if not text.startswith(HOOKS) or text == HOOKS:
        raise ValueError(f"must start with {HOOKS}")
    return _pattern(text)


def _field(text: str) -> str:
    if not FIELD.fullmatch(text):
        raise ValueError("must be the name of an HTTP header")
    return text


Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Url = Annotated[str, AfterValidator(_mqtt_url)]
Topic = Annotated[str, AfterValidator(_pattern)]
Path = Annotated[str, AfterValidator(_hook)]
Header = Annotated[str, AfterValidator(_field)]


class Tls(Part):
    """Who vouches for the MQTT broker instead of the system's authorities, and what we show to it: PEM texts."""

    ca: str | None = None
    certificate: str | None = None
    key: str | None = None

    @model_validator(mode="after")
    def _both(self) -> Tls:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together")
        return self


class Connection(Part):
    """An MQTT broker. `standard`: it also has the topics of all formats; `commands`: devices' commands go to it.

    `shared` False: it knows no shared subscriptions, so that one worker alone connects.
    """

    id: Id
    url: Url
    client_id: Annotated[str, Field(min_length=1, max_length=128)] | None = Field(None, alias="clientId")
    version: Literal["auto", "3.1.1", "5"] = "auto"
    tls: Tls | None = None
    standard: StrictBool = False
    commands: StrictBool = False
    shared: StrictBool = True

    @model_validator(mode="after")
    def _secure(self) -> Connection:
        if self.tls is not None and urlsplit(self.url).scheme not in ("mqtts", "ssl"):
            raise ValueError("tls goes with a URL of the scheme mqtts")
        return self


class Place(Part):
    """Where something stands: in a header (MQTT 5: user property) or in the JSON body ("$.device.id", "a[0].id")."""

    header: Header | None = None
    json_path: Annotated[str, Field(min_length=1, max_length=256)] | None = Field(None, alias="json")

    @model_validator(mode="after")
    def _one(self) -> Place:
        if (self.header is None) == (self.json_path is None):
            raise ValueError("header or json is needed, and one of them")
        return self


class Require(Part):
    """What a webhook must show: a header with this value."""

    header: Header
    value: Annotated[str, Field(min_length=8, max_length=1024)]


class Route(Part):
    """A topic of an MQTT broker, or a path under /iot/hooks/, and how its messages are read.

    `connection` absent: the topic is one of the operator's own MQTT broker. `apikey` and `device` are texts with named
    parts of the pattern, or places; absent, the format reads them itself. `named` are further parts that are fixed.
    """

    id: Id
    topic: Topic | None = None
    path: Path | None = None
    connection: Id | None = None
    format: str
    apikey: str | Place | None = None
    device: str | Place | None = None
    named: dict[str, str] = Field(default_factory=dict)
    require: Require | None = None

    @model_validator(mode="after")
    def _fits(self) -> Route:
        if (self.topic is None) == (self.path is None):
            raise ValueError("topic or path is needed, and one of them")
        if self.topic is not None and self.require:
            raise ValueError("require goes with a path; over MQTT the MQTT broker says who may publish")
        if self.path is not None and self.connection is not None:
            raise ValueError("connection goes with a topic")
        if self.format not in FORMATS:
            raise ValueError(f"format must be one of {', '.join(FORMATS)}")
        names = compile_pattern(self.topic or self.path or "").names
        for member, template in (("apikey", self.apikey), ("device", self.device)):
            if isinstance(template, str):
                used = set(re.findall(r"\{(\w+)\}", template))
                if not used <= names:
                    raise ValueError(f"{member}: the pattern has no part {', '.join(sorted(used - names))}")
        if FORMATS[self.format].configured and self.apikey is None and "apikey" not in names:
            raise ValueError(f"apikey is needed: {self.format} is read as its group says")
        return self


def digest(secret: str) -> str:
    """Return what is kept of a secret that is only compared."""
    return hashlib.sha256(secret.encode()).hexdigest()


def connection_entry(body: dict[str, Any], stored: dict[str, Any] | None) -> dict[str, Any]:
    """Return a checked connection as it is kept, with stored secrets for their masks. Raises MaskNotStored."""
    url = restored({"uri": body["url"]}, {"uri": stored["url"]} if stored else None)["uri"]
    entry = {**body, "url": url}
    tls = entry.get("tls")
    if tls and tls.get("key") == MASK:
        same_server = stored is not None and masked_uri(stored["url"]) == masked_uri(url)
        old = (stored or {}).get("tls") or {}
        if not same_server or not old.get("key"):
            raise MaskNotStored(f"tls.key: {MASK} is the mask of a key that is not stored for this server")
        entry["tls"] = {**tls, "key": old["key"]}
    return entry


def shown_connection(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a connection as it may be shown."""
    shown = {name: value for name, value in entry.items() if name not in ("tenant", "key")}
    shown["url"] = masked_uri(entry["url"])
    if (entry.get("tls") or {}).get("key"):
        shown["tls"] = {**entry["tls"], "key": MASK}
    return shown


def route_entry(body: dict[str, Any], stored: dict[str, Any] | None) -> dict[str, Any]:
    """Return a checked route as it is kept. Raises MaskNotStored."""
    require = body.get("require")
    if not require:
        return body
    if require["value"] == MASK:
        old = (stored or {}).get("require")
        if not old:
            raise MaskNotStored(f"require.value: {MASK} is the mask of a secret that is not stored")
        return {**body, "require": {"header": require["header"], "digest": old["digest"]}}
    return {**body, "require": {"header": require["header"], "digest": digest(require["value"])}}


def shown_route(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a route as it may be shown."""
    shown = {name: value for name, value in entry.items() if name not in ("tenant", "key")}
    if entry.get("require"):
        shown["require"] = {"header": entry["require"]["header"], "value": MASK}
    return shown
