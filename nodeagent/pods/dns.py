"""resolv.conf of a pod, by dnsPolicy and dnsConfig. Source: the kubelet's `dns.Configurer`."""

from dataclasses import dataclass
from pathlib import Path

from kubeapi.types import core_v1
from nodeagent.pods.spec import host_network, metadata, spec_of

MAX_NAMESERVERS = 3
MAX_SEARCHES = 32
MAX_SEARCH_CHARS = 2048


@dataclass(frozen=True)
class ResolvConf:
    """The three lists of a resolv.conf."""

    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClusterDns:
    """The cluster's DNS, where it has one."""

    servers: tuple[str, ...] = ()
    domain: str = "cluster.local"


def parse_resolv_conf(text: str) -> ResolvConf:
    nameservers: list[str] = []
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    for line in text.splitlines():
        words = line.split("#")[0].split(";")[0].split()
        match words:
            case ["nameserver", address, *_]:
                nameservers.append(address)
            case ["search", *rest] | ["domain", *rest]:
                searches = tuple(s for s in rest if s != ".")
            case ["options", *rest]:
                options = tuple(rest)
    return ResolvConf(tuple(nameservers), searches, options)


def read_host_resolv_conf(path: Path = Path("/etc/resolv.conf")) -> ResolvConf:
    try:
        return parse_resolv_conf(path.read_text(errors="replace"))
    except OSError:
        return ResolvConf()


def pod_dns(
    pod: core_v1.Pod, cluster: ClusterDns, host: ResolvConf
) -> tuple[ResolvConf, str | None]:
    """What the pod's resolv.conf holds, and the message of a MissingClusterDNS event if due."""
    policy = spec_of(pod).dnsPolicy or "ClusterFirst"
    wants_cluster = policy == "ClusterFirstWithHostNet" or (
        policy == "ClusterFirst" and not host_network(pod)
    )
    missing = None
    if policy == "None":
        base = ResolvConf()
    elif wants_cluster and cluster.servers:
        namespace = metadata(pod).namespace
        domains = (f"{namespace}.svc.{cluster.domain}", f"svc.{cluster.domain}", cluster.domain)
        base = ResolvConf(cluster.servers, domains + host.searches, ("ndots:5",))
    else:
        base = host
        if wants_cluster:
            name = f"{metadata(pod).name}_{namespace_of(pod)}({metadata(pod).uid})"
            missing = (
                f'pod: "{name}". kubelet does not have ClusterDNS IP configured and cannot '
                f'create Pod using "{policy}" policy. Falling back to "Default" policy.'
            )
    return _merged(base, spec_of(pod).dnsConfig), missing


def namespace_of(pod: core_v1.Pod) -> str:
    return metadata(pod).namespace or "default"


def _merged(base: ResolvConf, extra: core_v1.PodDNSConfig | None) -> ResolvConf:
    nameservers, searches = base.nameservers, base.searches
    options = dict(_option(text) for text in base.options)
    if extra is not None:
        nameservers += tuple(extra.nameservers or ())
        searches += tuple(extra.searches or ())
        options |= {o.name or "": o.value for o in extra.options or ()}
    return ResolvConf(
        tuple(dict.fromkeys(nameservers))[:MAX_NAMESERVERS],
        _short_enough(tuple(dict.fromkeys(searches))),
        tuple(name if value is None else f"{name}:{value}" for name, value in options.items()),
    )


def _option(text: str) -> tuple[str, str | None]:
    name, colon, value = text.partition(":")
    return name, value if colon else None


def _short_enough(searches: tuple[str, ...]) -> tuple[str, ...]:
    """As many as resolvers take: 32, and 2048 characters with the spaces between."""
    kept: list[str] = []
    for domain in searches[:MAX_SEARCHES]:
        if len(" ".join([*kept, domain])) > MAX_SEARCH_CHARS:
            break
        kept.append(domain)
    return tuple(kept)
