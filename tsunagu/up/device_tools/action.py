"""One action of `tsunagu devices`: what it does, its arguments, and how answers are shown."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tsunagu.up.problem import UpError
from tsunagu.up.remote import table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tsunagu.up.remote import Remote

    Lines = Iterable[str]
    Work = Callable[[Remote, argparse.Namespace], Lines]

BASE = "/tsunagu/v1/devices"
SHORT = 60
PAGE = 100
DEVICE = {"device": {"help": "the device's id"}}
APIKEY = {"--apikey": {"help": "its apikey, where two devices have one id"}}


@dataclass(frozen=True, slots=True)
class Action:
    """One action: what it does, what it says of itself, its arguments as argparse takes them."""

    work: Work
    text: str
    arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def path_of(options: argparse.Namespace, tail: str = "") -> str:
    """Return the path of the device that the command line names, under the management API."""
    return f"{BASE}/{quote(options.device, safe='')}{tail}"


def shown(document: Any, options: argparse.Namespace, lines: Callable[[], Lines]) -> Lines:
    """Return the lines, or the document itself with --json."""
    if options.json:
        return [json.dumps(document, ensure_ascii=False, indent=2)]
    return lines()


def pages(remote: Remote, path: str, member: str, **params: Any) -> list[Any]:
    """Return all elements of a list that comes in pages."""
    found: list[Any] = []
    while True:
        page = remote.get(path, limit=PAGE, offset=len(found), **params)[member]
        found += page
        if len(page) < PAGE:
            return found


def grid(heads: tuple[str, ...], rows: list[tuple[Any, ...]], nothing: str) -> Lines:
    """Return a table, or what is said of an empty one."""
    return table(heads, rows) if rows else [nothing]


def cut(value: Any) -> str:
    """Return a value as a short text."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHORT else text[: SHORT - 1] + "…"


def members(document: Mapping[str, Any]) -> Iterator[str]:
    """Give one line for each member."""
    for name, value in document.items():
        yield f"{name:24} {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"


def file_content(name: str) -> bytes:
    """Return what a file holds, or the standard input for "-". Raises UpError."""
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise UpError(f"{name}: {error.strerror}") from None
