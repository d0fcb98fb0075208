"""The address under which a client sees this broker: that of the settings, of a proxy's headers, or of Host.

Paths and URLs of ours in an answer's headers are brought into that form in one place, after the handler, so that no
handler has to know of proxies. With TSUNAGU_PUBLIC_URL set they are right already.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tsunagu.broker.api.call import Answer
    from tsunagu.broker.settings import Settings

ROOT = b"/ngsi-ld/v1/"
HOST = re.compile(rb"[A-Za-z0-9._~-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")
PREFIX = re.compile(rb"(?:/[A-Za-z0-9._~-]{1,80}){1,8}")
PATHS = frozenset({b"location", b"ngsild-entitymap"})


def own_base(settings: Settings) -> str:
    """Return the base URL of this broker as the settings have it."""
    return (settings.public_url or f"http://{settings.host}:{settings.port}").rstrip("/")


class Origin:
    """Amends answers for clients that see this broker elsewhere than the settings say."""

    def __init__(self, settings: Settings) -> None:
        self._fixed = settings.public_url is not None
        self._base = own_base(settings).encode()
        self._host = self._base.partition(b"://")[2]
        self._own = b"<" + self._base + ROOT

    def base(self, headers: Mapping[bytes, bytes]) -> bytes:
        """Return the base URL that a client used: the public one, or what X-Forwarded-* or Host say, if well formed."""
        if self._fixed:
            return self._base
        host = _first(headers, b"x-forwarded-host") or headers.get(b"host", b"")
        if not HOST.fullmatch(host):
            host = self._host
        scheme = _first(headers, b"x-forwarded-proto").lower()
        return (b"https://" if scheme == b"https" else b"http://") + host + self._prefix(headers)

    def seen(self, url: str, headers: Mapping[bytes, bytes]) -> str:
        """Return a URL as the client sees it: one of this broker's gets the client's base."""
        own = self._base.decode() + ROOT.decode()
        return self.base(headers).decode() + url[len(self._base) :] if url.startswith(own) else url

    def amend(self, answer: Answer, headers: Mapping[bytes, bytes]) -> None:
        """Bring Location, NGSILD-EntityMap and Link into the form that the client can use."""
        if self._fixed:
            return
        prefix = self._prefix(headers) if b"x-forwarded-prefix" in headers else b""
        for index, (name, value) in enumerate(answer.headers):
            if name == b"link" and (prefix or self._own in value):
                below = value.replace(b"<" + ROOT, b"<" + prefix + ROOT)
                answer.headers[index] = (name, below.replace(self._own, b"<" + self.base(headers) + ROOT))
            elif prefix and name in PATHS and value.startswith(ROOT):
                answer.headers[index] = (name, prefix + value)

    @staticmethod
    def _prefix(headers: Mapping[bytes, bytes]) -> bytes:
        prefix = _first(headers, b"x-forwarded-prefix").rstrip(b"/")
        return prefix if PREFIX.fullmatch(prefix) else b""


def _first(headers: Mapping[bytes, bytes], name: bytes) -> bytes:
    """Return the first of the values of a header, which the outermost proxy set; empty if there is none."""
    return headers.get(name, b"").partition(b",")[0].strip()
