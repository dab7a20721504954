"""`pinnace store`: what an operator does to a store: backup, restore, rescue, copy.

The commands' table, their flags and how their refusals are told; the work is done by the modules
that the commands name, loaded when they are asked for.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raftstore.client import Client

DEFAULT_ENDPOINT = "127.0.0.1:2379"


class OperationError(Exception):
    """Why a command could not do what was asked, in one line."""


def main(argv: Sequence[str]) -> int:
    """Returns the exit code: 0, or 1 for what failed; what makes no sense exits with 2."""
    arguments = _parser().parse_args(argv)
    # Read by grpc at import.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    from raftstore.client import ClientError
    from raftstore.copying import CopyRefused
    from raftstore.disk import DiskError

    try:
        arguments.run(arguments)
    except (OperationError, ClientError, CopyRefused, DiskError) as error:
        return _complain(str(error))
    except OSError as error:
        return _complain(f"{error.filename}: {error.strerror}")
    return 0


# -- the commands


def _save(arguments: argparse.Namespace) -> None:
    from raftstore.saving import save

    client = _client(arguments.endpoints, arguments, "")

    async def run() -> None:
        async with client:
            saved = await save(client, arguments.file)
        _tell(f"Snapshot saved at {saved.path}")
        _tell(f"{saved.size_bytes} bytes, checksum compared; server version {saved.version}")

    _run(run())


def _copy(arguments: argparse.Namespace) -> None:
    from raftstore.copying import copy

    source = _client(arguments.source, arguments, "from_")
    target = _client(arguments.target, arguments, "to_")
    if source.url == target.url:
        raise OperationError(f"--from and --to are the same store: {source.url}")

    async def run() -> None:
        async with source, target:
            prefix = arguments.prefix.encode()
            done = await copy(source, target, prefix, resume=arguments.resume, tell=_tell)
        found = f", {done.found} were there" if done.found else ""
        expired = f"; {done.expired} keys left out, their lease has ended" if done.expired else ""
        _tell(f"{done.written} keys written{found}, {done.leases} leases made{expired}")
        _tell(f"compared with {source.url} at revision {done.revision}: the same")

    _run(run())


# -- their flags


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "pinnace store", description="Back up, restore, rescue and copy a store (docs/store.md)."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_snapshot(commands.add_parser("snapshot", help="backups"))
    _add_copy(commands.add_parser("copy", help="copy keys to another store, from or to etcd"))
    return parser


def _add_snapshot(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    save = commands.add_parser("save", help="take a backup of a running member")
    save.add_argument("file", type=Path, metavar="FILE")
    save.add_argument("--endpoints", default=DEFAULT_ENDPOINT, help="the one to take it from")
    _add_credentials(save, "")
    save.set_defaults(run=_save)


def _add_copy(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--from", dest="source", required=True, metavar="URL", help="the store to read")
    add("--to", dest="target", required=True, metavar="URL", help="the store to write, empty")
    add("--prefix", default="", help="only keys that begin so")
    add("--resume", action="store_true", help="go on with a copy that was cut short")
    _add_credentials(parser, "from-")
    _add_credentials(parser, "to-")
    parser.set_defaults(run=_copy)


def _add_credentials(parser: argparse.ArgumentParser, prefix: str) -> None:
    for name, what in (("cacert", "CA of"), ("cert", "certificate for"), ("key", "key for")):
        parser.add_argument(f"--{prefix}{name}", default="", help=f"{what} the server")


def _client(url: str, arguments: argparse.Namespace, prefix: str) -> "Client":
    from raftstore.client import Client, Credentials

    urls = [part.strip() for part in url.split(",") if part.strip()]
    if len(urls) != 1:
        raise OperationError(f"one endpoint is needed, not {len(urls)}: {url!r}")
    given = vars(arguments)
    cacert, cert, key = (given[f"{prefix}{name}"] for name in ("cacert", "cert", "key"))
    if bool(cert) != bool(key):
        raise OperationError("a certificate and its key go together: one is missing")
    return Client(urls[0], Credentials(cacert, cert, key))


# -- how it is run and told


def _run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def _tell(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def _complain(line: str) -> int:
    print(f"pinnace store: {line}", file=sys.stderr)  # noqa: T201
    return 1
