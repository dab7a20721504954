"""Which store the control plane keeps its objects in: flags by the names and words of
kube-apiserver, and of etcd for a member of its own."""

import argparse
import re
from dataclasses import dataclass
from typing import Final

from controlplane.store.endpoints import Servers, parse_servers
from raftstore.flagtable import duration_s

LEASE_DURATION_DEFAULT_S: Final = 15
LEASE_DURATION_MIN_S: Final = 2


@dataclass(frozen=True)
class StoreFlags:
    """`servers`: None where the store is embedded."""

    servers: Servers | None = None
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


def read_flags(parser: argparse.ArgumentParser, given: argparse.Namespace) -> StoreFlags:
    """Exits, by way of the parser, where they do not go together."""
    files = given.etcd_cafile, given.etcd_certfile, given.etcd_keyfile
    if not given.etcd_servers:
        if any(files):
            parser.error("--etcd-cafile, --etcd-certfile and --etcd-keyfile need --etcd-servers")
        return StoreFlags(None, given.leader_elect_lease_duration)
    if bool(given.etcd_certfile) != bool(given.etcd_keyfile):
        parser.error("--etcd-certfile and --etcd-keyfile go together")
    return StoreFlags(Servers(given.etcd_servers, *files), given.leader_elect_lease_duration)


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
