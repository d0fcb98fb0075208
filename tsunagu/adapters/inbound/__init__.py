"""The doors: where device messages come in."""
