"""The live feed: changes as they are committed, by any process, for whoever holds a connection open."""
