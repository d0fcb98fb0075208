"""JSON and CSV of any shape, read by the group's description of it."""
