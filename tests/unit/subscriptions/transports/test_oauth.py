"""OAuth2 client credentials (RFC 6749, 4.4), against a real token URL and a real endpoint."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest

from tests.unit.subscriptions.transports.city import City
from tsunagu.broker.access.outgoing import OutgoingGuard
from tsunagu.subscriptions.transports.http import HttpTransport
from tsunagu.subscriptions.transports.oauth import NoToken, token_in
from tsunagu.subscriptions.transports.transport import Message, Result


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    """Give a transport that may reach this machine."""
    one = HttpTransport(OutgoingGuard(("127.0.0.1",)))
    yield one
    await one.close()


async def test_one_token_for_all(city: City, transport: HttpTransport) -> None:
    """A token is asked for once, however many notifications wait for it, and used until it is about to expire."""
    results = await asyncio.gather(*(transport.send(city.message()) for _ in range(10)))
    results.append(await transport.send(city.message()))
    assert all(result.ok for result in results)
    assert city.got == ["Bearer token-1"] * 11
    form, shown = city.asked[0]
    assert form == {"grant_type": "client_credentials"}
    assert shown == "Basic " + base64.b64encode(b"city:pa%3Ass").decode()
    assert len(city.asked) == 1


async def test_the_secret_in_the_form(city: City, transport: HttpTransport) -> None:
    """With client authentication `post` the secret stands in the form; scope and audience go along."""
    more = (("OAuth2-Client-Authentication", "post"), ("OAuth2-Scope", "a b"), ("OAuth2-Audience", "x"))
    assert (await transport.send(city.message(*more))).ok
    form, shown = city.asked[0]
    assert shown is None
    assert form == {
        "grant_type": "client_credentials",
        "scope": "a b",
        "audience": "x",
        "client_id": "city",
        "client_secret": "pa:ss",
    }


async def test_a_refused_token_is_renewed_once(city: City, transport: HttpTransport) -> None:
    """On 401 another token is fetched, once; if that is refused, too, the delivery has failed with 401."""
    assert (await transport.send(city.message())).ok
    city.valid = set()
    assert (await transport.send(city.message())).ok
    assert city.got == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]
    city.stubborn = True
    result = await transport.send(city.message())
    assert (result.ok, result.status, len(city.got)) == (False, 401, 5)


async def test_a_token_is_renewed_before_it_expires(city: City, transport: HttpTransport) -> None:
    """A token that would expire on the way is not used again: a lifetime of 0 means a new one each time."""
    city.lifetime = 0
    for _ in range(3):
        assert (await transport.send(city.message())).ok
    assert city.got == ["Bearer token-1", "Bearer token-2", "Bearer token-3"]


async def test_other_credentials_have_other_tokens(city: City, transport: HttpTransport) -> None:
    """Tokens are kept apart by credentials."""
    await transport.send(city.message())
    await transport.send(city.message(secret="other"))
    assert len(city.asked) == 2


async def test_no_token_is_a_failure_with_its_reason(city: City, transport: HttpTransport) -> None:
    """A token URL that refuses is a failure of the delivery: it says where and why, without the secret."""
    city.refuse = (401, {"error": "invalid_client", "error_description": "who are you?"})
    result = await transport.send(city.message())
    place = f"http://127.0.0.1:{city.port}/token"
    assert result == Result(ok=False, reason=f"no OAuth2 token: {place} answered 401 invalid_client who are you?")
    assert city.got == []


async def test_the_guard_stands_before_the_token_url(city: City) -> None:
    """A token URL on a private address is not asked."""
    settings = (("OAuth2-Token-URL", f"http://127.0.0.1:{city.port}/token"), *city.message().settings[1:])
    transport = HttpTransport(OutgoingGuard(("localhost",)))
    result = await transport.send(Message(f"http://localhost:{city.port}/notify", b"{}", (), 1.0, settings))
    await transport.close()
    assert "127.0.0.1 is a private address" in result.reason
    assert city.asked == []


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (500, b"<html>", "answered 500"),
        (200, b"[]", "without an access_token"),
        (200, b'{"access_token": "a\\nb"}', "without an access_token"),
        (200, b'{"access_token": "a", "token_type": "mac"}', "type mac"),
    ],
)
def test_answers_that_are_none(status: int, body: bytes, told: str) -> None:
    """What is no token answer is told as it is."""
    with pytest.raises(NoToken, match=told):
        token_in("https://t", status, body)


@pytest.mark.parametrize(
    ("lasts", "used"),
    [("3600", 3570.0), ("100", 80.0), ('"100"', 80.0), ("null", 300.0), ("-5", 0.0), ("1e9", 86400.0)],
)
def test_how_long_a_token_is_used(lasts: str, used: float) -> None:
    """A token is used until shortly before it expires; five minutes if it does not say."""
    body = f'{{"access_token": "a", "expires_in": {lasts}}}'.encode()
    assert token_in("https://t", 200, body) == ("a", used)
