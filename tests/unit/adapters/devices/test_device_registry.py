"""Finding plans: memory, catalogue, autoprovision, forgetting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.adapters.memory import FAULTS, Told
from tsunagu.adapters.devices.registry import CatalogueRegistry, canonical
from tsunagu.adapters.errors import DeviceNotFound, GroupNotFound
from tsunagu.adapters.sink import SinkUnavailable

if TYPE_CHECKING:
    from tests.adapters.memory import Site

JSON = ("/iot/json", "/iot/d", "")
GROUP = {"apikey": "k", "resource": "/iot/json", "entity_type": "Gauge"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("AC:23:3F:C0:00:01", "ac233fc00001"),
        ("A8-40-41-D5-C1-86-00-02", "a84041d5c1860002"),
        ("24E124713D350001", "24e124713d350001"),
        ("CAM0482", "CAM0482"),
        ("Gauge:F012", "Gauge:F012"),
    ],
)
def test_hardware_addresses_compare_without_case_and_separators(given: str, expected: str) -> None:
    """Other ids are left as they are."""
    assert canonical(given) == expected


async def test_the_first_resource_that_has_a_group_wins(empty_site: Site) -> None:
    """A format's own resource comes before the ones it shares."""
    await empty_site.store.create_groups(
        "", "/", [{**GROUP, "resource": "/iot/d", "entity_type": "B"}, {**GROUP, "entity_type": "A"}]
    )
    assert (await empty_site.registry.find(JSON, "k", "d")).entity_type == "A"
    assert (await empty_site.registry.find(("/iot/d", ""), "k", "other")).entity_type == "B"


async def test_an_unknown_device_is_provisioned_once(empty_site: Site) -> None:
    """A burst of an unknown device makes one device."""
    await empty_site.store.create_groups("", "/", [GROUP])
    for _ in range(3):
        await empty_site.registry.find(JSON, "k", "new")
    count, devices = await empty_site.store.devices("", "/", limit=0, offset=0)
    assert (count, devices[0]["device_id"]) == (1, "new")


async def test_a_group_may_refuse_unknown_devices(empty_site: Site) -> None:
    """Then nothing is stored of them, until they are provisioned."""
    await empty_site.store.create_groups("", "/", [{**GROUP, "autoprovision": False}])
    with pytest.raises(DeviceNotFound):
        await empty_site.registry.find(JSON, "k", "d")
    await empty_site.store.create_devices("", "/", [{"device_id": "d", "apikey": "k"}])
    assert (await empty_site.registry.find(JSON, "k", "d")).device_id == "d"


async def test_a_million_invented_devices_make_bounded_many(empty_site: Site) -> None:
    """A group provisions so many devices by itself and no more."""
    await empty_site.store.create_groups("", "/", [GROUP])
    registry = CatalogueRegistry(empty_site.catalogue, FAULTS, autoprovision_limit=5)
    await registry.load()
    refused = 0
    for number in range(20):
        try:
            await registry.find(JSON, "k", f"d{number}")
        except DeviceNotFound:
            refused += 1
    assert refused == 15


async def test_a_device_without_apikey_is_found_by_its_service_path(empty_site: Site) -> None:
    """Devices may be provisioned for a service path as a whole."""
    await empty_site.store.create_groups("", "/", [{**GROUP, "autoprovision": False}])
    await empty_site.store.create_devices(
        "", "/", [{"device_id": "d", "entity_name": "urn:ngsi-ld:X:1", "entity_type": "X"}]
    )
    assert (await empty_site.registry.find(JSON, "k", "d")).entity_id == "urn:ngsi-ld:X:1"


async def test_a_change_is_seen_at_once(empty_site: Site) -> None:
    """A plan in memory is forgotten when its device or group is written."""
    await empty_site.store.create_groups("", "/", [GROUP])
    await empty_site.registry.find(JSON, "k", "d")
    assert empty_site.registry.known(JSON, "k", "d") is not None
    await empty_site.store.change_device("", "/", "d", "k", changes={"entity_name": "urn:ngsi-ld:X:2"})
    assert (await empty_site.registry.find(JSON, "k", "d")).entity_id == "urn:ngsi-ld:X:2"
    await empty_site.store.change_group(
        "", "/", "/iot/json", "k", changes={"static_attributes": [{"name": "a", "value": 1}]}
    )
    assert "a" in (await empty_site.registry.find(JSON, "k", "d")).static


async def test_another_process_groups_are_heard_of(empty_site: Site) -> None:
    """A second registry over the same catalogue follows the first."""
    other = CatalogueRegistry(empty_site.catalogue, FAULTS)
    await other.load()
    with pytest.raises(GroupNotFound):
        await other.find(JSON, "k", "d")
    await empty_site.store.create_groups("", "/", [GROUP])
    assert (await other.find(JSON, "k", "d")).device_id == "d"


async def test_missed_announcements_make_it_read_all_again(empty_site: Site) -> None:
    """Deed "unknown" says that anything may have changed."""
    await empty_site.store.create_groups("", "/", [GROUP])
    await empty_site.registry.find(JSON, "k", "d")
    empty_site.registry.heard(Told("", "", "", "unknown"))
    assert empty_site.registry.known(JSON, "k", "d") is None
    assert (await empty_site.registry.find(JSON, "k", "d")).device_id == "d"


async def test_a_catalogue_that_is_away_is_no_unknown_device(empty_site: Site) -> None:
    """The message can be tried again."""
    await empty_site.store.create_groups("", "/", [GROUP])
    empty_site.catalogue.away = True
    with pytest.raises(SinkUnavailable):
        await empty_site.registry.find(JSON, "k", "d")
    empty_site.catalogue.away = False
    assert (await empty_site.registry.find(JSON, "k", "d")).device_id == "d"


async def test_apikeys_that_nobody_knows_do_not_ask_the_catalogue_each_time(empty_site: Site) -> None:
    """An unknown device is remembered for a moment, and only so many of them."""
    with pytest.raises(GroupNotFound):
        await empty_site.registry.find(JSON, "nobody", "d")
    empty_site.catalogue.away = True
    with pytest.raises(GroupNotFound):
        await empty_site.registry.find(JSON, "nobody", "d")


async def test_who_asks_again_for_an_unknown_apikey_hears_the_same(empty_site: Site) -> None:
    """While it is remembered that there is no such group, the answer stays that there is no group."""
    for _ in range(2):
        with pytest.raises(GroupNotFound):
            await empty_site.registry.group(JSON, "nobody")
        with pytest.raises(GroupNotFound):
            await empty_site.registry.find(JSON, "nobody", "d")
