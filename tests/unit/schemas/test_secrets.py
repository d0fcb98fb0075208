"""What of an endpoint is shown and what is masked, and how masks come back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsunagu.schemas.secrets import MASK, MaskNotStored, masked_endpoint, masked_uri, restored, scrubbed, secrets_of

STORED: dict[str, Any] = {
    "uri": "https://bob:pw1@h.example:8443/in?code=abc&x=1",
    "accept": "application/json",
    "receiverInfo": [{"key": "X-Api-Key", "value": "k-1"}, {"key": "Prefer", "value": "body=json"}],
    "notifierInfo": [
        {"key": "OAuth2-Token-URL", "value": "https://t.example/token"},
        {"key": "OAuth2-Client-Id", "value": "city"},
        {"key": "OAuth2-Client-Secret", "value": "s3cr3t"},
    ],
}
LETTERS = st.text("abcdefghijklmnop0123456789", min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("mqtt://bob:secret@h:1883/t", f"mqtt://bob:{MASK}@h:1883/t"),
        ("https://bob:p%40ss@h/in", f"https://bob:{MASK}@h/in"),
        ("https://bob:a:b@h/in", f"https://bob:{MASK}@h/in"),
        ("https://:pw@h/", f"https://:{MASK}@h/"),
        ("https://bob@h/in", "https://bob@h/in"),
        ("https://h:8443/a@b:c", "https://h:8443/a@b:c"),
        ("https://h/in?x=1&code=abc&access_token=t&q=a", f"https://h/in?x=1&code={MASK}&access_token={MASK}&q=a"),
        (
            "https://h/in?apiKey=1&subscription-key=2&monkey=3",
            f"https://h/in?apiKey={MASK}&subscription-key={MASK}&monkey=3",
        ),
        ("urn:x:y", "urn:x:y"),
    ],
)
def test_what_is_secret_in_an_address(uri: str, shown: str) -> None:
    """The password and the parameters that are named like a secret are masked, and nothing else."""
    assert masked_uri(uri) == shown


def test_what_is_secret_in_pairs() -> None:
    """Every value is masked but those of keys known to be harmless; keys stay readable."""
    shown = masked_endpoint(STORED)
    assert shown["receiverInfo"] == [{"key": "X-Api-Key", "value": MASK}, {"key": "Prefer", "value": "body=json"}]
    assert [pair["value"] for pair in shown["notifierInfo"]] == ["https://t.example/token", "city", MASK]
    assert "pw1" not in str(shown)
    assert "abc" not in str(shown)


def test_masks_that_come_back_keep_what_is_stored() -> None:
    """An endpoint sent back as it was read is the stored one; a new path on the same server keeps the password."""
    assert restored(masked_endpoint(STORED), STORED) == STORED
    moved = {**masked_endpoint(STORED), "uri": f"https://bob:{MASK}@h.example:8443/other"}
    assert restored(moved, STORED)["uri"] == "https://bob:pw1@h.example:8443/other"


@given(password=LETTERS, code=LETTERS, value=LETTERS)
def test_any_endpoint_survives_reading_and_writing(password: str, code: str, value: str) -> None:
    """Whatever the secrets are: read, sent back, it is as before, and none of it was readable."""
    endpoint = {
        "uri": f"mqtts://u:{password}@h/t?sig={code}",
        "receiverInfo": [{"key": "Authorization", "value": f"Bearer {value}"}],
    }
    shown = masked_endpoint(endpoint)
    assert restored(shown, endpoint) == endpoint
    assert shown == masked_endpoint({**endpoint, "receiverInfo": [{"key": "Authorization", "value": "other"}]})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"uri": f"https://bob:{MASK}@evil.example/in"}, "uri"),
        ({"uri": f"http://bob:{MASK}@h.example:8443/in"}, "uri"),
        ({"uri": f"https://eve:{MASK}@h.example:8443/in"}, "uri"),
        ({"uri": "https://evil.example/in"}, "receiverInfo"),
        ({"receiverInfo": [{"key": "Other", "value": MASK}]}, "receiverInfo"),
        ({"receiverInfo": [{"key": "X-Api-Key", "value": MASK}] * 2}, "receiverInfo"),
        (
            {
                "notifierInfo": [
                    {"key": "OAuth2-Token-URL", "value": "https://evil.example/token"},
                    {"key": "OAuth2-Client-Secret", "value": MASK},
                ]
            },
            "notifierInfo",
        ),
    ],
)
def test_a_secret_goes_nowhere_else(change: dict[str, Any], named: str) -> None:
    """A mask is not filled in for another server, scheme, user, key or token URL: the secret must be given again."""
    with pytest.raises(MaskNotStored, match=named):
        restored({**masked_endpoint(STORED), **change}, STORED)


def test_a_mask_in_a_new_subscription_means_nothing() -> None:
    """Where nothing is stored a mask is refused, so that no stars are sent as a password."""
    with pytest.raises(MaskNotStored):
        restored(masked_endpoint(STORED), None)


def test_reasons_are_scrubbed() -> None:
    """A reason that repeats a secret, with or without its scheme word, shows the mask instead."""
    secrets = secrets_of("https://bob:hunter2@h/", [("Authorization", "Bearer eyJabc"), ("Prefer", "body=json")])
    assert (
        scrubbed("cannot use https://bob:hunter2@h/ with eyJabc", secrets)
        == f"cannot use https://bob:{MASK}@h/ with {MASK}"
    )
    assert "body=json" not in secrets
