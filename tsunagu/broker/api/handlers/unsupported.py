"""Operations of the standard that this broker does not offer yet; a row of theirs is all that has to change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsunagu.broker.api.requests import context_of, object_of
from tsunagu.broker.errors import OperationNotSupported

if TYPE_CHECKING:
    from tsunagu.broker.api.call import Answer, Call
    from tsunagu.broker.api.services import Services


async def refuse(call: Call, services: Services) -> Answer:
    """Check the request as far as any operation would, then raise OperationNotSupported (5.5.6)."""
    await (object_of if call.route.takes else context_of)(call, services)
    raise OperationNotSupported(f"{call.route.operation}: this broker does not offer the operation yet")
