"""Ingresses, IngressClasses, NetworkPolicies, ServiceCIDRs and IPAddresses."""

import ipaddress
from typing import Any, Final

from controlplane.registry.strategy.validation import values
from controlplane.registry.strategy.validation.faults import Faults
from controlplane.registry.strategy.validation.rules import Rules, Table
from kubeapi import names
from kubeapi.types import networking_v1

_PATH_TYPES: Final = ("Exact", "ImplementationSpecific", "Prefix")
_BAD_SEQUENCES: Final = ("//", "/./", "/../", "%2f", "%2F")
_BAD_SUFFIXES: Final = ("/..", "/.")
_NOT_WILDCARD: Final = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which "
    "must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric "
    r"character (e.g. '*.example.com', regex used for validation is "
    r"'\*\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_CONTROLLER_MAX_BYTES: Final = 250


def _ingress(spec: networking_v1.IngressSpec, faults: Faults, path: str) -> None:
    if not spec.rules and spec.defaultBackend is None:
        text = "either `defaultBackend` or `rules` must be specified"
        faults.invalid(path, spec.rules, text)
    for index, tls in enumerate(spec.tls or ()):
        for number, host in enumerate(tls.hosts or ()):
            _host(host, faults, f"{path}.tls[{index}].hosts[{number}]")


def _host(host: str, faults: Faults, path: str) -> None:
    if "*" in host:
        if not host.startswith("*.") or names.dns_subdomain_problems(host[2:]):
            faults.invalid(path, host, _NOT_WILDCARD)
    else:
        faults.each_invalid(path, host, names.dns_subdomain_problems(host))


def _ingress_rule(rule: networking_v1.IngressRule, faults: Faults, path: str) -> None:
    if not rule.host:
        return
    if _is_ip(rule.host):
        faults.invalid(f"{path}.host", rule.host, "must be a DNS name, not an IP address")
    else:
        _host(rule.host, faults, f"{path}.host")


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _ingress_path(item: networking_v1.HTTPIngressPath, faults: Faults, path: str) -> None:
    kind, text = item.pathType, item.path or ""
    where = f"{path}.path"
    if kind is None:
        faults.required(f"{path}.pathType", "pathType must be specified")
        return
    if kind not in _PATH_TYPES:
        faults.unsupported(f"{path}.pathType", kind, _PATH_TYPES)
    elif kind == "ImplementationSpecific":
        if text and not text.startswith("/"):
            faults.invalid(where, text, "must be an absolute path")
    elif not text.startswith("/"):
        faults.invalid(where, text, "must be an absolute path")
    else:
        for bad in _BAD_SEQUENCES:
            if bad in text:
                faults.invalid(where, text, f"must not contain '{bad}'")
        for bad in _BAD_SUFFIXES:
            if text.endswith(bad):
                faults.invalid(where, text, f"cannot end with '{bad}'")


def _backend(backend: networking_v1.IngressBackend, faults: Faults, path: str) -> None:
    service, resource = backend.service, backend.resource
    if service is not None and resource is not None:
        faults.invalid(path, "", "cannot set both resource and service backends")
    elif resource is not None:
        for name in ("kind", "name"):
            if not getattr(resource, name):
                faults.required(f"{path}.resource.{name}")
    elif service is None:
        faults.invalid(path, "", "resource or service backend is required")
    else:
        _service_backend(service, faults, path)


def _service_backend(
    service: networking_v1.IngressServiceBackend, faults: Faults, path: str
) -> None:
    if not service.name:
        faults.required(f"{path}.service.name")
    else:
        problems = names.dns_label_problems(service.name)
        faults.each_invalid(f"{path}.service.name", service.name, problems)
    name = (service.port.name if service.port else None) or ""
    number = (service.port.number if service.port else None) or 0
    if name and number:
        faults.invalid(path, "", "cannot set both port name & port number")
    elif name:
        where = f"{path}.service.port.name"
        faults.each_invalid(where, name, names.port_name_problems(name))
    elif not number:
        faults.required(path, "port name or number is required")
    else:
        values.port(number, faults, f"{path}.service.port", "number")


def _ingress_class(spec: networking_v1.IngressClassSpec, faults: Faults, path: str) -> None:
    controller = spec.controller or ""
    if not controller:
        faults.required(f"{path}.controller")
        return
    if len(controller) > _CONTROLLER_MAX_BYTES:
        faults.too_long(f"{path}.controller", _CONTROLLER_MAX_BYTES)
    values.domain_path(controller, faults, path, "controller")


def _class_parameters(
    item: networking_v1.IngressClassParametersReference, faults: Faults, path: str
) -> None:
    scope = item.scope
    if scope is None:
        faults.required(f"{path}.scope")
    elif scope not in ("Cluster", "Namespace"):
        faults.unsupported(f"{path}.scope", scope, ("Cluster", "Namespace"))
    elif scope == "Cluster" and item.namespace is not None:
        faults.forbidden(f"{path}.namespace", "`parameters.scope` is set to 'Cluster'")
    elif scope == "Namespace" and not item.namespace:
        faults.required(f"{path}.namespace", "`parameters.scope` is set to 'Namespace'")


def _policy(spec: networking_v1.NetworkPolicySpec, faults: Faults, path: str) -> None:
    types = spec.policyTypes or []
    if len(types) > 2:
        faults.invalid(f"{path}.policyTypes", types, "may not specify more than two policyTypes")
        return
    for index, name in enumerate(types):
        if name not in ("Ingress", "Egress"):
            faults.unsupported(f"{path}.policyTypes[{index}]", name, ("Ingress", "Egress"))


def _policy_port(item: networking_v1.NetworkPolicyPort, faults: Faults, path: str) -> None:
    where, port, end = f"{path}.endPort", item.port, item.endPort
    if port is None:
        if end is not None:
            faults.invalid(where, end, "may not be specified when `port` is not specified")
        return
    values.port_or_name(port, faults, path, "port")
    if end is None:
        return
    if isinstance(port, str):
        faults.invalid(where, end, "may not be specified when `port` is non-numeric")
    elif end < port:
        faults.invalid(where, port, "must be greater than or equal to `port`")
    else:
        values.port(end, faults, path, "endPort")


def _peer(peer: networking_v1.NetworkPolicyPeer, faults: Faults, path: str) -> None:
    others = peer.podSelector is not None or peer.namespaceSelector is not None
    if peer.ipBlock is None:
        if not others:
            faults.required(path, "must specify a peer")
    elif others:
        faults.forbidden(path, "may not specify both ipBlock and another peer")


def _ip_block(block: networking_v1.IPBlock, faults: Faults, path: str) -> None:
    if not block.cidr:
        faults.required(f"{path}.cidr")
        return
    problems = values.cidr_problems(block.cidr)
    faults.each_invalid(f"{path}.cidr", block.cidr, problems)
    for index, text in enumerate(block.except_ or ()):
        where = f"{path}.except[{index}]"
        wrong = values.cidr_problems(text)
        faults.each_invalid(where, text, wrong)
        if not wrong and not problems and not _strictly_inside(text, block.cidr):
            faults.invalid(where, text, "must be a strict subset of `cidr`")


def _strictly_inside(text: str, outer: str) -> bool:
    inner_net: Any = ipaddress.ip_network(text)
    outer_net: Any = ipaddress.ip_network(outer)
    same_family = inner_net.version == outer_net.version
    return bool(same_family and inner_net != outer_net and inner_net.subnet_of(outer_net))


def _service_cidr(spec: networking_v1.ServiceCIDRSpec, faults: Faults, path: str) -> None:
    cidrs, where = spec.cidrs or [], f"{path}.cidrs"
    if not cidrs:
        faults.required(where, "at least one CIDR required")
    elif len(cidrs) > 2:
        faults.invalid(where, cidrs, "may only hold up to 2 values")
    elif len({":" in cidr for cidr in cidrs}) < len(cidrs):
        text = (
            "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and "
            "2001:db8::/64"
        )
        faults.invalid(where, cidrs, text)
    for index, cidr in enumerate(cidrs):
        faults.each_invalid(f"{where}[{index}]", cidr, values.cidr_problems(cidr))


RULES: Table = {
    networking_v1.HTTPIngressPath: Rules(whole=_ingress_path, present=("backend",)),
    networking_v1.HTTPIngressRuleValue: Rules(required=("paths",)),
    networking_v1.IngressBackend: Rules(whole=_backend),
    networking_v1.IngressClass: Rules(present=("spec",)),
    networking_v1.IngressClassParametersReference: Rules(
        required=("kind", "name"), whole=_class_parameters
    ),
    networking_v1.IngressClassSpec: Rules(whole=_ingress_class),
    networking_v1.Ingress: Rules(present=("spec",)),
    networking_v1.IngressRule: Rules(whole=_ingress_rule),
    networking_v1.IngressSpec: Rules(each={"ingressClassName": values.subdomain}, whole=_ingress),
    networking_v1.IPAddress: Rules(present=("spec",)),
    networking_v1.IPAddressSpec: Rules(required=("parentRef",)),
    networking_v1.ParentReference: Rules(required=("resource", "name")),
    networking_v1.IPBlock: Rules(whole=_ip_block),
    networking_v1.NetworkPolicyPeer: Rules(whole=_peer),
    networking_v1.NetworkPolicyPort: Rules(
        each={"protocol": values.one_of("TCP", "UDP", "SCTP")}, whole=_policy_port
    ),
    networking_v1.NetworkPolicySpec: Rules(whole=_policy),
    networking_v1.ServiceCIDR: Rules(present=("spec",)),
    networking_v1.ServiceCIDRSpec: Rules(whole=_service_cidr),
}
