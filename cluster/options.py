"""What a cluster was started with: kept in the data directory, so that the next `up` without
flags, `status` and `demo` mean the same cluster."""

import argparse
import fcntl
import json
import re
import socket
import struct
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from cluster.errors import CommandError
from cluster.paths import DATA_DIR, Layout

_SIOCGIFADDR = 0x8915
# RFC 1123 subdomain, what Kubernetes takes as a node's name.
_NODE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


@dataclass(frozen=True)
class Options:
    """The flags of `up`, by Kubernetes' names; empty: found out from the machine."""

    secure_port: int = 6443
    grpc_port: int = 6444
    node_ip: str = ""
    hostname_override: str = ""
    service_cluster_ip_range: str = "10.96.0.0/16"
    cluster_cidr: str = "10.244.0.0/16"
    cgroup_root: str = "/pinnace"


HELP = {
    "secure_port": "HTTPS port of the API server",
    "grpc_port": "gRPC port of the control plane",
    "node_ip": "this machine's address (default: the one its default route leaves from)",
    "hostname_override": "this node's name (default: the host's name)",
    "service_cluster_ip_range": "addresses of Services",
    "cluster_cidr": "addresses of pods",
    "cgroup_root": "the cgroup that holds all pods",
}


def data_dir_parser(command: str, description: str) -> argparse.ArgumentParser:
    """A parser with the flag that every command has."""
    parser = argparse.ArgumentParser(f"pinnace {command}", description=description)
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=DATA_DIR,
        help="where the cluster's state lies (default: %(default)s)",
    )
    return parser


def add_flags(parser: argparse.ArgumentParser) -> None:
    defaults = Options()
    for field in fields(Options):
        default = getattr(defaults, field.name)
        text = HELP[field.name] + (f" (default: {default})" if default else "")
        parser.add_argument(
            f"--{field.name.replace('_', '-')}", type=type(default), default=None, help=text
        )


def layout_of(arguments: argparse.Namespace) -> Layout:
    return Layout(Path(arguments.data_dir).absolute())


def load(layout: Layout) -> Options:
    """The options of the last `up`."""
    try:
        saved = json.loads(_path(layout).read_text())
    except FileNotFoundError:
        return Options()
    except (PermissionError, ValueError) as error:
        raise CommandError(f"cannot read {_path(layout)}: {error}") from error
    known = {field.name for field in fields(Options)}
    return Options(**{name: value for name, value in saved.items() if name in known})


def save(layout: Layout, options: Options) -> None:
    _path(layout).write_text(json.dumps(asdict(options), indent=1) + "\n")


def merged(saved: Options, arguments: argparse.Namespace) -> Options:
    """The saved options with what the flags say now, and what the machine tells for the rest."""
    given = {
        field.name: getattr(arguments, field.name)
        for field in fields(Options)
        if getattr(arguments, field.name) is not None
    }
    return replace(saved, **given)


def node_name(options: Options) -> str:
    name = options.hostname_override or socket.gethostname().lower()
    if not _NODE_NAME.fullmatch(name) or len(name) > 253:
        raise CommandError(
            f"{name!r} cannot be a node's name (lower case letters, digits, '-' and '.'); "
            "choose one with --hostname-override"
        )
    return name


def node_ip(options: Options) -> str:
    """The flag, or the address that packets to the world would leave from, or any but loopback."""
    if options.node_ip:
        return options.node_ip
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Connecting a datagram socket only looks up the route; nothing is sent.
            probe.connect(("192.0.2.1", 9))
            address = str(probe.getsockname()[0])
        except OSError:
            address = _any_address(probe)
    if not address or address.startswith("127."):
        raise CommandError("no network interface has an IPv4 address; give one with --node-ip")
    return address


def server(options: Options) -> str:
    """The API server's URL in the kubeconfig: the one that the control plane advertises."""
    return f"https://{node_ip(options)}:{options.secure_port}"


def _any_address(probe: socket.socket) -> str:
    for _, name in socket.if_nameindex():
        request = struct.pack("256s", name.encode()[:15])
        try:
            answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)
        except OSError:
            continue
        address = socket.inet_ntoa(answer[20:24])
        if not address.startswith("127."):
            return address
    return ""


def _path(layout: Layout) -> Path:
    return layout.data_dir / "up.json"
