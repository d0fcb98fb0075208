"""The command `tsunagu`: `up` runs a broker and the servers it needs, `serve` runs one worker process.

`index` and `explain` are an operator's tools on a running broker's database, `subscriptions` and `devices`
ask a broker over HTTP.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tsunagu import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

HIGHEST_PORT = 65535


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; gives the exit code: 0 done, 1 it could not be done, 2 the command line is wrong."""
    try:
        options = _parser().parse_args(arguments)
        return _run(options)
    except KeyboardInterrupt:
        return 130


def _run(options: argparse.Namespace) -> int:
    from tsunagu.up.problem import UpError

    try:
        done: int = options.run(options)
    except UpError as problem:
        print(f"tsunagu: {problem}", file=sys.stderr)
        return 1
    return done


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tsunagu", description="A context broker for cities (NGSI-LD).")
    parser.add_argument("--version", action="version", version=f"tsunagu {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    up = commands.add_parser(
        "up", help="run a broker with an embedded MongoDB and MQTT broker, for a look or development"
    )
    up.add_argument(
        "--demo", action="store_true", help="run two neighbouring brokers and a city that sends device messages"
    )
    up.add_argument("--port", type=_port, help="port of the (first) broker; 0 takes a free one (TSUNAGU_PORT or 1026)")
    up.add_argument("--data", type=Path, default=Path(".tsunagu"), help="folder for data and logs (.tsunagu)")
    up.add_argument("--workers", type=_count, default=1, help="processes of each broker (1)")
    up.add_argument("--pace", type=_seconds, default=1.5, help="seconds between two messages of the demo city (1.5)")
    up.set_defaults(run=_up)
    serve = commands.add_parser("serve", help="run one worker process; settings come from TSUNAGU_* variables")
    serve.add_argument(
        "--fd", type=int, action="append", help="descriptor of a listening socket that the parent process hands over"
    )
    serve.set_defaults(run=_serve)
    _add_tools(commands)
    return parser


def _add_tools(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from tsunagu.up import device_tools, subscription_tools

    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--tenant", default="", help="the tenant (the default tenant)")
    shared.add_argument("--context", help="URL of the @context that names are read with (the core @context)")
    shared.add_argument("--data", type=Path, default=Path(".tsunagu"), help="data folder of a running `up` (.tsunagu)")
    index = commands.add_parser("index", help="index the values of an attribute, so that queries on it are fast")
    actions = index.add_subparsers(required=True, metavar="ACTION", dest="action")
    for action, text in (("add", "declare an index"), ("drop", "remove one")):
        one = actions.add_parser(action, help=text, parents=[shared])
        one.add_argument("type", help="entity type, such as RiverLevelObserved")
        one.add_argument("attribute", help="attribute, such as waterLevel")
    actions.add_parser("list", help="list the declared indexes", parents=[shared])
    index.set_defaults(run=_index)
    explain = commands.add_parser(
        "explain", help="tell how a query is found, and which index it uses", parents=[shared]
    )
    explain.add_argument("query", help="query string of GET /entities: 'type=RiverLevelObserved&q=waterLevel>2'")
    explain.set_defaults(run=_explain)
    subscription_tools.add_parser(commands).set_defaults(run=_subscriptions)
    device_tools.add_parser(commands).set_defaults(run=_devices)


def _up(options: argparse.Namespace) -> int:
    from tsunagu.up import command

    chosen = command.Options(
        demo=options.demo, port=options.port, data=options.data, workers=options.workers, pace=options.pace
    )
    asyncio.run(command.up(chosen))
    return 0


def _serve(options: argparse.Namespace) -> int:
    from tsunagu.up import brokers, worker

    return worker.serve(brokers.read_settings({}), descriptors=options.fd or ())


def _index(options: argparse.Namespace) -> int:
    from tsunagu.up import tools

    for line in tools.index(
        options.action, getattr(options, "type", ""), getattr(options, "attribute", ""), tools.place_of(options)
    ):
        print(line)
    return 0


def _explain(options: argparse.Namespace) -> int:
    from tsunagu.up import tools

    for line in tools.explain(options.query, tools.place_of(options)):
        print(line)
    return 0


def _subscriptions(options: argparse.Namespace) -> int:
    from tsunagu.up import subscription_tools

    for line in subscription_tools.run(options):
        print(line)
    return 0


def _devices(options: argparse.Namespace) -> int:
    from tsunagu.up import device_tools

    for line in device_tools.run(options):
        print(line)
    return 0


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: give a number from 0 to {HIGHEST_PORT}")
    return int(text)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of processes: give 1 or more")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 3600.0:  # noqa: PLR2004 - an hour between two messages is enough; refuses nan too
        raise argparse.ArgumentTypeError(f"{text!r} is not a pace: give seconds from 0 to 3600")
    return value


if __name__ == "__main__":
    sys.exit(main())
