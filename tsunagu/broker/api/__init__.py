"""The HTTP binding of NGSI-LD (ETSI GS CIM 009 v1.9.1, clause 6): one table of routes, one plain ASGI application."""
