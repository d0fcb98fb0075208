"""What of an endpoint is secret, and how it is shown: as MASK, never as it is.

Secret are the password in a URI, the values of query parameters that are named like a secret, and all values of
receiverInfo and notifierInfo but those of keys that are known to hold none (PLAIN).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

MASK = "********"
SHORTEST = 4

PLAIN = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "cache-control",
        "content-language",
        "content-type",
        "fiware-service",
        "fiware-servicepath",
        "link",
        "mqtt-qos",
        "mqtt-version",
        "ngsild-tenant",
        "ngsiv2-attrsformat",
        "oauth2-audience",
        "oauth2-client-authentication",
        "oauth2-client-id",
        "oauth2-scope",
        "oauth2-token-url",
        "prefer",
        "tls-ca",
        "tls-client-certificate",
        "tsunagu-replay",
        "user-agent",
    }
)
TELLING = re.compile(
    r"(?i)(^|[^a-z])(code|sig|signature|key|pass(word|wd|phrase)?|pwd|auth|jwt)$|token|secret|api_?key"
)
PARAMETER = re.compile(r"(?P<name>[^=&?#]+)=(?P<value>[^&#]*)")


def _userinfo(uri: str) -> tuple[int, int] | None:
    """Return where the password of a URI begins and ends, None if it has none."""
    start = uri.find("//")
    if start < 0:
        return None
    start += 2
    end = min((place for sign in "/?#" if (place := uri.find(sign, start)) >= 0), default=len(uri))
    at = uri.rfind("@", start, end)
    colon = uri.find(":", start, at) if at >= 0 else -1
    return (colon + 1, at) if colon >= 0 else None


def masked_uri(uri: str) -> str:
    """Return a URI with MASK in the place of its password and of the secrets among its query parameters."""
    query = uri.find("?")
    if query >= 0:
        uri = uri[:query] + PARAMETER.sub(_masked_parameter, uri[query:])
    found = _userinfo(uri)
    if found is None or found[0] == found[1]:
        return uri
    return uri[: found[0]] + MASK + uri[found[1] :]


def _masked_parameter(match: re.Match[str]) -> str:
    return f"{match['name']}={MASK}" if match["value"] and TELLING.search(match["name"]) else match[0]


def masked_value(key: str, value: str) -> str:
    """Return a value of receiverInfo or notifierInfo as it may be shown."""
    if key.lower() not in PLAIN:
        return MASK
    return masked_uri(value) if key.lower().endswith("url") else value


def masked_pairs(pairs: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    """Return the pairs of receiverInfo or notifierInfo as they may be shown."""
    return [{**pair, "value": masked_value(pair["key"], pair["value"])} for pair in pairs]


def masked_endpoint(endpoint: dict[str, Any]) -> dict[str, Any]:
    """Return an Endpoint (5.2.15) as it may be shown."""
    shown = {**endpoint, "uri": masked_uri(endpoint["uri"])}
    for member in ("receiverInfo", "notifierInfo"):
        if member in endpoint:
            shown[member] = masked_pairs(endpoint[member])
    return shown


def secrets_of(uri: str, pairs: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return the secret texts of an endpoint, longest first, for `scrubbed`; without those of a few letters."""
    found = {value for key, value in pairs if masked_value(key, value) != value}
    place = _userinfo(uri)
    if place is not None:
        found.add(uri[place[0] : place[1]])
    if "?" in uri:
        found.update(value for name, value in parse_qsl(urlsplit(uri).query) if TELLING.search(name))
    found.update([value.partition(" ")[2] for value in found if " " in value])
    return tuple(sorted((one for one in found if len(one) >= SHORTEST), key=len, reverse=True))


def scrubbed(text: str, secrets: Iterable[str]) -> str:
    """Return a text, such as a reason or a log line, with MASK in the place of secrets."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text


class MaskNotStored(ValueError):
    """A mask was sent in the place of a secret that is not stored; the text names the member."""


def restored(endpoint: dict[str, Any], stored: dict[str, Any] | None) -> dict[str, Any]:
    """Return an endpoint as a client sent it, with the stored secrets where it sent their masks back.

    A secret goes to the server that it was given for, and to no other: who moves an endpoint to another server, or its
    client credentials to another token URL, gives the secrets again. `endpoint` need not be well-formed.
    Raises MaskNotStored.
    """
    uri = endpoint.get("uri")
    if stored is None or not isinstance(uri, str) or _server(uri) != _server(stored["uri"]):
        stored = {"uri": ""}
    result = dict(endpoint)
    if isinstance(uri, str) and MASK in uri:
        result["uri"] = _restored_uri(uri, stored["uri"])
    for member in ("receiverInfo", "notifierInfo"):
        pairs = endpoint.get(member)
        if isinstance(pairs, list):
            kept = list(stored.get(member, ()))
            if _token_url(pairs) != _token_url(kept):
                kept = [pair for pair in kept if not pair["key"].startswith("OAuth2-")]
            result[member] = [_restored_pair(pair, kept, member) for pair in pairs]
    return result


def _restored_uri(uri: str, stored: str) -> str:
    """Return a URI with the stored one's password and query parameters in the place of their masks."""
    old = _userinfo(stored)
    new = _userinfo(uri)
    if new is not None and old is not None and uri[new[0] : new[1]] == MASK:
        uri = uri[: new[0]] + stored[old[0] : old[1]] + uri[new[1] :]
    head, mark, query = uri.partition("?")
    known = {match["name"]: match[0] for match in PARAMETER.finditer(stored.partition("?")[2])}
    uri = head + mark + PARAMETER.sub(lambda m: known.get(m["name"], m[0]) if m["value"] == MASK else m[0], query)
    if MASK in uri:
        raise MaskNotStored(f"uri: {MASK} is the mask of a secret that is not stored for this server; give it again")
    return uri


def _restored_pair(pair: Any, kept: list[dict[str, str]], member: str) -> Any:
    """Return a pair with its stored value for a mask; the stored pair is taken out of `kept`."""
    if not isinstance(pair, dict) or not isinstance(pair.get("value"), str) or MASK not in pair["value"]:
        return pair
    for one in kept:
        if one["key"] == pair.get("key") and masked_value(one["key"], one["value"]) == pair["value"]:
            kept.remove(one)
            return {**pair, "value": one["value"]}
    raise MaskNotStored(
        f"{member}: the value of {str(pair.get('key'))[:80]} is {MASK}, the mask of a secret that is not stored for "
        "this server; give it again"
    )


def _token_url(pairs: Iterable[Any]) -> str | None:
    """Return where a client secret among some pairs is shown, masked."""
    for pair in pairs:
        if isinstance(pair, dict) and pair.get("key") == "OAuth2-Token-URL" and isinstance(pair.get("value"), str):
            return masked_uri(pair["value"])
    return None


def _server(uri: str) -> tuple[str, str]:
    """Return the scheme, and user, host and port of a URI."""
    scheme, _, rest = masked_uri(uri).partition("//")
    return scheme.lower(), re.split("[/?#]", rest, maxsplit=1)[0].lower()
