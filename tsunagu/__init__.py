"""Tsunagu (つなぐ, "to connect"): a context broker for cities, NGSI-LD and FIWARE-compatible."""

__version__ = "0.1.0"
