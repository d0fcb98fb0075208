"""FIWARE IoT-Agent JSON."""
