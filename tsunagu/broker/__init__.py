"""The context broker: NGSI-LD operations on a transactional change log in MongoDB."""
