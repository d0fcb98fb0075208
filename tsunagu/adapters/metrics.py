"""Counters of the device doors, to be registered by app.py; labels never name devices, topics or people."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

MESSAGES = Counter("tsunagu_device_messages", "Device messages taken in", ("format",))
SET_ASIDE = Counter(
    "tsunagu_device_messages_set_aside", "Device messages put into the quarantine", ("format", "reason")
)
UNMATCHED = Counter(
    "tsunagu_device_messages_unmatched", "MQTT messages that a subscription brought and no format or route takes"
)
UPDATES = Counter("tsunagu_device_updates", "Entity updates committed for device messages")
DEVICE_REQUESTS = Counter("tsunagu_device_requests", "Devices created and removed by provisioning", ("deed",))
WAITING = Gauge("tsunagu_device_messages_waiting", "Device messages taken in and not yet committed", ("door",))
CONNECTED = Gauge("tsunagu_mqtt_connected", "1 while the MQTT door is connected")

COLLECTORS = (MESSAGES, SET_ASIDE, UNMATCHED, UPDATES, DEVICE_REQUESTS, WAITING, CONNECTED)
