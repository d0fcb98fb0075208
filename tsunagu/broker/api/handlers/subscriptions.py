"""/subscriptions and /subscriptions/{subscriptionId} (6.10, 6.11)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from tsunagu.broker.api.answers import add_page, created, document_answer, no_content, path_of
from tsunagu.broker.api.pages import page_of
from tsunagu.broker.api.requests import context_of, object_of

if TYPE_CHECKING:
    from tsunagu.broker.api.call import Answer, Call
    from tsunagu.broker.api.services import Services

PATH_SAFE = ":@!$&'()*+,;=~"


async def create_subscription(call: Call, services: Services) -> Answer:
    """Create a subscription (5.8.1).

    An @context that has no URL of its own, a list or an object, gets one here, since notifications refer to it.
    """
    body, context = await object_of(call, services)
    if context.url is None and "jsonldContext" not in body:
        url = await services.contexts.implicit(call.tenant, context.source)
        body["jsonldContext"] = services.origin.seen(url, call.headers)
    subscription = await services.subscriptions.create(call.tenant, body, context)
    return created(services.settings, f"/subscriptions/{quote(subscription, safe=PATH_SAFE)}")


async def query_subscriptions(call: Call, services: Services) -> Answer:
    """Return a page of the subscriptions (5.8.4)."""
    context = await context_of(call, services)
    limit, offset = page_of(call, services)
    wanted = limit + 1 if limit else 0
    page = await services.subscriptions.query(
        call.tenant,
        context,
        limit=wanted,
        offset=offset,
        count=call.params.get("count", False),
        sys_attrs="sysAttrs" in call.params.get("options", ()),
    )
    answer = await document_answer(call, services, context, page.subscriptions[:limit])
    path = path_of(services.settings, "/subscriptions")
    more = len(page.subscriptions) > limit
    add_page(answer, call, path, limit=limit, offset=offset, more=more, count=page.count)
    return answer


async def retrieve_subscription(call: Call, services: Services) -> Answer:
    """Return one subscription (5.8.3)."""
    context = await context_of(call, services)
    sys_attrs = "sysAttrs" in call.params.get("options", ())
    document = await services.subscriptions.retrieve(call.tenant, call.path[0], context, sys_attrs=sys_attrs)
    return await document_answer(call, services, context, document)


async def update_subscription(call: Call, services: Services) -> Answer:
    """Update a subscription (5.8.2)."""
    body, context = await object_of(call, services)
    await services.subscriptions.update(call.tenant, call.path[0], body, context)
    return no_content()


async def delete_subscription(call: Call, services: Services) -> Answer:
    """Delete a subscription (5.8.5)."""
    await services.subscriptions.delete(call.tenant, call.path[0])
    return no_content()
