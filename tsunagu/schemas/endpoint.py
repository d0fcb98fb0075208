"""Where a subscription's notifications go, as a client writes it (ETSI GS CIM 009 v1.9.1, 5.2.15, 5.2.22, 7.2).

notifierInfo holds what the broker must know to reach the receiver. Beside MQTT-QoS and MQTT-Version of the standard
these keys are ours; over MQTT an OAuth2 token takes the place of the password:

| key | |
|---|---|
| OAuth2-Token-URL, OAuth2-Client-Id, OAuth2-Client-Secret | client credentials (RFC 6749, 4.4) |
| OAuth2-Scope, OAuth2-Audience | sent to the token URL when given |
| OAuth2-Client-Authentication | basic (default) or post: how the client shows its secret to the token URL |
| TLS-CA | PEM: the certificates that vouch for the endpoint, instead of the system's |
| TLS-Client-Certificate, TLS-Client-Key | PEM: what the broker shows to the endpoint (mutual TLS) |
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from tsunagu.schemas.ids import is_uri
from tsunagu.schemas.secrets import masked_uri

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\U0010ffff]*")

NGSIV2 = "application/x-ngsiv2+json"
QOS, VERSION = "MQTT-QoS", "MQTT-Version"
TOKEN_URL, CLIENT_ID, CLIENT_SECRET = "OAuth2-Token-URL", "OAuth2-Client-Id", "OAuth2-Client-Secret"
SCOPE, AUDIENCE, CLIENT_AUTHENTICATION = "OAuth2-Scope", "OAuth2-Audience", "OAuth2-Client-Authentication"
CA, CERTIFICATE, KEY = "TLS-CA", "TLS-Client-Certificate", "TLS-Client-Key"

CHOICES = {
    QOS: ("0", "1", "2"),
    VERSION: ("mqtt3.1.1", "mqtt5.0"),
    CLIENT_AUTHENTICATION: ("basic", "post"),
}
SETTINGS = frozenset({*CHOICES, TOKEN_URL, CLIENT_ID, CLIENT_SECRET, SCOPE, AUDIENCE, CA, CERTIFICATE, KEY})
OWN = {name.lower(): name for name in SETTINGS}


class Strict(BaseModel):
    """A model of which every member is known and has the type that it says."""

    model_config = ConfigDict(extra="forbid", strict=True)


def uri_text(text: str) -> str:
    """Return a text that is a URI. Raises ValueError."""
    if not is_uri(text):
        raise ValueError(f"must be a URI, not {masked_uri(text)[:80]!r}")
    return text


def _endpoint_uri(text: str) -> str:
    uri_text(text)
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"must be a URI with a host and, if any, a port from 1 to 65535: {error}") from None
    if not parts.hostname:
        raise ValueError("must name a host, as in http://host:port/path")
    if parts.scheme.lower() in {"mqtt", "mqtts"}:
        topic = unquote(parts.path[1:])
        if not topic or any(sign in topic for sign in "+#\0"):
            raise ValueError("must name a topic without wildcards, as in mqtt://host:port/topic/subtopic")
    return text


def not_bool(value: Any) -> Any:
    """Return a value that is no boolean, which Python takes for a number. Raises ValueError."""
    if isinstance(value, bool):
        raise ValueError("must be a number greater than 0")  # noqa: TRY004 - pydantic wants a ValueError
    return value


Uri = Annotated[str, AfterValidator(uri_text)]
Text = Annotated[str, Field(min_length=1)]
Positive = Annotated[float, BeforeValidator(not_bool), Field(gt=0, allow_inf_nan=False)]


class KeyValuePair(Strict):
    """One pair of receiverInfo or notifierInfo (5.2.22)."""

    key: Text
    value: str


def _header(pair: KeyValuePair) -> KeyValuePair:
    if not TOKEN.fullmatch(pair.key):
        raise ValueError("key must be a header name: letters, digits and !#$%&'*+-.^_`|~ only (RFC 7230)")
    if not FIELD_VALUE.fullmatch(pair.value):
        raise ValueError("value must be one line without control characters (RFC 7230)")
    return pair


def _notifier(pair: KeyValuePair) -> KeyValuePair:
    known = OWN.get(pair.key.lower(), pair.key)
    if known != pair.key:
        raise ValueError(f"key {pair.key} must be written {known}")
    choices = CHOICES.get(pair.key)
    if choices is not None and pair.value not in choices:
        raise ValueError(f"{pair.key} must be {' or '.join(choices)}")
    if pair.key == TOKEN_URL and urlsplit(pair.value).scheme.lower() not in {"http", "https"}:
        raise ValueError(f"{TOKEN_URL} must be an http or https URL")
    if pair.value == "" and pair.key in SETTINGS:
        raise ValueError(f"{pair.key} must not be empty")
    return pair


class Endpoint(Strict):
    """Where notifications go (5.2.15); `timeout` and `cooldown` in milliseconds.

    Of what it may accept application/x-ngsiv2+json is ours: the form of FIWARE NGSIv2.
    """

    uri: Annotated[str, AfterValidator(_endpoint_uri)]
    accept: Literal["application/json", "application/ld+json", "application/geo+json", "application/x-ngsiv2+json"] = (
        "application/json"
    )
    cooldown: Positive | None = None
    timeout: Positive | None = None
    notifierInfo: list[Annotated[KeyValuePair, AfterValidator(_notifier)]] | None = None  # noqa: N815 - the standard's name
    receiverInfo: list[Annotated[KeyValuePair, AfterValidator(_header)]] | None = None  # noqa: N815

    @model_validator(mode="after")
    def _restrictions(self) -> Endpoint:
        settings: dict[str, str] = {}
        for pair in self.notifierInfo or ():
            if pair.key in settings and pair.key in SETTINGS:
                raise ValueError(f"notifierInfo: {pair.key} is given twice")
            settings[pair.key] = pair.value
        scheme = urlsplit(self.uri).scheme.lower()
        _check_oauth(settings)
        _check_tls(settings, scheme)
        _check_credentials(self, settings, scheme)
        return self


def _check_oauth(settings: dict[str, str]) -> None:
    """Raise ValueError unless all of OAuth2 that is needed is there."""
    given = [key for key in settings if key in {TOKEN_URL, CLIENT_ID, CLIENT_SECRET, SCOPE, AUDIENCE}]
    if not given:
        return
    for key in (TOKEN_URL, CLIENT_ID, CLIENT_SECRET):
        if key not in settings:
            raise ValueError(f"notifierInfo: {key} is missing; {given[0]} needs it")


def _check_tls(settings: dict[str, str], scheme: str) -> None:
    """Raise ValueError if certificates stand where there is no TLS, or one half of a pair without the other."""
    given = [key for key in (CA, CERTIFICATE, KEY) if key in settings]
    if given and scheme not in {"https", "mqtts"}:
        raise ValueError(f"notifierInfo: {given[0]} is for https and mqtts endpoints only")
    if (CERTIFICATE in settings) != (KEY in settings):
        missing = KEY if CERTIFICATE in settings else CERTIFICATE
        raise ValueError(f"notifierInfo: {missing} is missing; a client certificate and its key go together")


def _check_credentials(endpoint: Endpoint, settings: dict[str, str], scheme: str) -> None:
    """Raise ValueError if an endpoint is given credentials in more than one way."""
    parts = urlsplit(endpoint.uri)
    ways = {f"{TOKEN_URL} in notifierInfo": TOKEN_URL in settings}
    if scheme in {"http", "https"}:
        ways["user and password in uri"] = "@" in parts.netloc
        header = any(pair.key.lower() == "authorization" for pair in endpoint.receiverInfo or ())
        ways["Authorization in receiverInfo"] = header
    else:
        ways["a password in uri"] = parts.password is not None
    given = [way for way, there in ways.items() if there]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} exclude each other; give one of them")
