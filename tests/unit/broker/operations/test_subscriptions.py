"""Operations on subscriptions (5.8.1–5.8.5) on a real catalogue."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

import pytest
from pymongo import MongoClient

from tsunagu.broker.access.outgoing import OutgoingGuard
from tsunagu.broker.errors import (
    AlreadyExists,
    BadRequestData,
    LdContextNotAvailable,
    NgsiError,
    ResourceNotFound,
)
from tsunagu.broker.jsonld.context import CORE, Context
from tsunagu.broker.jsonld.fetch import ContextFetcher
from tsunagu.broker.jsonld.resolver import ContextResolver
from tsunagu.broker.operations.subscriptions import Subscriptions
from tsunagu.broker.operations.tallies import Tallies
from tsunagu.broker.settings import Settings
from tsunagu.broker.storage.mongo.catalogue import MongoCatalogue
from tsunagu.broker.storage.mongo.client import Databases
from tsunagu.broker.storage.mongo.deliveries import MongoDeliveryRecords
from tsunagu.schemas.times import format_ms

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

CITY = Context(
    "https://c.example/city.jsonld",
    url="https://c.example/city.jsonld",
    terms={
        "Tower": "https://c.example/Tower",
        "Gate": "https://c.example/Gate",
        "height": "https://c.example/height.m",
    },
)
ENDPOINT = {"endpoint": {"uri": "http://192.0.2.1/notify"}}


class Follower:
    """Notes what it hears."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.deleted: list[str] = []

    def subscription_written(self, tenant: str, entry: dict[str, Any]) -> None:
        self.written.append(entry["id"])

    def subscription_deleted(self, tenant: str, subscription: str) -> None:
        self.deleted.append(subscription)


@pytest.fixture(scope="module")
def prefix(mongo_uri: str) -> Iterator[str]:
    """Give the prefix of the databases of this module's tests, which are dropped in the end."""
    name = f"subops{secrets.token_hex(4)}"
    yield name
    with MongoClient(mongo_uri) as client:
        for database in client.list_database_names():
            if database.startswith(name):
                client.drop_database(database)


@pytest.fixture
async def subscriptions(mongo_uri: str, prefix: str) -> AsyncIterator[Subscriptions]:
    """Give the operations, on a catalogue without subscriptions."""
    databases = Databases(Settings(mongodb_uri=mongo_uri, database_prefix=prefix))
    await databases.of("")["subscriptions"].delete_many({})
    await databases.ready("")
    catalogue = MongoCatalogue(databases)
    await catalogue.start()
    guard = OutgoingGuard(("192.0.2.0/24",))
    fetcher = ContextFetcher(guard, timeout=1)
    one = Subscriptions(
        catalogue,
        ContextResolver(fetcher),
        Tallies(MongoDeliveryRecords(databases)),
        schemes=frozenset({"http", "https"}),
        guard=guard.check,
    )
    one.follower = Follower()
    yield one
    await catalogue.close()
    await fetcher.close()
    await databases.close()


def body(**members: Any) -> dict[str, Any]:
    """Return a subscription to towers; None removes a member."""
    whole = {"type": "Subscription", "entities": [{"type": "Tower"}], "notification": ENDPOINT, **members}
    return {key: value for key, value in whole.items() if value is not None}


async def test_what_is_created_can_be_read(subscriptions: Subscriptions) -> None:
    """A subscription is read back as it was written, with status and the defaults that the standard names (028_01)."""
    identity = await subscriptions.create("", body(id="urn:s:1", throttling=15, description="d"), CITY)
    assert identity == "urn:s:1"
    assert await subscriptions.retrieve("", identity, CITY) == {
        "id": "urn:s:1",
        "type": "Subscription",
        "entities": [{"type": "Tower"}],
        "notification": ENDPOINT,
        "throttling": 15,
        "description": "d",
        "status": "active",
        "notificationTrigger": ["attributeCreated", "attributeUpdated"],
        "jsonldContext": "https://c.example/city.jsonld",
    }


async def test_names_are_shown_by_the_readers_context(subscriptions: Subscriptions) -> None:
    """Types and attribute names are expanded with the writer's @context and compacted with the reader's (029_05)."""
    members = {
        "entities": [{"type": "(Tower|Gate)"}],
        "watchedAttributes": ["height"],
        "notification": {**ENDPOINT, "pick": ["id", "height"]},
        "geoQ": {
            "georel": "within",
            "geometry": "Polygon",
            "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]],
            "geoproperty": "height",
        },
    }
    identity = await subscriptions.create("", body(**members), CITY)
    shown = await subscriptions.retrieve("", identity, CITY)
    assert shown["entities"] == members["entities"]
    assert shown["watchedAttributes"] == ["height"]
    assert shown["notification"]["pick"] == ["id", "height"]
    assert shown["geoQ"]["geoproperty"] == "height"
    bare = await subscriptions.retrieve("", identity, CORE)
    assert bare["entities"] == [{"type": "(https://c.example/Tower|https://c.example/Gate)"}]
    assert bare["watchedAttributes"] == ["https://c.example/height.m"]
    assert bare["notification"]["pick"] == ["id", "https://c.example/height.m"]
    assert bare["geoQ"]["geoproperty"] == "https://c.example/height.m"


async def test_an_id_is_made_if_none_is_given(subscriptions: Subscriptions) -> None:
    """Without an id a URI is generated (5811_01_03)."""
    first, second = [await subscriptions.create("", body(), CITY) for _ in range(2)]
    assert first.startswith("urn:ngsi-ld:Subscription:")
    assert first != second


async def test_an_id_is_taken_once(subscriptions: Subscriptions) -> None:
    """A second subscription with the same id is refused (028_04)."""
    await subscriptions.create("", body(id="urn:s:1"), CITY)
    with pytest.raises(AlreadyExists):
        await subscriptions.create("", body(id="urn:s:1"), CITY)


async def test_read_only_members_are_ignored(subscriptions: Subscriptions) -> None:
    """What only the broker may set is ignored when a client sends it (5.2.12-2, 5.2.14.2)."""
    notification = {**ENDPOINT, "timesSent": 42, "status": "failed"}
    identity = await subscriptions.create("", body(status="expired", notification=notification), CITY)
    shown = await subscriptions.retrieve("", identity, CITY)
    assert shown["status"] == "active"
    assert shown["notification"] == ENDPOINT


async def test_null_members_are_absent(subscriptions: Subscriptions) -> None:
    """A member that is null in JSON-LD is not there."""
    given = {**body(), "expiresAt": None, "q": "urn:ngsi-ld:null"}
    identity = await subscriptions.create("", given, CITY)
    shown = await subscriptions.retrieve("", identity, CITY)
    assert "expiresAt" not in shown
    assert "q" not in shown


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"type": "Sub"}, "type"),
        ({"id": "no uri"}, "id"),
        ({"entities": None}, "entities or watchedAttributes"),
        ({"entities": []}, "entities"),
        ({"entities": [{"type": "T", "id": "x"}]}, "entities[0].id"),
        ({"entities": [{"id": "urn:x:1"}]}, "entities[0].type"),
        ({"entities": [{"type": "T("}]}, "entities.type"),
        ({"entities": [{"type": "T", "idPattern": "("}]}, "entities.idPattern"),
        ({"notification": None}, "notification"),
        ({"notification": {"endpoint": {}}}, "notification.endpoint.uri"),
        ({"notification": {"endpoint": {"uri": "nowhere"}}}, "notification.endpoint.uri"),
        ({"notification": {"endpoint": {"uri": "http:///x"}}}, "notification.endpoint.uri"),
        ({"notification": {"endpoint": {"uri": "http://h:99999/x"}}}, "notification.endpoint.uri"),
        ({"notification": {"endpoint": {"uri": "gopher://h/x"}}}, "notification.endpoint.uri"),
        ({"notification": {"endpoint": {"uri": "http://127.0.0.1/x"}}}, "notification.endpoint.uri"),
        ({"notification": {"endpoint": {"uri": "http://192.0.2.1/", "accept": "text/html"}}}, "accept"),
        ({"notification": {"endpoint": {"uri": "http://192.0.2.1/", "timeout": 0}}}, "timeout"),
        (
            {
                "notification": {
                    "endpoint": {"uri": "http://192.0.2.1/", "receiverInfo": [{"key": "a b", "value": "c"}]}
                }
            },
            "receiverInfo[0]",
        ),
        (
            {
                "notification": {
                    "endpoint": {"uri": "http://192.0.2.1/", "receiverInfo": [{"key": "a", "value": "c\r\nd: e"}]}
                }
            },
            "receiverInfo[0]",
        ),
        (
            {
                "notification": {
                    "endpoint": {"uri": "http://192.0.2.1/", "notifierInfo": [{"key": "MQTT-QoS", "value": "3"}]}
                }
            },
            "MQTT-QoS",
        ),
        ({"notification": {**ENDPOINT, "format": "xml"}}, "notification.format"),
        ({"notification": {**ENDPOINT, "attributes": ["id"]}}, "notification: attributes"),
        ({"notification": {**ENDPOINT, "attributes": ["a"], "pick": ["b"]}}, "notification: attributes"),
        ({"notification": {**ENDPOINT, "pick": ["id"], "omit": ["id"]}}, "notification: id"),
        ({"notification": {**ENDPOINT, "pick": []}}, "notification.pick"),
        ({"notification": {**ENDPOINT, "pick": ["a{"]}}, "notification.pick"),
        ({"notification": {**ENDPOINT, "join": "outer"}}, "notification.join"),
        ({"notification": {**ENDPOINT, "joinLevel": 0}}, "notification.joinLevel"),
        ({"notification": {**ENDPOINT, "format": "simplified", "showChanges": True}}, "showChanges"),
        ({"notification": {**ENDPOINT, "unknown": 1}}, "notification.unknown"),
        ({"notificationTrigger": ["entityChanged"]}, "notificationTrigger[0]"),
        ({"notificationTrigger": []}, "notificationTrigger"),
        ({"watchedAttributes": []}, "watchedAttributes"),
        ({"watchedAttributes": ["a b"]}, "'a b'"),
        ({"q": "a>"}, "q"),
        ({"csf": "(("}, "csf"),
        ({"scopeQ": "a b"}, "scopeQ"),
        ({"geoQ": {"georel": "near", "geometry": "Point", "coordinates": [0, 0]}}, "geoQ.georel"),
        ({"geoQ": {"georel": "within", "geometry": "Point", "coordinates": [0, 95]}}, "geoQ."),
        ({"geoQ": {"georel": "within", "geometry": "Point"}}, "geoQ.coordinates"),
        ({"datasetId": ["x"]}, "datasetId[0]"),
        ({"expiresAt": "tomorrow"}, "expiresAt"),
        ({"expiresAt": "2000-01-01T00:00:00Z"}, "expiresAt"),
        ({"throttling": -30}, "throttling"),
        ({"throttling": True}, "throttling"),
        ({"throttling": "5"}, "throttling"),
        ({"throttling": 30, "timeInterval": 10}, "throttling"),
        ({"watchedAttributes": ["a"], "timeInterval": 10}, "watchedAttributes"),
        ({"entities": None, "watchedAttributes": ["a"], "timeInterval": 10}, "timeInterval"),
        ({"temporalQ": {}}, "temporalQ"),
        ({"isActive": "yes"}, "isActive"),
        ({"jsonldContext": "unknownContext"}, "jsonldContext"),
        ({"notificationTriggers": ["entityCreated"]}, "notificationTriggers"),
    ],
)
async def test_bad_members_are_named(subscriptions: Subscriptions, members: dict[str, Any], named: str) -> None:
    """What does not meet 5.2.12 ff. is BadRequestData that names the member, and nothing is created."""
    with pytest.raises(BadRequestData) as caught:
        await subscriptions.create("", body(**members), CITY)
    assert named in caught.value.detail
    assert (await subscriptions.query("", CITY, limit=1)).subscriptions == []


async def test_an_unavailable_context_is_reported(subscriptions: Subscriptions) -> None:
    """A jsonldContext that cannot be fetched is LdContextNotAvailable (028_07)."""
    with pytest.raises(LdContextNotAvailable):
        await subscriptions.create("", body(jsonldContext="http://192.0.2.1:9/none.jsonld"), CITY)


async def test_an_update_replaces_members(subscriptions: Subscriptions) -> None:
    """The members of a fragment replace the subscription's, the others stay (029_06, 5.5.8)."""
    identity = await subscriptions.create("", body(q="height>5", description="d"), CITY)
    await subscriptions.update("", identity, {"type": "Subscription", "entities": [{"type": "Gate"}]}, CITY)
    shown = await subscriptions.retrieve("", identity, CITY)
    assert shown["entities"] == [{"type": "Gate"}]
    assert (shown["q"], shown["description"]) == ("height>5", "d")


async def test_null_removes_a_member(subscriptions: Subscriptions) -> None:
    """Null, of JSON or of NGSI-LD, removes a member."""
    identity = await subscriptions.create("", body(q="height>5", description="d", watchedAttributes=["height"]), CITY)
    await subscriptions.update(
        "", identity, {"q": None, "description": "urn:ngsi-ld:null", "watchedAttributes": None}, CITY
    )
    shown = await subscriptions.retrieve("", identity, CITY)
    assert not {"q", "description", "watchedAttributes"} & shown.keys()
    assert "watched" not in (await subscriptions.entry("", identity))["parts"]


@pytest.mark.parametrize(
    "fragment",
    [
        {"notification": {"format": "keyValues"}},
        {"notification": {"format": "keyValues", "endpoint": None}},
        {"notification": None},
        {"type": None},
        {"type": "Other"},
        {"id": "urn:s:other"},
        {"expiresAt": "2020-08-01T22:07:00Z"},
        {"q": "a>"},
        {"throttling": 5, "timeInterval": 5},
    ],
)
async def test_a_bad_fragment_changes_nothing(subscriptions: Subscriptions, fragment: dict[str, Any]) -> None:
    """A fragment that would make the subscription invalid is refused whole (029_03, 029_04, 029_11)."""
    identity = await subscriptions.create("", body(), CITY)
    before = await subscriptions.retrieve("", identity, CITY)
    with pytest.raises(BadRequestData):
        await subscriptions.update("", identity, fragment, CITY)
    assert await subscriptions.retrieve("", identity, CITY) == before


async def test_q_keeps_its_names_when_only_expand_values_changes(subscriptions: Subscriptions) -> None:
    """A fragment with another @context does not change what the names in the old q mean."""
    identity = await subscriptions.create("", body(q='height=="Tower"'), CITY)
    await subscriptions.update("", identity, {"expandValues": "height"}, CORE)
    terms = (await subscriptions.entry("", identity))["parts"]["q"]["terms"]
    assert ["a", "height", "https://c^example/height^m"] in terms


async def test_status_follows_is_active_and_expires_at(subscriptions: Subscriptions) -> None:
    """Status is paused, active or expired as isActive and expiresAt say (029_07–029_10)."""

    async def status() -> str:
        return str((await subscriptions.retrieve("", identity, CITY))["status"])

    identity = await subscriptions.create("", body(isActive=False), CITY)
    assert await status() == "paused"
    await subscriptions.update("", identity, {"isActive": True}, CITY)
    assert await status() == "active"
    soon = format_ms(time.time_ns() // 1_000_000 + 60)
    await subscriptions.update("", identity, {"expiresAt": soon}, CITY)
    assert await status() == "active"
    time.sleep(0.1)
    assert await status() == "expired"
    await subscriptions.update("", identity, {"isActive": True}, CITY)
    assert await status() == "expired"
    await subscriptions.update("", identity, {"expiresAt": "2099-08-01T22:07:00Z"}, CITY)
    assert await status() == "active"


@pytest.mark.parametrize("operation", ["retrieve", "update", "delete"])
@pytest.mark.parametrize(("identity", "error"), [("urn:s:none", ResourceNotFound), ("no uri", BadRequestData)])
async def test_unknown_and_impossible_ids(
    subscriptions: Subscriptions, operation: str, identity: str, error: type[NgsiError]
) -> None:
    """An unknown id is not found; what is no URI is bad data (029_01, 029_02, 030, 032)."""
    arguments = {"retrieve": (CITY,), "update": ({"isActive": True}, CITY), "delete": ()}[operation]
    with pytest.raises(error):
        await getattr(subscriptions, operation)("", identity, *arguments)


async def test_a_deleted_subscription_is_gone(subscriptions: Subscriptions) -> None:
    """After its deletion a subscription cannot be read."""
    identity = await subscriptions.create("", body(), CITY)
    await subscriptions.delete("", identity)
    with pytest.raises(ResourceNotFound):
        await subscriptions.retrieve("", identity, CITY)


async def test_pages(subscriptions: Subscriptions) -> None:
    """Subscriptions are listed in the order of their creation, page by page, with the number of all on demand."""
    made = [await subscriptions.create("", body(id=f"urn:s:{number}"), CITY) for number in (3, 1, 2)]
    page = await subscriptions.query("", CITY, limit=2, count=True)
    assert [one["id"] for one in page.subscriptions] == made[:2]
    assert page.count == 3
    rest = await subscriptions.query("", CITY, limit=2, offset=2)
    assert [one["id"] for one in rest.subscriptions] == made[2:]
    assert rest.count is None
    assert (await subscriptions.query("", CITY, limit=0, count=True)).count == 3


async def test_tenants_are_apart(subscriptions: Subscriptions) -> None:
    """A subscription of one tenant is unknown to another."""
    identity = await subscriptions.create("", body(), CITY)
    with pytest.raises(ResourceNotFound):
        await subscriptions.retrieve("other", identity, CITY)


async def test_the_follower_hears_before_the_answer(subscriptions: Subscriptions) -> None:
    """Each write takes effect in this process before it is answered."""
    follower = subscriptions.follower
    assert isinstance(follower, Follower)
    identity = await subscriptions.create("", body(), CITY)
    await subscriptions.update("", identity, {"isActive": False}, CITY)
    await subscriptions.delete("", identity)
    assert follower.written == [identity, identity]
    assert follower.deleted == [identity]


async def test_counters_are_shown(subscriptions: Subscriptions) -> None:
    """TimesSent and its like are shown as soon as there is anything to show (5.2.14.2)."""
    identity = await subscriptions.create("", body(), CITY)
    tallies = subscriptions._tallies
    tallies.sent("", identity, 1_795_000_000_000)
    tallies.failed("", identity, 1_795_000_000_500)
    await tallies.write()
    tallies.sent("", identity, 1_795_000_001_000)
    tallies.arrived("", identity, 1_795_000_001_000)
    shown = (await subscriptions.retrieve("", identity, CITY))["notification"]
    assert shown == {
        **ENDPOINT,
        "timesSent": 2,
        "timesFailed": 1,
        "lastNotification": "2026-11-18T11:06:41.000Z",
        "lastSuccess": "2026-11-18T11:06:41.000Z",
        "lastFailure": "2026-11-18T11:06:40.500Z",
        "status": "ok",
    }


async def test_system_attributes_on_demand(subscriptions: Subscriptions) -> None:
    """CreatedAt and modifiedAt are shown only when asked for."""
    identity = await subscriptions.create("", body(), CITY)
    shown = await subscriptions.retrieve("", identity, CITY, sys_attrs=True)
    assert shown["createdAt"] == shown["modifiedAt"]
    assert "createdAt" not in await subscriptions.retrieve("", identity, CITY)
