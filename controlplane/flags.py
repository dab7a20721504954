"""The control plane's flags, by the names of kube-apiserver and kube-controller-manager."""

import argparse
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from controlplane.store import flags as store_flags
from controlplane.store.flags import StoreFlags


@dataclass(frozen=True)
class Flags:
    data_dir: Path
    bind_address: str
    secure_port: int
    grpc_port: int
    advertise_address: str
    service_cidr: str
    node_ports: range
    cluster_cidr: str
    event_ttl_s: int
    verbosity: int
    store: StoreFlags

    @property
    def pki_dir(self) -> Path:
        return self.data_dir / "pki"

    @property
    def service_ip(self) -> str:
        """The first address of the range: the `kubernetes` Service."""
        return str(ipaddress.IPv4Network(self.service_cidr)[1])


def parse(argv: Sequence[str]) -> Flags:
    """Exits with status 2 and one line for a flag that makes no sense."""
    parser = argparse.ArgumentParser(
        prog="pinnace controlplane",
        description="Serve the Kubernetes API, run the controllers and the scheduler.",
    )
    add = parser.add_argument
    add("--data-dir", type=Path, default=Path("/var/lib/pinnace"), help="where store and pki lie")
    add("--bind-address", default="0.0.0.0", help="address to listen on")  # noqa: S104
    add("--secure-port", type=_port, default=6443, help="port of the HTTPS door")
    add("--grpc-port", type=_port, default=6444, help="port of the gRPC door")
    add(
        "--advertise-address",
        type=_address,
        default="",
        help="address at which nodes and pods reach the API",
    )
    add("--service-cluster-ip-range", type=_cidr, default="10.96.0.0/16", help="of ClusterIPs")
    add("--service-node-port-range", type=_ports, default="30000-32767", help="of NodePorts")
    add(
        "--cluster-cidr",
        type=_cluster_cidr,
        default="10.244.0.0/16",
        help="pod addresses, /24 a node",
    )
    add("--event-ttl", type=_seconds, default=3600, help="seconds for which events are kept")
    store_flags.add_flags(parser)
    add("-v", type=int, default=2, dest="verbosity", help="4 and above logs debug lines")
    given = parser.parse_args(argv)
    return Flags(
        data_dir=given.data_dir,
        bind_address=given.bind_address,
        secure_port=given.secure_port,
        grpc_port=given.grpc_port,
        advertise_address=given.advertise_address or default_address(),
        service_cidr=given.service_cluster_ip_range,
        node_ports=given.service_node_port_range,
        cluster_cidr=given.cluster_cidr,
        event_ttl_s=given.event_ttl,
        verbosity=given.verbosity,
        store=store_flags.read_flags(parser, given, given.data_dir / "store"),
    )


def default_address() -> str:
    """The address of the interface with the default route, else loopback. Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1 (RFC 5737)
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def _cidr(text: str) -> str:
    network = ipaddress.ip_network(text)
    if network.version != 4 or network.prefixlen > 28:
        raise argparse.ArgumentTypeError(f"{text}: an IPv4 range of at least 16 addresses")
    return str(network)


def _address(text: str) -> str:
    return str(ipaddress.ip_address(text)) if text else ""


def _port(text: str) -> int:
    if not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text}: not a port from 1 to 65535")
    return int(text)


def _seconds(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: at least one second")
    return int(text)


def _cluster_cidr(text: str) -> str:
    if ipaddress.ip_network(text).prefixlen > 24:
        raise argparse.ArgumentTypeError(f"{text}: has no room for the /24 of a node")
    return _cidr(text)


def _ports(text: str) -> range:
    low, _, high = text.partition("-")
    ports = range(int(low), int(high) + 1)
    if not ports or ports[0] < 1 or ports[-1] > 65535:
        raise argparse.ArgumentTypeError(f"{text}: not a range of ports")
    return ports
