"""The log level of all processes of a broker: changed in one, it changes in the others too, until they restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsunagu.app.logs import LEVELS

if TYPE_CHECKING:
    from tsunagu.app.logs import LogLevel
    from tsunagu.broker.storage.catalogue import Announcement, Catalogue

KIND = "log_level"


class SharedLogLevel:
    """The level of this process, and the announcements by which the others follow: an entry's id is the level."""

    def __init__(self, level: LogLevel, catalogue: Catalogue) -> None:
        self._level = level
        self._catalogue = catalogue
        catalogue.watch(frozenset((KIND,)), self._heard)

    @property
    def name(self) -> str:
        """The level of this process."""
        return self._level.name

    async def change(self, name: str) -> None:
        """Set the level of every process. Raises Unavailable; the level of this one is set all the same."""
        self._level.set(name)
        await self._catalogue.replace("", KIND, name, {"level": name})

    def _heard(self, announcement: Announcement) -> None:
        if announcement.id in LEVELS and announcement.deed != "deleted":
            self._level.set(announcement.id)
