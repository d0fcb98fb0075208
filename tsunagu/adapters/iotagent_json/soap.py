"""XML bodies of the single-attribute route, as xml2js gives them without prefixes (iotagent-json, HTTPBinding)."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

from tsunagu.adapters.errors import BadPayload


def parse_xml(body: bytes) -> dict[str, Any]:
    """Return {root: {child: [...], "$": attributes, "_": text}}. Raises BadPayload; document types are refused."""
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise BadPayload("XML with a document type is not taken")
    try:
        root = ET.fromstring(body)  # noqa: S314 - no document type, hence no entities
    except ET.ParseError as error:
        raise BadPayload(f"the payload is not XML: {error}") from None
    return {_local(root.tag): _content(root)}


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _content(element: ET.Element) -> Any:
    text = (element.text or "").strip()
    content: dict[str, Any] = {}
    if element.attrib:
        content["$"] = {_local(name): value for name, value in element.attrib.items()}
    for child in element:
        content.setdefault(_local(child.tag), []).append(_content(child))
    if not content:
        return text
    if text:
        content["_"] = text
    return content
