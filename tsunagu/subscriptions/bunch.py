"""A bunch of subscriptions: a tuple while there are few, as with most of very many bunches, else a dict."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tsunagu.subscriptions.subscription import Subscription

    Bunch = tuple[Subscription, ...] | dict[Subscription, None]

FEW = 8


def with_one(bunch: Bunch, subscription: Subscription) -> Bunch:
    """Return the bunch with one more; one that is a dict is changed in place."""
    if isinstance(bunch, dict):
        bunch[subscription] = None
        return bunch
    if subscription in bunch:
        return bunch
    return (*bunch, subscription) if len(bunch) < FEW else dict.fromkeys((*bunch, subscription))


def without(bunch: Bunch, subscription: Subscription) -> Bunch:
    """Return the bunch without one that may be in it; one that is a dict is changed in place."""
    if isinstance(bunch, dict):
        bunch.pop(subscription, None)
        return bunch
    return tuple(one for one in bunch if one is not subscription)
