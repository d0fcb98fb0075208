"""A running broker, spoken to over HTTP by the command line's tools; and tables for people."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

import httpx

from tsunagu.up.problem import UpError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DEFAULT_URL = "http://127.0.0.1:1026"
SECONDS = 30.0
PAGE = 100
GAP = "  "


class Remote:
    """A broker at a URL, and a tenant of it. Methods raise UpError, in words for the one who typed the command."""

    def __init__(self, url: str, tenant: str = "", *, headers: Mapping[str, str] | None = None) -> None:
        self._url = url.rstrip("/")
        named = {**(headers or {}), **({"NGSILD-Tenant": tenant} if tenant else {})}
        try:
            self._client = httpx.Client(base_url=self._url, headers=named, timeout=SECONDS)
        except httpx.InvalidURL as error:
            raise UpError(f"--url: {url!r} is no URL: {error}") from None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, path: str, **params: Any) -> Any:
        """Return the JSON document at a path."""
        return self._ask("GET", path, params=params)

    def post(self, path: str, body: Mapping[str, Any] | None = None, **params: Any) -> Any:
        """Post to a path and return the JSON document that answers, None if there is none."""
        return self._ask("POST", path, params=params, json=body)

    def send(self, method: str, path: str, *, content: bytes, headers: Mapping[str, str], **params: Any) -> Any:
        """Send bytes to a path and return the JSON document that answers, None if there is none."""
        return self._ask(method, path, params=params, content=content, headers=headers)

    def text(self, method: str, path: str, *, json: Any = None, **params: Any) -> str:
        """Return the text, of any type, that a path answers with."""
        answer = self._request(method, path, params=params, json=json)
        if not answer.is_success:
            self._document(answer)
        return answer.text

    def all(self, path: str, **params: Any) -> Iterator[Any]:
        """Yield the elements of a list, page by page."""
        offset = 0
        while True:
            page = self.get(path, limit=PAGE, offset=offset, **params)
            yield from page
            if len(page) < PAGE:
                return
            offset += PAGE

    def _ask(self, method: str, path: str, *, params: dict[str, Any], **sent: Any) -> Any:
        return self._document(self._request(method, path, params=params, **sent))

    def _request(self, method: str, path: str, *, params: dict[str, Any], **sent: Any) -> httpx.Response:
        given = {name: value for name, value in params.items() if value is not None}
        try:
            return self._client.request(method, path, params=given, **sent)
        except httpx.TimeoutException:
            raise UpError(f"{self._url} did not answer within {SECONDS:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UpError(
                f"no broker answers at {self._url} ({error}); start one, or name another with --url"
            ) from None

    def _document(self, answer: httpx.Response) -> Any:
        try:
            document = answer.json() if answer.content else None
        except ValueError:
            document = answer
        if not answer.is_success:
            raise UpError(_problem(document, answer.status_code, self._url))
        if document is answer:
            raise UpError(f"what answers at {self._url} is no Tsunagu broker; name one with --url")
        return document


def _problem(document: Any, status: int, url: str) -> str:
    """Return a problem document (RFC 7807) as a line for people."""
    if isinstance(document, dict) and "title" in document:
        detail = document.get("detail")
        return f"{document['title']}: {detail}" if detail else str(document["title"])
    return f"{url} answered {status}; is it a Tsunagu broker?"


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    """Yield a table's lines: left-aligned columns, numbers to the right; None is shown as "-"."""
    texts = [["-" if cell is None else str(cell) for cell in row] for row in rows]
    wide = [max(map(_width, column)) for column in zip(heads, *texts, strict=True)]
    for line, cells in enumerate([list(heads), *texts]):
        shown = []
        for place, cell in enumerate(cells):
            space = " " * (wide[place] - _width(cell))
            number = line > 0 and isinstance(rows[line - 1][place], int | float)
            shown.append(space + cell if number else cell + space)
        yield GAP.join(shown).rstrip()


def _width(text: str) -> int:
    """Return how many columns a text takes on a terminal: Japanese letters take two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
