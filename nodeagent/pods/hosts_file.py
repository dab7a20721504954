"""/etc/hosts of a pod. Source: the kubelet's `ensureHostsFile` and KEP-2371's successors."""

from pathlib import Path

from kubeapi.types import core_v1
from nodeagent.pods.spec import host_network, metadata, spec_of

HEADER = "# Kubernetes-managed hosts file.\n"
HOST_HEADER = "# Kubernetes-managed hosts file (host network).\n"
_STANDARD = """127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""
MAX_HOSTNAME_CHARS = 63


def pod_hostname(pod: core_v1.Pod) -> str:
    """The pod's hostname: its own or its name, cut to what the kernel takes."""
    spec = spec_of(pod)
    wanted = spec.hostnameOverride or spec.hostname or metadata(pod).name or ""
    return wanted[:MAX_HOSTNAME_CHARS].rstrip("-.") if len(wanted) > MAX_HOSTNAME_CHARS else wanted


def pod_fqdn(pod: core_v1.Pod, domain: str) -> str:
    """`hostname.subdomain.namespace.svc.domain`; "" without a subdomain."""
    spec = spec_of(pod)
    if not spec.subdomain or spec.hostnameOverride:
        return ""
    return f"{pod_hostname(pod)}.{spec.subdomain}.{metadata(pod).namespace}.svc.{domain}"


def hosts_file(
    pod: core_v1.Pod, pod_ips: tuple[str, ...], domain: str, host_file: Path = Path("/etc/hosts")
) -> str:
    """The text of the file that is mounted at /etc/hosts."""
    if host_network(pod):
        try:
            base = HOST_HEADER + host_file.read_text(errors="replace")
        except OSError:
            base = HOST_HEADER + _STANDARD
    else:
        names = "\t".join(name for name in (pod_fqdn(pod, domain), pod_hostname(pod)) if name)
        base = HEADER + _STANDARD + "".join(f"{ip}\t{names}\n" for ip in pod_ips)
    return base + _aliases(spec_of(pod).hostAliases)


def _aliases(aliases: list[core_v1.HostAlias] | None) -> str:
    if not aliases:
        return ""
    lines = [f"{alias.ip}\t{chr(9).join(alias.hostnames or ())}\n" for alias in aliases]
    return "\n# Entries added by HostAliases.\n" + "".join(lines)
