"""The entities as the API reads them: what is lazy is asked of its devices first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsunagu.broker.errors import ResourceNotFound
from tsunagu.broker.jsonld.context import CORE
from tsunagu.broker.operations.entities import Entities
from tsunagu.schemas.entity import instances

if TYPE_CHECKING:
    from tsunagu.adapters.lazy import LazyAttributes
    from tsunagu.broker.changes import Document


class LazyEntities(Entities):
    """Entities whose lazy attributes are fresh when one is retrieved by id; `lazy` is set by parts.py."""

    lazy: LazyAttributes | None = None

    async def retrieve(self, tenant: str, entity_id: str, *, times: bool = True) -> Document:
        """Return an entity's document (5.7.1), which nobody may alter. Raises ResourceNotFound."""
        if self.lazy is not None and self.lazy.concern(tenant, entity_id):
            await self.lazy.refresh(tenant, entity_id)
        return await super().retrieve(tenant, entity_id, times=times)


async def written(entities: Entities, tenant: str, entity_id: str) -> dict[str, int]:
    """Return when each attribute of an entity was last written, epoch ms, by term; {} if there is no entity."""
    try:
        document = await entities.retrieve(tenant, entity_id)
    except ResourceNotFound:
        return {}
    return {
        CORE.compact_name(name): max(one["m"] for one in instances(times)) for name, times in document["sys"].items()
    }
