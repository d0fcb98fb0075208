"""What a client asked to see of entities, and making it (4.5, 4.15, 4.21, 6.3.7, 6.3.11, 6.3.15)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Optional

from tsunagu.broker.representations.instances import AS_STORED, write_attribute
from tsunagu.broker.representations.joins import Linked, join_attribute, targets
from tsunagu.broker.representations.simplified import simplify_attribute
from tsunagu.schemas.entity import LOCATION, Document
from tsunagu.schemas.geo import is_geometry
from tsunagu.schemas.times import format_ms, short_text

if TYPE_CHECKING:
    from tsunagu.broker.representations.names import Names

# What pick or omit name: stored attribute names and the plain keys id, type, scope, createdAt, modifiedAt, expiresAt;
# under the name of a relationship, the projection of the entities that it links to, None for all of them.
Projection = Mapping[str, Optional["Projection"]]


@dataclass(frozen=True, slots=True)
class View:
    """What a client asked to see. The view without arguments is the normalized representation of everything.

    `attrs` and the keys of `pick` and `omit` are stored names; `dataset_ids` has "@none" for the default instance;
    `lang` is a language filter of 4.15; `geometry_property` is the stored name of the GeoProperty that becomes the
    geometry of a Feature, None for location.
    """

    format: Literal["normalized", "concise", "simplified"] = "normalized"
    geojson: bool = False
    sys_attrs: bool = False
    pick: Projection | None = None
    omit: Projection | None = None
    attrs: frozenset[str] | None = None
    lang: str | None = None
    dataset_ids: tuple[str, ...] | None = None
    geometry_property: str | None = None
    _plain: bool = field(init=False, repr=False, compare=False, default=False)

    def __post_init__(self) -> None:
        asked = self.geojson or self.sys_attrs or self.lang is not None or self.format != "normalized"
        narrowed = (self.pick, self.omit, self.attrs, self.dataset_ids)
        object.__setattr__(self, "_plain", not asked and all(part is None for part in narrowed))

    def render(
        self, document: Document, context: Names, *, linked: Linked | None = None, levels: int = 0
    ) -> dict[str, Any]:
        """Return the entity as a JSON object, names compacted, without @context. The document is not altered.

        With `linked`, relationships show the entities they lead to inline, `levels` deep (4.5.23.2); an entity is not
        shown within itself. Parts of the result may be parts of the document: do not alter them.
        """
        if self._plain and not linked:
            return _normalized(document, context)
        return self._render(document, context, linked or {}, levels, (document["_id"],))

    def render_flat(
        self, documents: Sequence[Document], context: Names, *, linked: Linked, levels: int
    ) -> list[dict[str, Any]]:
        """Return the entities and, after them, those that their relationships lead to, `levels` deep (4.5.23.3).

        Each entity stands there once, as the first relationship that leads to it would have it shown.
        """
        shown: dict[str, dict[str, Any]] = {}
        waiting: list[tuple[Document, View, int]] = [(document, self, levels) for document in documents]
        for one, view, depth in waiting:
            if one["_id"] in shown:
                continue
            shown[one["_id"]] = view.render(one, context)
            if depth > 0:
                for name, value, _ in view._selected(one):  # noqa: SLF001 - a view of the same class
                    inner = view._inner(name)  # noqa: SLF001
                    waiting.extend((linked[uri], inner, depth - 1) for uri in targets(value) if uri in linked)
        return list(shown.values())

    def _render(
        self, document: Document, context: Names, linked: Linked, levels: int, chain: tuple[str, ...]
    ) -> dict[str, Any]:
        body: dict[str, Any] = {}
        for name, value, times in self._selected(document):
            shown = self._attribute(value, times, context)
            if levels > 0 and linked:
                shown = self._joined(shown, value, name, context, linked, levels, chain)
            body[context.shown[name]] = shown
        head = self._head(document, context)
        return self._feature(document, head, body) if self.geojson else head | body

    def _attribute(self, value: Any, times: Any, context: Names) -> Any:
        if self.format == "simplified":
            return simplify_attribute(value, context, lang=self.lang)
        concise = self.format == "concise"
        return write_attribute(value, times, context, sys_attrs=self.sys_attrs, concise=concise, lang=self.lang)

    def _head(self, document: Document, context: Names) -> dict[str, Any]:
        """Return the members of the entity that are no attributes."""
        head = {"id": document["_id"], "type": shown_types(document["type"], context)}
        if "scope" in document:
            head["scope"] = shown_scope(document["scope"])
        if self.sys_attrs:
            head["createdAt"] = format_ms(document["created"])
            head["modifiedAt"] = format_ms(document["modified"])
            if "expires" in document:
                head["expiresAt"] = short_text(document["expires"])
        if self.pick is not None:
            head = {key: item for key, item in head.items() if key in self.pick}
        if self.omit is not None:
            head = {key: item for key, item in head.items() if key not in self.omit}
        return head

    def _selected(self, document: Document) -> Iterator[tuple[str, Any, Any]]:
        """Yield the attributes to show: stored name, the instances to show, and their TIMES in parallel."""
        times = document.get("sys", {})
        for name, value in document["attrs"].items():
            if (self.attrs is not None and name not in self.attrs) or (self.pick is not None and name not in self.pick):
                continue
            if self.omit is not None and name in self.omit and self.omit[name] is None:
                continue
            if self.dataset_ids is None:
                yield name, value, times.get(name)
            else:
                kept, moments = _of_datasets(value, times.get(name), self.dataset_ids)
                if kept:
                    yield name, kept, moments

    def _joined(
        self, shown: Any, value: Any, name: str, context: Names, linked: Linked, levels: int, chain: tuple[str, ...]
    ) -> Any:
        """Return a shown attribute with the entities inline that it leads to, if it is a relationship."""
        found = [uri for uri in targets(value) if uri in linked and uri not in chain]
        if not found:
            return shown
        inner = self._inner(name)
        entities = {uri: inner._render(linked[uri], context, linked, levels - 1, (*chain, uri)) for uri in found}  # noqa: SLF001
        return join_attribute(shown, value, entities, simplified=self.format == "simplified")

    def _inner(self, name: str) -> View:
        """Return the view of the entities that the relationship `name` leads to."""
        return View(
            format=self.format,
            sys_attrs=self.sys_attrs,
            pick=None if self.pick is None else self.pick.get(name),
            omit=None if self.omit is None else self.omit.get(name),
            lang=self.lang,
            dataset_ids=self.dataset_ids,
        )

    def _feature(self, document: Document, head: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        """Return the GeoJSON Feature of an entity (4.5.16.2, 4.5.17.1)."""
        feature = {"id": head.pop("id")} if "id" in head else {}
        return feature | {"type": "Feature", "geometry": self._geometry(document), "properties": head | body}

    def _geometry(self, document: Document) -> Any:
        """Return the geometry that 4.5.16.1 selects, None if there is none."""
        value = document["attrs"].get(self.geometry_property or LOCATION)
        if value is not None and self.dataset_ids is not None:
            value, _ = _of_datasets(value, None, self.dataset_ids)
        if type(value) is list and value:
            default = [one for one in value if "datasetId" not in one]
            value = default[0] if default else value[0] if self.dataset_ids is not None else None
        geometry = value.get("value") if type(value) is dict else None
        return geometry if is_geometry(geometry) else None


def geojson_collection(features: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the FeatureCollection of rendered Features (4.5.16.3)."""
    return {"type": "FeatureCollection", "features": features}


def _normalized(document: Document, context: Names) -> dict[str, Any]:
    """Return the default view; what needs no rewriting is shown as it is stored."""
    types = document["type"]
    shown: dict[str, Any] = {
        "id": document["_id"],
        "type": context.names[types[0]] if len(types) == 1 else shown_types(types, context),
    }
    if "scope" in document:
        shown["scope"] = shown_scope(document["scope"])
    names = context.shown
    for name, value in document["attrs"].items():
        if type(value) is dict and value.keys() <= AS_STORED:
            shown[names[name]] = value
        else:
            shown[names[name]] = write_attribute(value, None, context)
    return shown


def shown_types(types: list[str], context: Names) -> str | list[str]:
    """Return the type of an entity, or the array of several."""
    return context.names[types[0]] if len(types) == 1 else [context.names[iri] for iri in types]


def shown_scope(scopes: list[str]) -> str | list[str]:
    """Return the scope of an entity, or the array of several."""
    return scopes[0] if len(scopes) == 1 else scopes


def _of_datasets(value: Any, times: Any, wanted: tuple[str, ...]) -> tuple[Any, Any]:
    """Return the instances with one of the datasetIds, and their TIMES; (None, None) if there is none."""
    values = value if type(value) is list else [value]
    moments = times if type(times) is list else [times] * len(values)
    kept = [pair for pair in zip(values, moments, strict=True) if pair[0].get("datasetId", "@none") in wanted]
    if not kept:
        return None, None
    if len(kept) == 1:
        return kept[0]
    return [pair[0] for pair in kept], [pair[1] for pair in kept]
