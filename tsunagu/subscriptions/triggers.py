"""What a notificationTrigger waits for, as bits (5.2.12, 5.8.6)."""

from __future__ import annotations

ENTITY_CREATED = 1
ENTITY_DELETED = 2
ATTRIBUTE_CREATED = 4
ATTRIBUTE_UPDATED = 8
ATTRIBUTE_DELETED = 16
ATTRIBUTE_ANY = ATTRIBUTE_CREATED | ATTRIBUTE_UPDATED | ATTRIBUTE_DELETED

TRIGGER_BITS = {
    "entityCreated": ENTITY_CREATED,
    "entityDeleted": ENTITY_DELETED,
    "entityUpdated": ATTRIBUTE_ANY,
    "attributeCreated": ATTRIBUTE_CREATED,
    "attributeUpdated": ATTRIBUTE_UPDATED,
    "attributeDeleted": ATTRIBUTE_DELETED,
}
