"""Telling pictures from messages."""

from __future__ import annotations

import base64

import pytest

from tsunagu.adapters.camera.images import holds_image, is_image

JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000") * 10
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


@pytest.mark.parametrize(
    "body", [JPEG, PNG, b"GIF89a" + bytes(20), b"RIFF\x00\x00\x00\x00WEBPVP8 ", b"\x00\x00\x00\x18ftypmp42"]
)
def test_picture_bytes_are_recognized(body: bytes) -> None:
    """By their signatures."""
    assert is_image(body)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"status":"ok"}', b"[1]", b"BM is text"])
def test_messages_are_no_pictures(body: bytes) -> None:
    """Text is none."""
    assert not is_image(body)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": {"b": [{"img": base64.b64encode(JPEG).decode()}]}}, "a.b.0.img"),
        ({"thumb": "data:image/jpeg;base64,xx"}, "thumb"),
        ({"blob": base64.b64encode(bytes(range(256)) * 8).decode()}, "blob"),
    ],
)
def test_a_picture_inside_json_is_found_and_named(value: object, place: str) -> None:
    """The path tells where."""
    assert holds_image(value) == place


@pytest.mark.parametrize(
    "value", [{"url": "https://city/cam/1.jpg"}, {"n": 1}, {"note": "long text " * 400}, {"hash": "a" * 64}]
)
def test_references_and_text_are_no_pictures(value: object) -> None:
    """A reference is what should be sent."""
    assert holds_image(value) is None
