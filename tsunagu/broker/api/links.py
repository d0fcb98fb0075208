"""Link headers (RFC 8288): reading the @context's, writing the @context's and those of neighbouring pages.

ETSI GS CIM 009 v1.9.1, 6.3.5, 6.3.6, 6.3.10.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote

from tsunagu.broker.errors import BadRequestData

if TYPE_CHECKING:
    from collections.abc import Iterable

CONTEXT_RELATION = "http://www.w3.org/ns/json-ld#context"
# One link: <target> and its parameters, which are tokens with a token or a quoted string as value.
LINK = re.compile(r"""\s*<([^>]*)>((?:\s*;\s*[^=;,\s]+(?:\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^",;\s]*))?)*)\s*;?\s*(?:,|$)""")
RELATION = re.compile(r""";\s*rel\s*=\s*(?:"([^"]*)"|([^",;\s]+))""", re.IGNORECASE)


@lru_cache(maxsize=1024)
def context_link(header: bytes) -> str | None:
    """Return the target of the one link in a Link header that points to a JSON-LD @context, None if there is none.

    A link without any `rel` counts where none has that of a @context: some clients leave it out, and would otherwise
    store their terms under other names without a word. Raises BadRequestData when the header is malformed, or when it
    names several @contexts (JSON-LD 1.1, 6.2).
    """
    text = header.decode("latin-1")
    named: list[str] = []
    bare: list[str] = []
    position = 0
    while position < len(text):
        link = LINK.match(text, position)
        if link is None:
            raise BadRequestData(f'Link header: expected <URL>; rel="{CONTEXT_RELATION}"; type="application/ld+json"')
        position = link.end()
        relation = RELATION.search(link[2])
        if relation is None:
            bare.append(link[1].strip())
        elif CONTEXT_RELATION in (relation[1] or relation[2] or "").split():
            named.append(link[1].strip())
    targets = named or bare
    if len(set(targets)) > 1:
        raise BadRequestData("Link header: it names several @contexts; name one, which may itself be a list")
    return targets[0] if targets else None


@lru_cache(maxsize=1024)
def context_link_header(url: str) -> bytes:
    """Return the Link header value that names the @context of an answer."""
    return f'<{quoted(url)}>; rel="{CONTEXT_RELATION}"; type="application/ld+json"'.encode()


def page_links(path: str, query: Iterable[tuple[str, str]], *, limit: int, offset: int, more: bool, media: str) -> str:
    """Return the Link header value for the pages before and after this one, "" if it is the only page.

    `query` holds the request's parameters without limit and offset; the links carry them in the order of their names.
    `more` says that results follow this page. `media` is the media type of the answer.
    """
    given = [(name, value) for name, value in query if name not in {"limit", "offset"}]
    links = []
    if offset > 0:
        links.append(page_link(path, given, limit=limit, offset=max(0, offset - limit), relation="prev", media=media))
    if more:
        links.append(page_link(path, given, limit=limit, offset=offset + limit, relation="next", media=media))
    return ", ".join(links)


def page_link(path: str, query: list[tuple[str, str]], *, limit: int, offset: int, relation: str, media: str) -> str:
    """Return one link to a page."""
    parameters = sorted([*query, ("limit", str(limit)), ("offset", str(offset))])
    text = "&".join(f"{quote(name, safe='')}={quote(value, safe=VALUE_SAFE)}" for name, value in parameters)
    return f'<{path}?{text}>; rel="{relation}"; type="{media}"'


VALUE_SAFE = "/:@!$'()*;?~"  # a comma would confuse those who split a Link header at commas


def quoted(url: str) -> str:
    """Return a URL that is safe inside the angle brackets of a Link header."""
    return quote(url, safe="%/:=&?~#+!$,;'@()*[]")
