"""JSON-LD as NGSI-LD uses it: contexts, and expansion and compaction of entities over cached term maps."""
