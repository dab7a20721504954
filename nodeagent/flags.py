"""The agent's flags, by the kubelet's names where it has them."""

import argparse
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Flags:
    """Paths below the data directory are filled in where they were not given."""

    data_dir: Path
    server: str
    ca_file: Path
    cert_file: Path
    key_file: Path
    node_name: str
    node_ips: tuple[str, ...]
    runtime_endpoint: str
    root_dir: Path
    pod_logs_dir: Path
    cgroup_root: str
    cni_bin_dir: Path
    cni_conf_dir: Path
    cni_socket: Path
    cluster_cidr: str
    cluster_dns: tuple[str, ...]
    cluster_domain: str
    max_pods: int
    verbosity: int


def parse(argv: Sequence[str]) -> Flags:
    """Exits with status 2 and one line for a flag that makes no sense."""
    given = _parser().parse_args(argv)
    data_dir: Path = given.data_dir
    return Flags(
        data_dir=data_dir,
        server=given.server,
        ca_file=given.ca_file or data_dir / "pki" / "ca.crt",
        cert_file=given.cert_file or data_dir / "pki" / "node.crt",
        key_file=given.key_file or data_dir / "pki" / "node.key",
        node_name=(given.hostname_override or socket.gethostname()).lower(),
        node_ips=given.node_ip,
        runtime_endpoint=given.container_runtime_endpoint,
        root_dir=given.root_dir or data_dir / "node",
        pod_logs_dir=given.pod_logs_dir or data_dir / "log" / "pods",
        cgroup_root=given.cgroup_root,
        cni_bin_dir=given.cni_bin_dir or data_dir / "cni" / "bin",
        cni_conf_dir=given.cni_conf_dir or data_dir / "cni" / "conf.d",
        cni_socket=given.cni_socket,
        cluster_cidr=given.cluster_cidr,
        cluster_dns=given.cluster_dns,
        cluster_domain=given.cluster_domain,
        max_pods=given.max_pods,
        verbosity=given.verbosity,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pinnace nodeagent", description="Run the pods of this node on containerd."
    )
    add = parser.add_argument
    add("--data-dir", type=Path, default=Path("/var/lib/pinnace"), help="where pki, node, cni lie")
    add("--server", default="127.0.0.1:6444", help="HOST:PORT of the control plane's gRPC door")
    add("--ca-file", type=Path, help="CA of the server's certificate (DATA/pki/ca.crt)")
    add("--cert-file", type=Path, help="client certificate (DATA/pki/node.crt)")
    add("--key-file", type=Path, help="its private key (DATA/pki/node.key)")
    add("--hostname-override", default="", help="name of the node instead of the hostname")
    add(
        "--node-ip", type=_addresses, default=(), help="address of the node, or two of two families"
    )
    add(
        "--container-runtime-endpoint",
        default="unix:///run/pinnace/containerd/containerd.sock",
        help="containerd's socket",
    )
    add("--root-dir", type=Path, help="pods' volumes (DATA/node)")
    add("--pod-logs-dir", type=Path, help="pods' logs (DATA/log/pods)")
    add("--cgroup-root", type=_cgroup, default="/pinnace", help="cgroup above all pods")
    add("--cni-bin-dir", type=Path, help="where the CNI plugin is written (DATA/cni/bin)")
    add("--cni-conf-dir", type=Path, help="and its configuration (DATA/cni/conf.d)")
    add("--cni-socket", type=Path, default=Path("/run/pinnace/cni.sock"), help="plugin to agent")
    add("--cluster-cidr", default="10.244.0.0/16", help="addresses of all pods")
    add("--cluster-dns", type=_addresses, default=(), help="addresses of the cluster's DNS")
    add("--cluster-domain", default="cluster.local", help="the cluster's DNS domain")
    add("--max-pods", type=int, default=110, help="pods that this node takes")
    add("-v", type=int, default=2, dest="verbosity", help="4 and above logs debug lines")
    return parser


def _addresses(text: str) -> tuple[str, ...]:
    return tuple(str(ipaddress.ip_address(part.strip())) for part in text.split(",") if part)


def _cgroup(text: str) -> str:
    if not text.startswith("/") or text == "/" or ".." in Path(text).parts:
        raise argparse.ArgumentTypeError(f"{text}: an absolute path below the root cgroup")
    return text
