"""The Things Stack v3."""
