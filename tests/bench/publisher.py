"""A device fleet that publishes over MQTT 3.1.1 at QoS 1 as cheaply as possible: ready-made packets, one socket.

`python -m tests.bench.publisher HOST PORT APIKEY DEVICES RATE SECONDS [timed]` sends IoT-Agent JSON of three values
(t, h and n, the message's number) in turn for each device, RATE a second, in bursts of 5 ms; with `timed` also a
TimeInstant. Prints one JSON line at the end: sent, acknowledged, seconds and the CPU seconds it used.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from datetime import UTC, datetime

BURST = 0.005
PATIENCE = 30.0
CONNECT = b"\x10\x17\x00\x04MQTT\x04\x02\x00\x00\x00\x0bbench-fleet"
PUBACK_LENGTH = 4


def length_of(size: int) -> bytes:
    """Return a remaining length as MQTT writes it (MQTT 3.1.1, 2.2.3)."""
    found = bytearray()
    while True:
        size, digit = divmod(size, 128)
        found.append(digit | 0x80 if size else digit)
        if not size:
            return bytes(found)


def packets(apikey: str, devices: int, first: int, count: int, *, timed: bool) -> bytes:
    """Return the PUBLISH packets of the messages `first` to `first + count - 1`."""
    found = []
    instant = f',"TimeInstant":"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}'[:-3] + 'Z"' if timed else ""
    for number in range(first, first + count):
        topic = b"/json/%b/d%03d/attrs" % (apikey.encode(), number % devices)
        packet_id = number % 65_535 + 1
        body = f'{{"t":{20 + number % 97 / 10},"h":{40 + number % 89 / 4},"n":{number}{instant}}}'.encode()
        rest = len(topic).to_bytes(2) + topic + packet_id.to_bytes(2) + body
        found.append(b"\x32" + length_of(len(rest)) + rest)
    return b"".join(found)


class Acknowledgements:
    """Counts the bytes of PUBACK packets as they come."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.bytes = 0

    def read(self, patience: float = 0.0) -> int:
        """Read what is there, waiting `patience` seconds for it; return how many messages are acknowledged."""
        while select.select([self.connection], [], [], patience)[0]:
            part = self.connection.recv(1 << 16)
            if not part:
                raise SystemExit("the MQTT broker hung up")
            self.bytes += len(part)
            patience = 0.0
        return self.bytes // PUBACK_LENGTH


def main(host: str, port: int, apikey: str, devices: int, rate: float, seconds: float, timed: bool) -> None:
    """Publish and print the figures."""
    connection = socket.create_connection((host, port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(CONNECT)
    if connection.recv(4) != b"\x20\x02\x00\x00":
        raise SystemExit("the MQTT broker refused the connection")
    acknowledgements = Acknowledgements(connection)
    total, sent, began = round(rate * seconds), 0, time.monotonic()
    while sent < total:
        due = min(total, int((time.monotonic() - began) * rate) + 1)
        if due > sent:
            connection.sendall(packets(apikey, devices, sent, due - sent, timed=timed))
            sent = due
        acknowledgements.read()
        time.sleep(BURST)
    took = time.monotonic() - began
    end = time.monotonic() + PATIENCE
    while acknowledgements.read(0.1) < total and time.monotonic() < end:
        pass
    figures = {"sent": sent, "acknowledged": acknowledgements.read(), "seconds": took, "cpu": time.process_time()}
    print(json.dumps(figures), flush=True)
    connection.sendall(b"\xe0\x00")


if __name__ == "__main__":
    words = sys.argv[1:]
    main(words[0], int(words[1]), words[2], int(words[3]), float(words[4]), float(words[5]), "timed" in words[6:])
