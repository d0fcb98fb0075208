"""The recorded messages: complete, in order, and moved to the present without another change."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from tsunagu.up.demo import recording, setup

MESSAGES = recording.load()
NOW = dt.datetime(2027, 3, 1, 7, 30, 0, 250_000, tzinfo=dt.timezone(dt.timedelta(hours=9)))


def _level(entity: str) -> list[float]:
    return [m.expected.level for m in MESSAGES if m.expected is not None and m.expected.entity.endswith(entity)]


def test_messages_are_in_the_order_of_time() -> None:
    """The families' recordings are merged into one afternoon."""
    assert [m.at for m in MESSAGES] == sorted(m.at for m in MESSAGES)


def test_every_message_has_one_door() -> None:
    """Each message goes to an MQTT topic or an HTTP path, never both or neither."""
    assert all((m.topic is None) != (m.path is None) for m in MESSAGES)


@pytest.mark.parametrize("gauge", ["K001", "K002", "F012", "F013"])
def test_the_river_rises_past_its_caution_level_and_falls_again(gauge: str) -> None:
    """Every gauge starts and ends below the caution level and is above it in between."""
    levels = _level(gauge)
    assert levels[0] < recording.CAUTION < max(levels)
    assert levels[-1] < recording.CAUTION


def test_every_message_comes_from_a_provisioned_device() -> None:
    """The devices that speak are the devices that the city provisions: none is unknown, none is silent."""
    speaking = set()
    for message in MESSAGES:
        where = message.topic or message.path or ""
        speaking |= {device["device_id"] for device in setup.document("devices") if device["device_id"] in where}
    assert speaking == {device["device_id"] for device in setup.document("devices")}


def test_three_tags_are_sighted() -> None:
    """The BLE recording holds three tags of the allowed vendor, and a passer-by's phone that is none."""
    macs = {}
    for message in MESSAGES:
        if message.topic is not None and message.topic.startswith("/ble/"):
            for advert in json.loads(message.text)[1:]:
                macs[advert["mac"]] = "B5B182C7EAB14988AA99B5C1517008D9" in advert["rawData"]
    assert sorted(macs.values()) == [False, True, True, True]


def test_times_move_to_the_present_and_keep_their_offset() -> None:
    """A JSON gauge's TimeInstant becomes now, in Japanese time, with milliseconds."""
    message = next(m for m in MESSAGES if m.topic == "/json/kawakami-json/F012/attrs")
    before, after = json.loads(message.text), json.loads(recording.moved(message, NOW))
    assert after == before | {"TimeInstant": "2027-03-01T07:30:00.250+09:00"}


def test_distances_between_times_of_one_message_stay() -> None:
    """The adverts of a gateway's message keep their distances when they move."""
    message = next(m for m in MESSAGES if m.topic is not None and m.topic.startswith("/ble/"))
    times = [
        [dt.datetime.fromisoformat(row["timestamp"]) for row in json.loads(text)]
        for text in (message.text, recording.moved(message, NOW))
    ]
    assert [t - times[0][0] for t in times[0]] == [t - times[1][0] for t in times[1]]
    assert times[1][0] == NOW


def test_epoch_times_move_too() -> None:
    """A camera's epoch milliseconds become those of now; its counts stay as they were."""
    message = next(m for m in MESSAGES if m.topic is not None and "ObjectAnalytics" in m.topic)
    before, after = json.loads(message.text), json.loads(recording.moved(message, NOW))
    assert after["timestamp"] == int(NOW.timestamp() * 1000)
    assert after["message"] == before["message"]


def test_an_uplink_played_twice_is_two_uplinks() -> None:
    """A deduplication id differs from round to round, and is the same for the same instant."""
    message = next(m for m in MESSAGES if m.topic is not None and m.topic.startswith("application/"))
    ids = [
        json.loads(recording.moved(message, when))["deduplicationId"]
        for when in (NOW, NOW, NOW + dt.timedelta(seconds=1))
    ]
    assert ids[0] == ids[1] != ids[2]
    assert json.loads(message.text)["deduplicationId"] not in ids


def test_ultralight_text_moves_as_text() -> None:
    """The leading time of an Ultralight line moves, its values stay."""
    message = next(m for m in MESSAGES if m.path is not None)
    assert (
        recording.moved(message, NOW).decode()
        == "2027-03-01T07:30:00.250+09:00" + message.text[message.text.index("|") :]
    )
