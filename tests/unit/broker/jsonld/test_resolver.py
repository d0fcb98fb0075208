"""Resolving what clients name as their @context."""

from __future__ import annotations

import asyncio

import pytest

from tsunagu.broker.errors import BadRequestData, LdContextNotAvailable
from tsunagu.broker.jsonld import resolver as module
from tsunagu.broker.jsonld.context import CORE
from tsunagu.broker.jsonld.resolver import COMPILED_LIMIT, DEPTH_LIMIT, ContextResolver

CORE_V18 = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld"
CARS = "https://contexts.example/cars.jsonld"
BUILDINGS = "https://contexts.example/buildings.jsonld"


class Shelf:
    """A fetcher that has documents on a shelf and counts what is asked for."""

    def __init__(self, documents=None):
        self.documents = documents or {}
        self.asked = []
        self.gate = None

    async def fetch(self, url):
        self.asked.append(url)
        if self.gate is not None:
            await self.gate.wait()
        if url not in self.documents:
            raise LdContextNotAvailable(f"@context {url}: no answer")
        return {"@context": self.documents[url]}

    async def close(self):
        pass


class Store:
    """A store in memory."""

    def __init__(self):
        self.documents = {}

    async def get(self, url):
        return self.documents.get(url)

    async def put(self, url, document):
        self.documents[url] = document


def shelf(**documents):
    known = {CARS: {"Car": "http://a/Car"}, BUILDINGS: {"House": "http://a/House"}}
    return Shelf(known | {f"https://contexts.example/{name}.jsonld": value for name, value in documents.items()})


@pytest.mark.parametrize("source", [None, []])
async def test_nothing_is_the_core(source):
    """5.5.5: without an @context the core applies."""
    assert await ContextResolver(Shelf()).resolve(source) is CORE


async def test_a_url_is_fetched_once():
    """A context is compiled once; then it is known without waiting."""
    fetcher = shelf()
    resolver = ContextResolver(fetcher)
    assert resolver.known(CARS) is None
    context = await resolver.resolve(CARS)
    assert context.expand_term("Car") == "http://a/Car"
    assert await resolver.resolve(CARS) is context
    assert resolver.known(CARS) is context
    assert fetcher.asked == [CARS]


async def test_the_core_is_never_fetched():
    """Every published version of the core is known."""
    fetcher = Shelf()
    context = await ContextResolver(fetcher).resolve(CORE_V18)
    assert context.expand_term("location") == CORE.expand_term("location")
    assert context.url == CORE_V18
    assert fetcher.asked == []


async def test_an_array_applies_in_order():
    """URLs and objects of an array are combined."""
    context = await ContextResolver(shelf()).resolve([CARS, {"Car": "http://b/Car"}, BUILDINGS, CORE_V18])
    assert context.expand_term("Car") == "http://b/Car"
    assert context.expand_term("House") == "http://a/House"
    assert context.source == [CARS, {"Car": "http://b/Car"}, BUILDINGS, CORE_V18]


async def test_a_context_may_refer_to_others():
    """Nested remote contexts are followed, relative URLs against the document they stand in."""
    context = await ContextResolver(shelf(both=["cars.jsonld", BUILDINGS])).resolve(
        "https://contexts.example/both.jsonld"
    )
    assert context.expand_term("Car") == "http://a/Car"
    assert context.expand_term("House") == "http://a/House"


async def test_a_context_may_import_another():
    """JSON-LD 1.1 @import: the definitions of the importing context come over the imported ones."""
    source = {"@import": CARS, "Van": "http://a/Van"}
    context = await ContextResolver(shelf()).resolve(source)
    assert context.expand_term("Car") == "http://a/Car"
    assert context.expand_term("Van") == "http://a/Van"


@pytest.mark.parametrize(
    ("imported", "text"), [([CARS], "one context object"), ({"@import": CARS}, "one context object")]
)
async def test_only_an_object_can_be_imported(imported, text):
    """JSON-LD 1.1 allows neither arrays nor imports of imports there."""
    resolver = ContextResolver(shelf(imported=imported))
    with pytest.raises(BadRequestData, match=text):
        await resolver.resolve({"@import": "https://contexts.example/imported.jsonld"})


@pytest.mark.parametrize(
    ("source", "url"),
    [
        (CARS, CARS),
        ([CARS], CARS),
        ([CARS, CORE_V18], CARS),
        ([CORE_V18], CORE_V18),
        ([CARS, BUILDINGS], None),
        ({"Car": "http://a/Car"}, None),
        ([CARS, {"Van": "http://a/Van"}], None),
    ],
)
async def test_the_address_for_a_link_header(source, url):
    """6.3.5: a Link header can name one URL; the core needs no mention."""
    assert (await ContextResolver(shelf()).resolve(source)).url == url


async def test_a_relative_url_is_resolved_against_the_base():
    """The base is the address of the document that the @context stands in."""
    context = await ContextResolver(shelf()).resolve("cars.jsonld", base="https://contexts.example/x/../data.json")
    assert context.expand_term("Car") == "http://a/Car"


@pytest.mark.parametrize("source", ["cars.jsonld", "ftp://a/b", "", "http://", "http://[bad", 5, True, [5], [[5]]])
async def test_what_is_no_context_is_refused(source):
    """5.5.6: an invalid @context is BadRequestData."""
    with pytest.raises(BadRequestData, match="@context"):
        await ContextResolver(shelf()).resolve(source)


async def test_an_unreachable_context_is_not_available():
    """5.5.6: LdContextNotAvailable; and it is not asked for again at once."""
    fetcher = Shelf()
    resolver = ContextResolver(fetcher)
    for _ in range(3):
        with pytest.raises(LdContextNotAvailable, match="no answer"):
            await resolver.resolve(CARS)
    assert fetcher.asked == [CARS]


async def test_a_failure_is_forgotten_after_a_while(monkeypatch):
    """A context that was unreachable is tried again after FAILURE_SECONDS."""
    monkeypatch.setattr(module, "FAILURE_SECONDS", 0.0)
    fetcher = Shelf()
    resolver = ContextResolver(fetcher)
    with pytest.raises(LdContextNotAvailable):
        await resolver.resolve(CARS)
    fetcher.documents[CARS] = {"Car": "http://a/Car"}
    assert (await resolver.resolve(CARS)).expand_term("Car") == "http://a/Car"


async def test_concurrent_requests_share_a_fetch():
    """However many requests name a URL at once, it is fetched once."""
    fetcher = shelf()
    fetcher.gate = asyncio.Event()
    resolver = ContextResolver(fetcher)
    waiting = [asyncio.create_task(resolver.resolve(CARS)) for _ in range(10)]
    await asyncio.sleep(0)
    fetcher.gate.set()
    contexts = await asyncio.gather(*waiting)
    assert fetcher.asked == [CARS]
    assert {context.expand_term("Car") for context in contexts} == {"http://a/Car"}


async def test_one_who_leaves_does_not_cancel_the_fetch_of_others():
    """A client that disconnects takes no one else's context away."""
    fetcher = shelf()
    fetcher.gate = asyncio.Event()
    resolver = ContextResolver(fetcher)
    leaving, staying = (asyncio.create_task(resolver.resolve(CARS)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.sleep(0)
    fetcher.gate.set()
    assert (await staying).expand_term("Car") == "http://a/Car"


async def test_a_known_context_does_not_wait_for_a_bad_one():
    """An unreachable context never blocks requests with known ones."""
    fetcher = shelf()
    resolver = ContextResolver(fetcher)
    await resolver.resolve(CARS)
    fetcher.gate = asyncio.Event()
    stuck = asyncio.create_task(resolver.resolve(BUILDINGS))
    await asyncio.sleep(0)
    assert (await asyncio.wait_for(resolver.resolve(CARS), 1)).expand_term("Car") == "http://a/Car"
    await resolver.close()
    with pytest.raises(asyncio.CancelledError):
        await stuck


async def test_contexts_that_refer_to_each_other_are_refused():
    """A cycle is an invalid @context, not an endless fetch."""
    resolver = ContextResolver(shelf(a="b.jsonld", b="a.jsonld"))
    with pytest.raises(BadRequestData, match="refers to itself"):
        await resolver.resolve("https://contexts.example/a.jsonld")


async def test_a_chain_of_contexts_has_a_limit():
    """Contexts that name contexts are followed DEPTH_LIMIT deep."""
    chain = {f"c{number}": f"c{number + 1}.jsonld" for number in range(DEPTH_LIMIT)} | {f"c{DEPTH_LIMIT}": {}}
    resolver = ContextResolver(shelf(**chain))
    await resolver.resolve("https://contexts.example/c1.jsonld")
    with pytest.raises(BadRequestData, match="deep"):
        await resolver.resolve("https://contexts.example/c0.jsonld")


async def test_a_context_has_a_greatest_number_of_parts():
    """An array that names a great many contexts is refused."""
    with pytest.raises(BadRequestData, match="more than"):
        await ContextResolver(shelf()).resolve([{}] * 100)


async def test_a_stored_context_needs_no_network():
    """A fetched context is read from the store after a restart, and works offline."""
    store = Store()
    await ContextResolver(shelf(), store=store).resolve(CARS)
    offline = Shelf()
    context = await ContextResolver(offline, store=store).resolve(CARS)
    assert context.expand_term("Car") == "http://a/Car"
    assert offline.asked == []


async def test_forgetting_a_context_reads_it_anew():
    """5.13.5: after a hosted or cached context changed, the old one is not used any more."""
    fetcher = shelf()
    resolver = ContextResolver(fetcher)
    await resolver.resolve([CARS, BUILDINGS])
    fetcher.documents[CARS] = {"Car": "http://new/Car"}
    resolver.forget(CARS)
    assert (await resolver.resolve([CARS, BUILDINGS])).expand_term("Car") == "http://new/Car"
    assert fetcher.asked == [CARS, BUILDINGS, CARS]


async def test_a_reload_that_fails_leaves_the_old_context():
    """5.13.5: what was known stays in use when the remote one cannot be had."""
    fetcher = shelf()
    resolver = ContextResolver(fetcher)
    await resolver.resolve(CARS)
    del fetcher.documents[CARS]
    with pytest.raises(LdContextNotAvailable):
        await resolver.reload(CARS)
    assert (await resolver.resolve(CARS)).expand_term("Car") == "http://a/Car"


async def test_a_reload_replaces_the_context():
    """5.13.5: reloading fetches the context again."""
    fetcher, store = shelf(), Store()
    resolver = ContextResolver(fetcher, store=store)
    await resolver.resolve(CARS)
    fetcher.documents[CARS] = {"Car": "http://new/Car"}
    await resolver.reload(CARS)
    assert (await resolver.resolve(CARS)).expand_term("Car") == "http://new/Car"
    assert store.documents[CARS] == {"@context": {"Car": "http://new/Car"}}


async def test_compiled_contexts_do_not_grow_without_bound():
    """Objects that clients make up do not fill the memory; the least used go first."""
    resolver = ContextResolver(shelf())
    first = await resolver.resolve({"t0": "http://a/0"})
    for number in range(COMPILED_LIMIT):
        await resolver.resolve({f"t{number + 1}": "http://a/x"})
    assert await resolver.resolve({"t0": "http://a/0"}) is not first
