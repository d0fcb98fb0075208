"""Half load for a long time: `python -m tests.bench.soak [--minutes 30]` prints the memory of broker and mongod.

The mix of reads, patches and batches first runs as fast as it goes, then with pauses at half of that rate.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from tests.bench.processes import memory
from tests.bench.run import fill, wrk
from tests.drills.harness import running

CONNECTIONS = 16


async def main(options: argparse.Namespace) -> None:
    """Load, sample, print."""
    with tempfile.TemporaryDirectory(prefix="tsunagu-bench-") as folder:
        async with running(Path(folder) / "data") as up:
            await fill(up.url, options.entities)
            full = await wrk(up.url, "mix", CONNECTIONS, 10, options.entities)
            pause = 1000 * CONNECTIONS / full["rate"]
            print(f"full load {full['rate']:.0f}/s; half of it for {options.minutes:g} minutes", flush=True)
            began = time.monotonic()
            load = asyncio.create_task(
                wrk(up.url, "mix", CONNECTIONS, round(options.minutes * 60), options.entities, pause=pause)
            )
            while not load.done():
                broker, mongod = memory(up.pids("tsunagu.cli serve")), memory(up.pids("mongod"))
                print(f"{time.monotonic() - began:6.0f} s  broker {broker} MB  mongod {mongod} MB", flush=True)
                await asyncio.wait([load], timeout=options.every)
            found = load.result()
            print(f"{found['rate']:.0f}/s, p50 {found['p50']:.2f} p99 {found['p99']:.2f} ms, bad {found['bad']}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--every", type=float, default=30, help="seconds between two samples")
    parser.add_argument("--entities", type=int, default=10_000)
    asyncio.run(main(parser.parse_args()))
