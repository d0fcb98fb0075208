"""FIWARE Ultralight 2.0."""
