"""What `tsunagu up` says once it is ready: one line for every URL that a person can open or curl."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tsunagu.up.brokers import Broker, Surroundings
    from tsunagu.up.folder import DataFolder

# (what a person sees, path) for every broker, and for the first broker of the demo city
PAGES = (
    ("entities", "/ngsi-ld/v1/entities?local=true"),
    ("entity types", "/ngsi-ld/v1/types"),
    ("health", "/health/ready"),
    ("metrics", "/metrics"),
    ("API description", "/openapi.json"),
)
DOORS = {"north": ("FIWARE provisioning", "{}/iot/about"), "south": ("FIWARE device messages", "{}/iot/json")}
RIVER_LEVELS = "/ngsi-ld/v1/entities?type=RiverLevelObserved&format=simplified"


def addresses(brokers: list[Broker], around: Surroundings) -> dict[str, str]:
    """Give the base URL of every broker by its lower-case title, and of MQTT, for scripts."""
    found = {broker.title.lower(): broker.url for broker in brokers}
    for broker in brokers:
        found |= broker.door_urls
    if around.mqtt_url:
        found["mqtt"] = _without_password(around.mqtt_url)
    return found


def lines(brokers: list[Broker], around: Surroundings, folder: DataFolder) -> Iterator[str]:
    """Give the lines of the summary."""
    first = brokers[0]
    names = " and ".join(broker.title for broker in brokers)
    yield f"Ready: {names}. Ctrl-C stops."
    for what, path in PAGES:
        yield _line(what, first.url + path)
    if around.demo:
        yield _line("river levels (河川水位)", first.url + RIVER_LEVELS)
        yield _line("the neighbour's view", brokers[1].url + RIVER_LEVELS)
    if around.mqtt_url:
        yield _line("devices over MQTT", _without_password(around.mqtt_url))
    for name, url in first.door_urls.items():
        yield _line(*(part.format(url) for part in DOORS[name]))
    for note in first.notes:
        yield f"  {note}"
    yield _line("logs", str(folder.path / "log"))


def _line(what: str, where: str) -> str:
    wide = sum(ord(letter) > 0x2E80 for letter in what)  # noqa: PLR2004 - from here on letters are two columns wide
    return f"  {what:<{26 - wide}} {where}"


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
