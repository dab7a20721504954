"""A pod's sandbox as the CRI is asked for it. Source: the kubelet's `generatePodSandboxConfig`."""

from pathlib import Path

from kubeapi.types import core_v1
from nodeagent.pods.dns import ResolvConf
from nodeagent.pods.hosts_file import pod_fqdn, pod_hostname
from nodeagent.pods.identity import sandbox_annotations, sandbox_labels
from nodeagent.pods.qos import CPU_PERIOD_US, pod_limits
from nodeagent.pods.security import sandbox_security
from nodeagent.pods.spec import host_network, metadata, spec_of
from pinnace_wire import cri_pb2 as pb


def pod_log_directory(logs_dir: Path, pod: core_v1.Pod) -> Path:
    """`namespace_name_uid`, the layout that log collectors know."""
    meta = metadata(pod)
    return logs_dir / f"{meta.namespace}_{meta.name}_{meta.uid}"


def pod_log_directories(logs_dir: Path) -> dict[str, Path]:
    """All there are, by the uid of the pod."""
    if not logs_dir.is_dir():
        return {}
    found = [entry for entry in logs_dir.iterdir() if entry.name.count("_") == 2]
    return {entry.name.rpartition("_")[2]: entry for entry in found}


def sandbox_config(
    pod: core_v1.Pod,
    attempt: int,
    dns: ResolvConf,
    logs_dir: Path,
    cgroup_parent: str,
    cluster_domain: str,
) -> pb.PodSandboxConfig:
    meta = metadata(pod)
    limits = pod_limits(spec_of(pod))
    resources = pb.LinuxContainerResources(
        cpu_period=CPU_PERIOD_US,
        cpu_quota=limits.cpu_quota_us or 0,
        cpu_shares=limits.cpu_shares,
        memory_limit_in_bytes=limits.memory_bytes or 0,
    )
    linux = pb.LinuxPodSandboxConfig(
        cgroup_parent=cgroup_parent,
        security_context=sandbox_security(pod),
        sysctls=_sysctls(pod),
        resources=resources,
    )
    return pb.PodSandboxConfig(
        metadata=pb.PodSandboxMetadata(
            name=meta.name or "",
            uid=meta.uid or "",
            namespace=meta.namespace or "",
            attempt=attempt,
        ),
        # On the host's network the hostname is the host's too.
        hostname="" if host_network(pod) else _hostname(pod, cluster_domain),
        log_directory=str(pod_log_directory(logs_dir, pod)),
        dns_config=pb.DNSConfig(
            servers=dns.nameservers, searches=dns.searches, options=dns.options
        ),
        labels=sandbox_labels(pod),
        annotations=sandbox_annotations(pod),
        linux=linux,
    )


def _hostname(pod: core_v1.Pod, domain: str) -> str:
    if spec_of(pod).setHostnameAsFQDN:
        return pod_fqdn(pod, domain) or pod_hostname(pod)
    return pod_hostname(pod)


def _sysctls(pod: core_v1.Pod) -> dict[str, str]:
    context = spec_of(pod).securityContext
    wanted = (context.sysctls if context else None) or ()
    return {(s.name or "").replace("/", "."): s.value or "" for s in wanted}
