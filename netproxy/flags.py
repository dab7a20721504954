"""The flags of `pinnace netproxy`, by kube-proxy's names where it has them."""

import argparse
import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path

# Modes that kube-proxy has too and this one will; asking for one says so.
KNOWN_MODES = ("iptables", "nftables", "ipvs")
SERVED_MODES = ("iptables",)
DATA_DIR = Path("/var/lib/pinnace")


@dataclass(frozen=True)
class Flags:
    server: str
    ca_file: Path
    cert_file: Path
    key_file: Path
    hostname_override: str
    cluster_cidr: str
    proxy_mode: str
    node_port_addresses: tuple[str, ...]
    localhost_node_ports: bool
    min_sync_period_s: float
    sync_period_s: float
    metrics_bind_address: str
    healthz_bind_address: str
    cleanup: bool
    verbosity: int


def parse(argv: list[str]) -> Flags:
    """Exits with a message about the flag, as argparse does."""
    parser = argparse.ArgumentParser(prog="pinnace netproxy", description="The Service proxy.")
    add = parser.add_argument
    pki = DATA_DIR / "pki"
    add("--server", default="127.0.0.1:6444", help="gRPC address of the control plane")
    add("--ca-file", type=Path, default=pki / "ca.crt", help="who signs the server")
    add("--cert-file", type=Path, default=pki / "proxy.crt", help="our client certificate")
    add("--key-file", type=Path, default=pki / "proxy.key", help="its key")
    add("--hostname-override", default="", help="this node's name, if not the host's")
    add("--cluster-cidr", type=_ipv4_network, default="10.244.0.0/16", help="pod addresses")
    add("--proxy-mode", type=_mode, default="iptables", help="iptables")
    add(
        "--nodeport-addresses",
        type=_networks,
        default=(),
        help="CIDRs of this node's addresses on which node ports answer; default: all",
    )
    add("--iptables-localhost-nodeports", type=_boolean, default=True, help="also on 127.0.0.1")
    add("--iptables-min-sync-period", type=_duration_s, default=0.1, help="e.g. 100ms")
    add("--iptables-sync-period", type=_duration_s, default=30.0, help="e.g. 30s")
    add("--metrics-bind-address", default="127.0.0.1:10249", help="empty: none")
    add("--healthz-bind-address", default="127.0.0.1:10256", help="empty: none")
    add("--cleanup", action="store_true", help="remove all our rules and exit")
    add("-v", type=int, default=2, help="verbosity; 4 for debug")
    arguments = parser.parse_args(argv)
    return Flags(
        server=arguments.server,
        ca_file=arguments.ca_file,
        cert_file=arguments.cert_file,
        key_file=arguments.key_file,
        hostname_override=arguments.hostname_override or socket.gethostname().lower(),
        cluster_cidr=arguments.cluster_cidr,
        proxy_mode=arguments.proxy_mode,
        node_port_addresses=arguments.nodeport_addresses,
        localhost_node_ports=arguments.iptables_localhost_nodeports,
        min_sync_period_s=arguments.iptables_min_sync_period,
        sync_period_s=arguments.iptables_sync_period,
        metrics_bind_address=arguments.metrics_bind_address,
        healthz_bind_address=arguments.healthz_bind_address,
        cleanup=arguments.cleanup,
        verbosity=arguments.v,
    )


def _mode(text: str) -> str:
    if text in SERVED_MODES:
        return text
    known = "is not there yet" if text in KNOWN_MODES else "is not a proxy mode"
    raise argparse.ArgumentTypeError(f"{text!r} {known}; use {' or '.join(SERVED_MODES)}")


def _ipv4_network(text: str) -> str:
    try:
        return str(ipaddress.IPv4Network(text, strict=False))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error} (IPv4 only)") from None


def _networks(text: str) -> tuple[str, ...]:
    return tuple(_ipv4_network(part.strip()) for part in text.split(",") if part.strip())


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is not true or false")
    return text.lower() == "true"


_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def _duration_s(text: str) -> float:
    """A Go duration of one unit, above zero."""
    number = text.rstrip("mhs")
    try:
        duration_s = float(number) * _UNITS_S[text[len(number) :]]
    except (ValueError, KeyError):
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration like 30s") from None
    if duration_s <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not above zero")
    return duration_s
