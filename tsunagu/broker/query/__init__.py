"""The query languages of NGSI-LD: one syntax tree (`ast`), one parser per grammar, one reader in memory (`match`).

The other reader, the MongoDB filter, is `tsunagu.broker.storage.mongo.filters`.
"""
