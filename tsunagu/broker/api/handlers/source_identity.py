"""/info/sourceIdentity: who this broker is (5.2.40, 5.15.1, 6.33)."""

from __future__ import annotations

import re
from hashlib import sha256
from importlib.metadata import version
from time import time, time_ns
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

from tsunagu.broker.api.answers import document_answer
from tsunagu.broker.api.requests import context_of
from tsunagu.schemas.times import format_ms

if TYPE_CHECKING:
    from tsunagu.broker.api.call import Answer, Call
    from tsunagu.broker.api.services import Services


def alias_of(name: str, tenant: str) -> str:
    """Return the pseudonym of a tenant of this broker in Via headers, a token of RFC 9110."""
    token = re.sub(r"[^A-Za-z0-9.~_-]", "-", name)
    return f"{token}-{sha256(tenant.encode()).hexdigest()[:12]}" if tenant else token


async def retrieve_source_identity(call: Call, services: Services) -> Answer:
    """Return the identity of this broker, or of one of its tenants."""
    context = await context_of(call, services)
    alias = alias_of(services.settings.name, call.tenant)
    document = {
        "id": f"urn:ngsi-ld:ContextSourceIdentity:{uuid5(NAMESPACE_URL, alias)}",
        "type": "ContextSourceIdentity",
        "contextSourceAlias": alias,
        "contextSourceUptime": f"PT{max(0, int(time() - services.started))}S",
        "contextSourceTimeAt": format_ms(time_ns() // 1_000_000),
        "contextSourceExtras": {"software": "tsunagu", "version": version("tsunagu")},
    }
    return await document_answer(call, services, context, document)
