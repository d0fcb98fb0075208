"""The door for devices: from the bytes of a message to entity updates; see README.md."""
