"""Bunches of subscriptions."""

from __future__ import annotations

from tests.unit.subscriptions.samples import subscription
from tsunagu.subscriptions.bunch import FEW, with_one, without


def test_a_bunch_keeps_each_once_in_order_however_many() -> None:
    """What is put in twice is in once; what is taken out is out; few are a tuple, many are a dict."""
    everything = [subscription(id=f"urn:s:{number}") for number in range(FEW + 3)]
    bunch = ()
    for count, one in enumerate(everything, 1):
        bunch = with_one(with_one(bunch, one), one)
        assert list(bunch) == everything[:count]
        assert isinstance(bunch, tuple) == (count <= FEW)
    for one in everything:
        bunch = without(without(bunch, one), one)
        assert one not in bunch
    assert not bunch
    assert without((everything[0],), everything[0]) == ()
