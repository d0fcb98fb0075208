"""A notification endpoint as cheap as Python allows: `python -m tests.bench.sink PORT`; GET /count: entities told."""

from __future__ import annotations

import asyncio
import sys

import orjson
import uvloop

from tests.endpoint import OK, Endpoint


class Sink(Endpoint):
    """Counts the entities that POSTs tell of: several changes may share a notification."""

    count = 0

    def answer(self, method: bytes, path: str, body: bytes) -> None:
        """Count what a notification tells, or tell the count."""
        if method == b"POST":
            Sink.count += len(orjson.loads(body)["data"])
            self.write(OK)
        else:
            count = b"%d" % Sink.count
            self.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(count), count))


async def main(port: int) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
