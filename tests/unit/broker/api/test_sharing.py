"""Equal requests at the same time are answered by one reading, begun after the last of them asked."""

from __future__ import annotations

import asyncio

import pytest

from tsunagu.broker.api.call import Answer
from tsunagu.broker.api.sharing import SharedReadings, telling
from tsunagu.broker.errors import Unavailable


class Store:
    """A reading that takes until it is let go, and tells the state of the store when it began."""

    def __init__(self) -> None:
        self.state = 0
        self.begun = 0
        self.most = 0
        self._under_way = 0
        self._gate = asyncio.Event()

    async def read(self) -> Answer:
        self.begun += 1
        self._under_way += 1
        self.most = max(self.most, self._under_way)
        seen = self.state
        await self._gate.wait()
        self._under_way -= 1
        return Answer(200, b"%d" % seen, [(b"a", b"b")])

    def let_go(self) -> None:
        self._gate.set()


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_asks_at_once_is_read_once() -> None:
    """Requests of one key in one turn of the event loop share a reading; each gets an answer of its own."""
    store, shared = Store(), SharedReadings()
    asked = [asyncio.create_task(shared.answer("key", store.read)) for _ in range(10)]
    await turns()
    store.let_go()
    answers = await asyncio.gather(*asked)
    answers[0].headers.append((b"c", b"d"))
    assert store.begun == 1
    assert [answer.headers for answer in answers[1:]] == [[(b"a", b"b")]] * 9


async def test_nobody_gets_a_reading_that_began_before_they_asked() -> None:
    """Whoever asks while readings are under way waits for one that begins later, so that it shows what was written."""
    store, shared = Store(), SharedReadings()
    asked = []
    for state in range(6):
        store.state = state
        asked.append(asyncio.create_task(shared.answer("key", store.read)))
        await turns()
    store.let_go()
    answers = await asyncio.gather(*asked)
    assert all(int(answer.body or b"") >= state for state, answer in enumerate(answers))
    assert store.begun == 3
    assert store.most == 2


async def test_other_keys_are_read_by_themselves() -> None:
    """Requests of different keys do not wait for each other, and nothing of them is kept afterwards."""
    store, shared = Store(), SharedReadings()
    asked = [asyncio.create_task(shared.answer(key, store.read)) for key in range(5)]
    await turns()
    assert store.most == 5
    store.let_go()
    await asyncio.gather(*asked)
    await turns()
    assert not shared._readings
    assert not shared._tasks


async def test_an_error_reaches_all_who_wait() -> None:
    """Each of the requests that share a reading gets its error; the next reading is a new one."""
    shared = SharedReadings()

    async def fail() -> Answer:
        raise Unavailable("the store is away")

    asked = [asyncio.create_task(shared.answer("key", fail)) for _ in range(3)]
    for one in asked:
        with pytest.raises(Unavailable):
            await one
    store = Store()
    store.let_go()
    assert (await shared.answer("key", store.read)).status == 200


async def test_who_leaves_does_not_end_the_reading_of_others() -> None:
    """A request that is cancelled leaves the others their answer."""
    store, shared = Store(), SharedReadings()
    asked = [asyncio.create_task(shared.answer("key", store.read)) for _ in range(3)]
    await turns()
    asked[0].cancel()
    store.let_go()
    assert [answer.body for answer in await asyncio.gather(*asked[1:])] == [b"0", b"0"]


def test_headers_that_may_matter_keep_requests_apart() -> None:
    """A header counts unless it is known to make no difference: Authorization and Prefer do, User-Agent does not."""
    assert telling({b"host": b"a", b"user-agent": b"b"}) == telling({b"host": b"c"}) == ()
    assert telling({b"authorization": b"a"}) != telling({b"authorization": b"b"})
    assert telling({b"prefer": b"ngsi-ld=1.3", b"x": b"y"}) == telling({b"x": b"y", b"prefer": b"ngsi-ld=1.3"})
