"""Devices and groups: what is provisioned, where it is kept, and the plan by which a message is mapped."""
