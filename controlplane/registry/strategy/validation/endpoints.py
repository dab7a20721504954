"""Endpoints and EndpointSlices (ValidateEndpoints, ValidateEndpointSlice)."""

import ipaddress
from typing import Final

from controlplane.registry.strategy.validation import values
from controlplane.registry.strategy.validation.faults import Faults
from controlplane.registry.strategy.validation.rules import Rules, Table
from kubeapi import names
from kubeapi.types import core_v1, discovery_v1


# Ranges that can be no endpoint's (ValidateEndpointIP), the first that holds counts.
def check_usable_ip(address: str, faults: Faults, path: str) -> None:
    ip = ipaddress.ip_address(address)
    text = ""
    if ip.is_unspecified:
        text = f"may not be unspecified ({address})"
    elif ip.is_loopback:
        text = "may not be in the loopback range (127.0.0.0/8, ::1/128)"
    elif ip in _LINK_LOCAL[ip.version]:
        text = "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
    elif ip in _LINK_LOCAL_MULTICAST[ip.version]:
        text = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
    if text:
        faults.invalid(path, address, text)


_LINK_LOCAL: Final = {
    4: ipaddress.ip_network("169.254.0.0/16"),
    6: ipaddress.ip_network("fe80::/10"),
}
_LINK_LOCAL_MULTICAST: Final = {
    4: ipaddress.ip_network("224.0.0.0/24"),
    6: ipaddress.ip_network("ff02::/16"),
}


def _subset(subset: core_v1.EndpointSubset, faults: Faults, path: str) -> None:
    if not subset.addresses and not subset.notReadyAddresses:
        faults.required(path, "must specify `addresses` or `notReadyAddresses`")
    several = len(subset.ports or ()) > 1
    for index, port in enumerate(subset.ports or ()):
        where = f"{path}.ports[{index}]"
        if several and not port.name:
            faults.required(f"{where}.name")
        values.port(port.port or 0, faults, where, "port")


def _endpoint_address(address: core_v1.EndpointAddress, faults: Faults, path: str) -> None:
    ip = address.ip or ""
    problems = names.ip_address_problems(ip)
    if problems:
        faults.each_invalid(f"{path}.ip", ip, problems)
    else:
        check_usable_ip(ip, faults, f"{path}.ip")


_ADDRESS_TYPES: Final = ("FQDN", "IPv4", "IPv6")
_ENDPOINTS_MAX: Final = 1000
_SLICE_PORTS_MAX: Final = 20_000
_ADDRESSES_MAX: Final = 100


def _slice(item: discovery_v1.EndpointSlice, faults: Faults, path: str) -> None:
    kind = item.addressType or ""
    if not kind:
        faults.required("addressType")
    elif kind not in _ADDRESS_TYPES:
        faults.unsupported("addressType", kind, _ADDRESS_TYPES)
    if len(item.endpoints or ()) > _ENDPOINTS_MAX:
        faults.too_many("endpoints", len(item.endpoints or ()), _ENDPOINTS_MAX)
    for index, endpoint in enumerate(item.endpoints or ()):
        _slice_addresses(endpoint.addresses or [], kind, faults, f"endpoints[{index}]")
    if len(item.ports or ()) > _SLICE_PORTS_MAX:
        faults.too_many("ports", len(item.ports or ()), _SLICE_PORTS_MAX)
    seen: set[str] = set()
    for index, port in enumerate(item.ports or ()):
        name, where = port.name or "", f"ports[{index}].name"
        if name in seen:
            faults.duplicate(where, name)
        seen.add(name)


def _slice_addresses(addresses: list[str], kind: str, faults: Faults, path: str) -> None:
    where = f"{path}.addresses"
    if not addresses:
        faults.required(where, "must contain at least 1 address")
    elif len(addresses) > _ADDRESSES_MAX:
        faults.too_many(where, len(addresses), _ADDRESSES_MAX)
    for index, address in enumerate(addresses):
        if kind == "FQDN":
            name = address.removesuffix(".")
            faults.each_invalid(f"{where}[{index}]", name, names.dns_subdomain_problems(name))
            continue
        if kind not in ("IPv4", "IPv6"):
            continue
        problems = names.ip_address_problems(address)
        if problems:
            faults.each_invalid(f"{where}[{index}]", address, problems)
        elif (kind == "IPv6") != (":" in address):
            faults.invalid(where, address, f"must be an {kind} address")
        else:
            check_usable_ip(address, faults, f"{where}[{index}]")


_PROTOCOL = values.one_of(*values.PROTOCOLS)

RULES: Table = {
    core_v1.EndpointAddress: Rules(
        each={"hostname": values.label, "nodeName": values.subdomain}, whole=_endpoint_address
    ),
    core_v1.EndpointPort: Rules(each={"name": values.label, "protocol": _PROTOCOL}),
    core_v1.EndpointSubset: Rules(whole=_subset),
    discovery_v1.Endpoint: Rules(each={"hostname": values.label, "nodeName": values.subdomain}),
    discovery_v1.EndpointPort: Rules(
        each={"name": values.label, "protocol": _PROTOCOL, "appProtocol": values.qualified}
    ),
    discovery_v1.EndpointSlice: Rules(whole=_slice),
}
