"""The endpoint of a subscription (5.2.15) and the settings of ours in its notifierInfo."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tsunagu.schemas.endpoint import Endpoint

CREDENTIALS = {
    "OAuth2-Token-URL": "https://t.example/token",
    "OAuth2-Client-Id": "city",
    "OAuth2-Client-Secret": "s",
}


def endpoint(
    uri: str = "https://h.example/in", receiver: dict[str, str] | None = None, **settings: str
) -> dict[str, Any]:
    given = {key.replace("_", "-"): value for key, value in settings.items()}
    return {
        "uri": uri,
        "notifierInfo": [{"key": key, "value": value} for key, value in given.items()],
        "receiverInfo": [{"key": key, "value": value} for key, value in (receiver or {}).items()],
    }


@pytest.mark.parametrize(
    "given",
    [
        endpoint(**CREDENTIALS),
        endpoint(**CREDENTIALS, **{"OAuth2-Scope": "a", "OAuth2-Client-Authentication": "post"}),
        endpoint(**{"TLS-CA": "pem"}),
        endpoint("mqtts://h/t", **{"TLS-CA": "pem", "TLS-Client-Certificate": "c", "TLS-Client-Key": "k"}),
        endpoint("mqtts://u@h/t", **CREDENTIALS),
        endpoint("mqtt://h/t", **CREDENTIALS),
        endpoint("mqtt://u:p@h/t", {"Authorization": "x"}, **{"MQTT-QoS": "1"}),
        endpoint("https://u:p@h/t"),
        endpoint(Prefer="body=json", Anything="goes"),
    ],
)
def test_what_goes_together(given: dict[str, Any]) -> None:
    """These settings make sense together."""
    Endpoint.model_validate(given)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (endpoint(**{"OAuth2-Token-URL": "https://t.example/"}), "OAuth2-Client-Id is missing"),
        (endpoint(**{"OAuth2-Scope": "a"}), "OAuth2-Token-URL is missing"),
        (endpoint(**{**CREDENTIALS, "OAuth2-Token-URL": "ftp://t/"}), "must be an http or https URL"),
        (endpoint(**{**CREDENTIALS, "OAuth2-Client-Id": ""}), "must not be empty"),
        (endpoint(**CREDENTIALS, **{"OAuth2-Client-Authentication": "jwt"}), "basic or post"),
        (endpoint("mqtt://u:p@h/t", **CREDENTIALS), "exclude each other"),
        (endpoint("http://h/t", **{"TLS-CA": "pem"}), "for https and mqtts endpoints only"),
        (endpoint(**{"TLS-Client-Key": "k"}), "TLS-Client-Certificate is missing"),
        (endpoint(**{"Oauth2-token-url": "https://t/"}), "must be written OAuth2-Token-URL"),
        (endpoint("https://u:p@h/", **CREDENTIALS), "exclude each other"),
        (endpoint("https://u:p@h/", {"authorization": "x"}), "exclude each other"),
        (endpoint(receiver={"Authorization": "x"}, **CREDENTIALS), "exclude each other"),
        ({"uri": "https://h/", "notifierInfo": [{"key": "TLS-CA", "value": "a"}] * 2}, "given twice"),
    ],
)
def test_what_does_not(given: dict[str, Any], told: str) -> None:
    """Settings that contradict each other, or of which one half is missing, are refused by name."""
    with pytest.raises(ValidationError, match=told):
        Endpoint.model_validate(given)


def test_a_password_is_not_repeated() -> None:
    """The text about an address that is no URI does not show its password."""
    with pytest.raises(ValidationError) as caught:
        Endpoint.model_validate({"uri": "https://bob:hunter2@h/a b"})
    assert "hunter2" not in str(caught.value.errors(include_input=False, include_url=False))
