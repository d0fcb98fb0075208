"""How stored entities are shown: normalized, concise, simplified and GeoJSON, with projection, language and joins.

`View` says what a client asked for; `View.render` makes a document of it.
"""

from tsunagu.broker.representations.joins import Linked
from tsunagu.broker.representations.view import Projection, View, geojson_collection

__all__ = ["Linked", "Projection", "View", "geojson_collection"]
