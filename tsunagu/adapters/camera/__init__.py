"""Cameras: heartbeats, people counts, events; never pictures."""
