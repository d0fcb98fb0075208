"""The application: the only place that names concrete parts and puts them together."""

from tsunagu.app.application import create_app

__all__ = ["create_app"]
