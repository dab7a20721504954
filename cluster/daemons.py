"""The daemons of a single-node cluster, and the command line of each."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from cluster import containerd, options
from cluster.control import DaemonSpec
from cluster.options import Options
from cluster.packages import PATH
from cluster.paths import Layout

# What a daemon sees of the caller's environment: how to reach registries, and nothing else.
KEPT = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_DIR", "SSL_CERT_FILE", "TZ")


def environment(of: Mapping[str, str]) -> dict[str, str]:
    """The environment of every daemon."""
    kept = {name: value for name, value in of.items() if name.upper() in KEPT}
    return kept | {
        "PATH": PATH,
        "HOME": "/root",
        "LANG": "C.UTF-8",
        # Without it grpc warns, or hangs, when a process is started beside its threads.
        "GRPC_ENABLE_FORK_SUPPORT": "0",
        # glibc gives each thread an arena of its own: tens of MB that stay with the process.
        "MALLOC_ARENA_MAX": "2",
    }


def specs(layout: Layout, chosen: Options) -> list[DaemonSpec]:
    """In the order of their start; they end in the reverse one."""
    return [
        DaemonSpec(
            "containerd",
            (containerd.find_binary("containerd"), "--config", str(layout.containerd_config)),
        ),
        _ours("controlplane", control_plane_flags(layout, chosen)),
        _ours("nodeagent", node_agent_flags(layout, chosen)),
        _ours("netproxy", net_proxy_flags(layout, chosen)),
    ]


def control_plane_flags(layout: Layout, chosen: Options) -> dict[str, str]:
    return {
        "data-dir": str(layout.data_dir),
        "secure-port": str(chosen.secure_port),
        "grpc-port": str(chosen.grpc_port),
        "advertise-address": options.node_ip(chosen),
        "service-cluster-ip-range": chosen.service_cluster_ip_range,
        "cluster-cidr": chosen.cluster_cidr,
    }


def node_agent_flags(layout: Layout, chosen: Options) -> dict[str, str]:
    return {
        "data-dir": str(layout.data_dir),
        "server": f"127.0.0.1:{chosen.grpc_port}",
        "hostname-override": options.node_name(chosen),
        "node-ip": options.node_ip(chosen),
        "container-runtime-endpoint": f"unix://{layout.containerd_socket}",
        "cgroup-root": chosen.cgroup_root,
        "cluster-cidr": chosen.cluster_cidr,
    }


def net_proxy_flags(layout: Layout, chosen: Options) -> dict[str, str]:
    return {
        "server": f"127.0.0.1:{chosen.grpc_port}",
        "ca-file": str(layout.pki / "ca.crt"),
        "cert-file": str(layout.pki / "proxy.crt"),
        "key-file": str(layout.pki / "proxy.key"),
        "hostname-override": options.node_name(chosen),
        "cluster-cidr": chosen.cluster_cidr,
    }


def program(name: str) -> tuple[str, ...]:
    """How to run a command of Pinnace: this interpreter and the console script beside it, so that
    `ps` shows what it is and the command line stays the same from one `up` to the next."""
    script = Path(sys.executable).with_name("pinnace")
    if os.access(script, os.X_OK):
        return sys.executable, str(script), name
    return sys.executable, "-P", "-m", "cluster.main", name


def _ours(name: str, flags: Mapping[str, str]) -> DaemonSpec:
    words = [f"--{flag}={value}" for flag, value in flags.items()]
    return DaemonSpec(name, (*program(name), *words))
