"""Device models: what a maker's device sends and what becomes of it, as a file that towns can share."""
