"""The handlers, one file per resource. A handler reads a call, runs one operation, and makes the answer."""
