"""Services (ValidateService).

Addresses and node ports are judged where they are taken, in `service_addresses`.
"""

from typing import Any, Final

from controlplane.registry.strategy.validation import values
from controlplane.registry.strategy.validation.endpoints import check_usable_ip
from controlplane.registry.strategy.validation.faults import Faults
from controlplane.registry.strategy.validation.rules import Rules, Table
from kubeapi import names
from kubeapi.types import core_v1

_TYPES: Final = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_AFFINITY_MAX_S: Final = 86400
_ONLY_BALANCERS: Final = "may only be used when `type` is 'LoadBalancer'"


def _service_spec(spec: core_v1.ServiceSpec, faults: Faults, path: str) -> None:
    headless = spec.clusterIP == "None"
    if not spec.ports and not headless and spec.type != "ExternalName":
        faults.required(f"{path}.ports")
    if spec.type == "ExternalName":
        _external_name(spec, faults, path)
    else:
        _cluster_ips(spec, faults, path)
        _families(spec, faults, path)
    if headless and spec.type in ("NodePort", "LoadBalancer"):
        text = f"may not be set to 'None' for {spec.type} services"
        faults.invalid(f"{path}.clusterIPs[0]", "None", text)
    _ports(spec, faults, path)
    _affinity(spec, faults, path)
    for index, address in enumerate(spec.externalIPs or ()):
        where = f"{path}.externalIPs[{index}]"
        if names.ip_address_problems(address):
            faults.each_invalid(where, address, names.ip_address_problems(address))
        else:
            check_usable_ip(address, faults, where)
    _balancer(spec, faults, path)
    _traffic(spec, faults, path)


def _external_name(spec: core_v1.ServiceSpec, faults: Faults, path: str) -> None:
    if not spec.externalName:
        faults.required(f"{path}.externalName")
    else:
        name = spec.externalName.removesuffix(".")
        faults.each_invalid(f"{path}.externalName", name, names.dns_subdomain_problems(name))


def _cluster_ips(spec: core_v1.ServiceSpec, faults: Faults, path: str) -> None:
    ips, where = spec.clusterIPs or [], f"{path}.clusterIPs"
    if ips and not spec.clusterIP:
        faults.invalid(where, ips, "must be empty when `clusterIP` is not specified")
    elif ips and ips[0] != spec.clusterIP:
        faults.invalid(where, ips, "first value must match `clusterIP`")
    if not ips and spec.clusterIP:
        ips = [spec.clusterIP]
    if "None" in ips:
        if len(ips) > 1:
            faults.invalid(where, ips, "'None' must be the first and only value")
        return
    if len(ips) > 2:
        faults.invalid(where, ips, "may only hold up to 2 values")
    before = len(faults)
    for index, ip in enumerate(ips):
        if ip:
            faults.each_invalid(f"{where}[{index}]", ip, names.ip_address_problems(ip))
            _family_fits(spec, index, ip, faults, f"{where}[{index}]")
    if len(faults) == before and len(ips) > 1 and len({":" in ip for ip in ips}) < len(ips):
        faults.invalid(where, ips, "may specify no more than one IP for each IP family")


def _family_fits(spec: core_v1.ServiceSpec, index: int, ip: str, faults: Faults, path: str) -> None:
    families = spec.ipFamilies or []
    if index >= len(families) or names.ip_address_problems(ip):
        return
    wanted = families[index]
    if wanted in ("IPv4", "IPv6") and (wanted == "IPv6") != (":" in ip):
        faults.invalid(
            path, ip, f"expected an {wanted} value as indicated by `ipFamilies[{index}]`"
        )


def _families(spec: core_v1.ServiceSpec, faults: Faults, path: str) -> None:
    """One family: this cluster has IPv4 addresses for services."""
    families = spec.ipFamilies or []
    for index, family in enumerate(families):
        where = f"{path}.ipFamilies[{index}]"
        if family not in ("IPv4", "IPv6"):
            faults.unsupported(where, family, ("IPv4", "IPv6"))
        elif family in families[:index]:
            faults.duplicate(where, family)
    known = set(families) <= {"IPv4", "IPv6"} and len(set(families)) == len(families)
    selectorless = spec.clusterIP == "None" and not spec.selector
    policy, where = spec.ipFamilyPolicy, f"{path}.ipFamilyPolicy"
    if known and len(families) > 1 and policy in (None, "", "SingleStack"):
        text = (
            "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are "
            "specified"
        )
        faults.invalid(where, policy or "SingleStack", text)
    elif known and "IPv6" in families and not selectorless and not _wrong_family(spec):
        index = families.index("IPv6")
        text = "not configured on this cluster"
        faults.invalid(f"{path}.ipFamilies[{index}]", "IPv6", text)
    if policy == "RequireDualStack" and not selectorless:
        faults.invalid(where, policy, "this cluster is not configured for dual-stack services")


def _wrong_family(spec: core_v1.ServiceSpec) -> bool:
    """The address says already that the family is not that of the service."""
    return bool(spec.clusterIP and spec.clusterIP != "None" and ":" not in spec.clusterIP)


def _ports(spec: core_v1.ServiceSpec, faults: Faults, path: str) -> None:
    ports = spec.ports or []
    seen_names: set[str] = set()
    seen: set[tuple[Any, ...]] = set()
    headless = spec.clusterIP == "None"
    for index, port in enumerate(ports):
        where = f"{path}.ports[{index}]"
        _port(port, len(ports) > 1, seen_names, faults, where)
        if port.nodePort and spec.type not in ("NodePort", "LoadBalancer"):
            text = f"may not be used when `type` is '{spec.type}'"
            faults.forbidden(f"{where}.nodePort", text)
        target = port.port if port.targetPort in (None, "") else port.targetPort
        if not headless or isinstance(target, str):
            values.port_or_name(target or 0, faults, where, "targetPort")
        key = (port.protocol, port.port)
        if key in seen:
            shown = {
                "Name": "", "Protocol": port.protocol, "AppProtocol": None, "Port": port.port,
                "TargetPort": 0, "NodePort": 0,
            }  # fmt: skip
            faults.duplicate(where, shown)
        seen.add(key)


def _port(
    port: core_v1.ServicePort, named: bool, seen: set[str], faults: Faults, path: str
) -> None:
    if not port.name:
        if named:
            faults.required(f"{path}.name")
    else:
        faults.each_invalid(f"{path}.name", port.name, names.dns_label_problems(port.name))
        if port.name in seen:
            faults.duplicate(f"{path}.name", port.name)
        seen.add(port.name)
    values.port(port.port or 0, faults, path, "port")


def _affinity(spec: core_v1.ServiceSpec, faults: Faults, path: str) -> None:
    config = spec.sessionAffinityConfig
    if spec.sessionAffinity == "None" and config is not None:
        text = "must not be set when session affinity is None"
        faults.forbidden(f"{path}.sessionAffinityConfig", text)
    elif spec.sessionAffinity == "ClientIP" and config is not None and config.clientIP is not None:
        seconds = config.clientIP.timeoutSeconds or 0
        if not 0 < seconds <= _AFFINITY_MAX_S:
            text = f"must be greater than 0 and less than {_AFFINITY_MAX_S}"
            where = f"{path}.sessionAffinityConfig.clientIP.timeoutSeconds"
            faults.invalid(where, seconds, text)


def _balancer(spec: core_v1.ServiceSpec, faults: Faults, path: str) -> None:
    if spec.type == "LoadBalancer":
        for index, text in enumerate(spec.loadBalancerSourceRanges or ()):
            where = f"{path}.LoadBalancerSourceRanges[{index}]"
            faults.each_invalid(where, text, values.cidr_problems(text))
    elif spec.loadBalancerSourceRanges:
        faults.forbidden(f"{path}.LoadBalancerSourceRanges", _ONLY_BALANCERS)
    if spec.type != "LoadBalancer":
        if spec.allocateLoadBalancerNodePorts is not None:
            faults.forbidden(f"{path}.allocateLoadBalancerNodePorts", _ONLY_BALANCERS)
        if spec.loadBalancerClass is not None:
            faults.forbidden(f"{path}.loadBalancerClass", _ONLY_BALANCERS)
    elif spec.loadBalancerClass:
        values.qualified(spec.loadBalancerClass, faults, path, "loadBalancerClass")


def _traffic(spec: core_v1.ServiceSpec, faults: Faults, path: str) -> None:
    external = spec.type in ("NodePort", "LoadBalancer") or (
        spec.type == "ClusterIP" and bool(spec.externalIPs)
    )
    policy = spec.externalTrafficPolicy
    if policy and not external:
        text = "may only be set for externally-accessible services"
        faults.invalid(f"{path}.externalTrafficPolicy", policy, text)
    elif policy and policy not in ("Cluster", "Local"):
        faults.unsupported(f"{path}.externalTrafficPolicy", policy, ("Cluster", "Local"))
    checked = spec.type == "LoadBalancer" and policy == "Local"
    if spec.healthCheckNodePort and not checked:
        text = (
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        )
        faults.invalid(f"{path}.healthCheckNodePort", spec.healthCheckNodePort, text)


_PROTOCOL = values.one_of(*values.PROTOCOLS)

RULES: Table = {
    core_v1.Service: Rules(present=("spec",)),
    core_v1.ServicePort: Rules(each={"protocol": _PROTOCOL, "appProtocol": values.qualified}),
    core_v1.ServiceSpec: Rules(
        each={
            "type": values.one_of(*_TYPES),
            "sessionAffinity": values.one_of("ClientIP", "None"),
            "internalTrafficPolicy": values.one_of("Cluster", "Local"),
            "ipFamilyPolicy": values.one_of("SingleStack", "PreferDualStack", "RequireDualStack"),
            "trafficDistribution": values.one_of("PreferClose", "PreferSameNode", "PreferSameZone"),
            "selector": values.labels,
        },
        whole=_service_spec,
    ),
}

# Updates


def update_service(new: core_v1.Service, old: core_v1.Service, faults: Faults) -> None:
    """The address stays while the type has one, the class of the balancer always."""
    spec, was = new.spec, old.spec
    if spec is None or was is None:
        return
    both = "ExternalName" not in (spec.type, was.type)
    if both and was.clusterIP and spec.clusterIP != was.clusterIP:
        given = spec.clusterIPs or ([spec.clusterIP] if spec.clusterIP else [])
        faults.immutable("spec.clusterIPs[0]", given, "may not change once set")
    if spec.type == was.type == "LoadBalancer" and spec.loadBalancerClass != was.loadBalancerClass:
        faults.immutable(
            "spec.loadBalancerClass", spec.loadBalancerClass, "may not change once set"
        )
