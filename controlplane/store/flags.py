"""Which store the control plane keeps its objects in: flags by the names of kube-apiserver for one
on other machines, by those of etcd for a member of a cluster that control planes make up."""

import argparse
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from controlplane.store.endpoints import Servers, parse_servers
from raftstore.daemon import flags as raftstore_flags
from raftstore.daemon.flagtable import FlagError, duration_s

LEASE_DURATION_DEFAULT_S: Final = 15
LEASE_DURATION_MIN_S: Final = 2
MEMBER_FLAGS: Final = (
    "name",
    "listen-peer-urls",
    "initial-advertise-peer-urls",
    "initial-cluster",
    "initial-cluster-state",
    "initial-cluster-token",
    "peer-cert-file",
    "peer-key-file",
    "peer-trusted-ca-file",
)
"""What `pinnace raftstore` calls so, for the store in this process."""


@dataclass(frozen=True)
class StoreFlags:
    """`servers`: None where the store is embedded; then `member` says which one of several it is,
    None where it is the only one."""

    servers: Servers | None = None
    member: raftstore_flags.Flags | None = None
    lease_duration_s: int = LEASE_DURATION_DEFAULT_S


def add_flags(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--etcd-servers",
        type=_servers,
        default=(),
        help="List of etcd servers to connect with (scheme://ip:port), comma separated. "
        "Without it the store is in this process, under --data-dir.",
    )
    add(
        "--etcd-cafile",
        default="",
        help="SSL Certificate Authority file used to secure etcd communication.",
    )
    add(
        "--etcd-certfile",
        default="",
        help="SSL certification file used to secure etcd communication.",
    )
    add("--etcd-keyfile", default="", help="SSL key file used to secure etcd communication.")
    add(
        "--leader-elect-lease-duration",
        type=_lease_duration_s,
        default=LEASE_DURATION_DEFAULT_S,
        help="how long the controllers of a control plane that is gone keep those of another from "
        "running, with --etcd-servers: 15s",
    )
    members = parser.add_argument_group(
        "one of several control planes, each with a member of the store"
    )
    for flag in raftstore_flags.TABLE.flags:
        if flag.name in MEMBER_FLAGS:
            members.add_argument(f"--{flag.name}", help=flag.help)


def read_flags(
    parser: argparse.ArgumentParser, given: argparse.Namespace, directory: Path
) -> StoreFlags:
    """`directory` is where an embedded store lies. Exits, by way of the parser, where flags do not
    go together."""
    files = given.etcd_cafile, given.etcd_certfile, given.etcd_keyfile
    lease_duration_s = given.leader_elect_lease_duration
    texts = {name: getattr(given, name.replace("-", "_")) for name in MEMBER_FLAGS}
    words = [f"--{name}={text}" for name, text in texts.items() if text is not None]
    if not given.etcd_servers:
        if any(files):
            parser.error("--etcd-cafile, --etcd-certfile and --etcd-keyfile need --etcd-servers")
        member = _member(parser, words, directory) if words else None
        return StoreFlags(None, member, lease_duration_s)
    if words:
        parser.error(f"{words[0]} is for a store in this process, not with --etcd-servers")
    if bool(given.etcd_certfile) != bool(given.etcd_keyfile):
        parser.error("--etcd-certfile and --etcd-keyfile go together")
    return StoreFlags(Servers(given.etcd_servers, *files), None, lease_duration_s)


def _member(
    parser: argparse.ArgumentParser, words: list[str], directory: Path
) -> raftstore_flags.Flags:
    """It has peers, and no clients but this process."""
    try:
        member = raftstore_flags.parse([*words, f"--data-dir={directory}"], {})
    except FlagError as error:
        parser.error(str(error))
    return replace(member, listen_client_urls=(), advertise_client_urls=())


def _servers(text: str) -> tuple[str, ...]:
    try:
        return parse_servers(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _lease_duration_s(text: str) -> int:
    """A Go duration, or seconds as a bare number."""
    try:
        seconds = int(text) if re.fullmatch(r"\d+", text) else duration_s(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from error
    if seconds < LEASE_DURATION_MIN_S or seconds != int(seconds):
        raise argparse.ArgumentTypeError(f"{text}: whole seconds, and at least two")
    return int(seconds)
