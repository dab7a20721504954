"""`pinnace store`: what an operator does to a store: backup, restore, rescue, copy.

The commands' table, their flags and how their refusals are told; the work is done by the modules
that the commands name, loaded when they are asked for.
"""

import argparse
import asyncio
import json
import os
import random
import sys
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raftstore.daemon.flagtable import FlagError
from raftstore.urls import parse_initial_cluster, parse_urls

if TYPE_CHECKING:
    from raftstore.disk.rescue import Inspection
    from raftstore.operations.client import Client

DEFAULT_ENDPOINT = "127.0.0.1:2379"
DEFAULT_NAME = "default"
DEFAULT_PEER_URL = "http://localhost:2380"
DEFAULT_TOKEN = "etcd-cluster"  # noqa: S105 - no secret


class OperationError(Exception):
    """Why a command could not do what was asked, in one line."""


def main(argv: Sequence[str]) -> int:
    """Returns the exit code: 0, or 1 for what failed; what makes no sense exits with 2."""
    arguments = _parser().parse_args(argv)
    # Read by grpc at import.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    from raftstore.disk import DiskError
    from raftstore.operations.client import ClientError
    from raftstore.operations.copying import CopyRefused

    try:
        arguments.run(arguments)
    except (OperationError, FlagError, ClientError, CopyRefused, DiskError) as error:
        return _complain(str(error))
    except OSError as error:
        return _complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    return 0


# -- the commands


def _save(arguments: argparse.Namespace) -> None:
    from raftstore.operations.saving import save

    client = _client(arguments.endpoints, arguments, "")

    async def run() -> None:
        async with client:
            saved = await save(client, arguments.file)
        _tell(f"Snapshot saved at {saved.path}")
        _tell(f"{saved.size_bytes} bytes, checksum compared; server version {saved.version}")

    _run(run())


def _status(arguments: argparse.Namespace) -> None:
    from raftstore.disk import SystemFiles
    from raftstore.disk.backup import backup_status

    found = backup_status(SystemFiles(), arguments.file)
    # etcd's names, so that what reads its answer reads ours.
    told = {
        "hash": found.hash,
        "revision": found.revision,
        "totalKey": found.total_keys,
        "totalSize": found.size_bytes,
        "version": found.version,
    }
    if arguments.write_out == "json":
        _tell(json.dumps(told, separators=(",", ":")))
        return
    told["hash"] = f"{found.hash:08x}"
    for line in _table(["HASH", "REVISION", "TOTAL KEYS", "TOTAL SIZE", "VERSION"], told.values()):
        _tell(line)


def _restore(arguments: argparse.Namespace) -> None:
    from raftstore.daemon.flags import Flags, check_founding
    from raftstore.daemon.joining import found, founders
    from raftstore.disk import SystemFiles
    from raftstore.disk.restore import restore_backup

    name, token = arguments.name, arguments.initial_cluster_token
    urls = arguments.initial_advertise_peer_urls
    cluster = arguments.initial_cluster or {name: urls}
    data_dir = arguments.data_dir or Path(f"{name}.etcd")
    check_founding(Flags(name=name, initial_advertise_peer_urls=urls, initial_cluster=cluster))
    if bool(arguments.bump_revision) != arguments.mark_compacted:
        # As in etcd 3.6: whoever bumps is to know what that means for watches.
        raise OperationError("--bump-revision and --mark-compacted: both are given, or none")
    try:
        made = restore_backup(
            SystemFiles(),
            arguments.file,
            data_dir,
            found(name, cluster, token).identity,
            founders(cluster, token),
            arguments.bump_revision,
        )
    except ValueError as error:
        raise OperationError(f"--bump-revision: {error}") from error
    _tell(f"restored into {data_dir}: member {made.member_id:x} ({name})")
    _tell(f"of the new cluster {made.cluster_id:x}, which begins with {len(cluster)} members")


def _recover(arguments: argparse.Namespace) -> None:
    from raftstore.disk import Identity, SystemFiles
    from raftstore.disk.rescue import force_new_cluster, inspect

    found = inspect(SystemFiles(), arguments.data_dir)
    me = found.identity.member_id
    if [record.member_id for record in found.members] == [me]:
        raise OperationError(
            f"{arguments.data_dir}: member {me:x} is the only one of its cluster and needs no "
            "other for a quorum: start it"
        )
    for line in describe_recovery(arguments.data_dir, found):
        _tell(line)
    if not arguments.yes:
        _tell("\nNothing was changed. To do it, run this again with --yes.")
        return
    # Members of the old cluster that come back must find that this is not it any more.
    identity = Identity(random.SystemRandom().getrandbits(63) | 1, me)
    force_new_cluster(SystemFiles(), arguments.data_dir, identity)
    _tell(f"\nDone: member {me:x} is the only one of the new cluster {identity.cluster_id:x}.")
    _tell("Start it with the flags it had, then add members with: etcdctl member add")


def describe_recovery(data_dir: Path, found: "Inspection") -> list[str]:
    """What would be done, what would be given up, and what may be lost."""
    me = found.identity.member_id
    names = {record.member_id: record for record in found.members}
    own = names[me].name if me in names else "no longer a member"
    lines = [
        f"{data_dir} is member {me:x} ({own}) of cluster {found.identity.cluster_id:x}.",
        f"It holds {found.key_count} keys at revision {found.revision}. Its last entry is "
        f"{found.last_index} of term {found.last_term};",
        f"it knew entry {found.commit} to be committed (revision {found.committed_revision}).",
        "",
        "What would be done: with all that it holds it becomes the only member of a new cluster.",
        "These are given up, and what they hold can never be joined to it again:",
    ]
    for record in found.members:
        if record.member_id != me:
            urls = ",".join(record.peer_urls)
            lines.append(f"  {record.member_id:x} ({record.name or 'never started'}) {urls}")
    return [
        *lines,
        "What may be lost: every write that the others have acknowledged after that last entry.",
        "Least is lost by the member whose last entry has the highest term, and of those the",
        "highest number: run this on each directory that is left before you choose one. Make sure",
        "that the members given up are stopped and stay so: they may still have a quorum.",
    ]


def _copy(arguments: argparse.Namespace) -> None:
    from raftstore.operations.copying import copy

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
    _add_recover(
        commands.add_parser("recover", help="go on with one member when the quorum is lost")
    )
    _add_copy(commands.add_parser("copy", help="copy keys to another store, from or to etcd"))
    return parser


def _add_snapshot(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    save = commands.add_parser("save", help="take a backup of a running member")
    save.add_argument("file", type=Path, metavar="FILE")
    save.add_argument("--endpoints", default=DEFAULT_ENDPOINT, help="the one to take it from")
    _add_credentials(save, "")
    save.set_defaults(run=_save)
    status = commands.add_parser("status", help="check a backup and say what it holds")
    status.add_argument("file", type=Path, metavar="FILE")
    status.add_argument("-w", "--write-out", choices=("table", "json"), default="table")
    status.set_defaults(run=_status)
    _add_restore(commands.add_parser("restore", help="make a member's directory from a backup"))


def _add_restore(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("file", type=Path, metavar="FILE")
    add("--data-dir", type=Path, help="to be made; NAME.etcd where not given")
    add("--name", default=DEFAULT_NAME, help="of this member")
    add("--initial-cluster", type=_typed(parse_initial_cluster), help="name=URL,... of all")
    add(
        "--initial-advertise-peer-urls",
        type=_typed(parse_urls),
        default=DEFAULT_PEER_URL,
        help="where the others find this member",
    )
    add("--initial-cluster-token", default=DEFAULT_TOKEN, help="the same for all members")
    add(
        "--bump-revision",
        type=int,
        default=0,
        metavar="N",
        help="go on N revisions later, for clients that have seen what the backup has not",
    )
    add("--mark-compacted", action="store_true", help="what was before is gone: with a bump")
    parser.set_defaults(run=_restore)


def _add_recover(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-dir", type=Path, required=True, help="of the stopped member")
    parser.add_argument("--yes", action="store_true", help="do it; without, only say what")
    parser.set_defaults(run=_recover)


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


def _typed(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """With the complaint that `parse` has, where argparse would only name the value."""

    def typed(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return typed


def _client(url: str, arguments: argparse.Namespace, prefix: str) -> "Client":
    from raftstore.operations.client import Client, Credentials

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


def _table(heads: Sequence[str], values: Iterable[object]) -> list[str]:
    """One row, as etcdctl draws it."""
    cells = [str(value) for value in values]
    widths = [max(map(len, pair)) for pair in zip(heads, cells, strict=True)]
    edge = "+" + "+".join("-" * (width + 2) for width in widths) + "+"

    def row(words: Iterable[str]) -> str:
        return "|" + "|".join(f" {word:>{w}} " for word, w in zip(words, widths, strict=True)) + "|"

    return [edge, row(heads), edge, row(cells), edge]


def _tell(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def _complain(line: str) -> int:
    print(f"pinnace store: {line}", file=sys.stderr)  # noqa: T201
    return 1
