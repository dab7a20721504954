"""Services, endpoints, ingresses and what else is about traffic."""

from typing import Any, Final

from controlplane.rest.table.text import (
    NONE,
    UNSET,
    age_of,
    ingress_points,
    labels_text,
    name_of,
    reference_text,
    selector_text,
    with_more,
)
from kubeapi.types import core_v1, discovery_v1, networking_v1

SHOWN_MAX: Final = 3


def service_cells(obj: core_v1.Service, now_s: float) -> list[Any]:
    spec = obj.spec or core_v1.ServiceSpec()
    addresses = spec.clusterIPs or [spec.clusterIP or ""]
    return [
        name_of(obj),
        spec.type or "",
        addresses[0] or NONE,
        _external_address(spec, obj.status),
        ",".join(_port_text(port) for port in spec.ports or ()) or NONE,
        age_of(obj, now_s),
        labels_text(spec.selector),
    ]


def _external_address(spec: core_v1.ServiceSpec, status: core_v1.ServiceStatus | None) -> str:
    if spec.type == "ExternalName":
        return spec.externalName or ""
    external = ",".join(spec.externalIPs or ())
    if spec.type != "LoadBalancer":
        return external or NONE
    balancer = status.loadBalancer if status else None
    points = ingress_points(balancer.ingress if balancer else None)
    return ",".join(filter(None, (points, external))) or "<pending>"


def _port_text(port: core_v1.ServicePort) -> str:
    if port.nodePort:
        return f"{port.port}:{port.nodePort}/{port.protocol}"
    return f"{port.port}/{port.protocol}"


def endpoints_cells(obj: core_v1.Endpoints, now_s: float) -> list[Any]:
    every = [text for subset in obj.subsets or () for text in _subset_texts(subset)]
    shown = with_more(every[:SHOWN_MAX], len(every)) if obj.subsets else NONE
    return [name_of(obj), shown, age_of(obj, now_s)]


def _subset_texts(subset: core_v1.EndpointSubset) -> list[str]:
    addresses = [address.ip or "" for address in subset.addresses or ()]
    if not subset.ports:
        return addresses
    return [
        f"[{address}]:{port.port}" if ":" in address else f"{address}:{port.port}"
        for port in subset.ports
        for address in addresses
    ]


def endpoint_slice_cells(obj: discovery_v1.EndpointSlice, now_s: float) -> list[Any]:
    ports = ["*" if port.port is None else str(port.port) for port in obj.ports or ()]
    addresses = [a for endpoint in obj.endpoints or () for a in endpoint.addresses or ()]
    return [
        name_of(obj),
        obj.addressType or "",
        with_more(ports[:SHOWN_MAX], len(ports), empty=UNSET),
        with_more(addresses[:SHOWN_MAX], len(addresses), empty=UNSET),
        age_of(obj, now_s),
    ]


def ingress_cells(obj: networking_v1.Ingress, now_s: float) -> list[Any]:
    spec = obj.spec or networking_v1.IngressSpec()
    balancer = obj.status.loadBalancer if obj.status else None
    hosts = [rule.host for rule in spec.rules or () if rule.host]
    return [
        name_of(obj),
        NONE if spec.ingressClassName is None else spec.ingressClassName,
        with_more(hosts[:SHOWN_MAX], len(hosts), empty="*"),
        ingress_points(balancer.ingress if balancer else None),
        "80, 443" if spec.tls else "80",
        age_of(obj, now_s),
    ]


def ingress_class_cells(obj: networking_v1.IngressClass, now_s: float) -> list[Any]:
    spec = obj.spec or networking_v1.IngressClassSpec()
    found = spec.parameters
    parameters = NONE
    if found is not None:
        parameters = reference_text(found.kind or "", found.apiGroup, found.name or "")
    return [name_of(obj), spec.controller or "", parameters, age_of(obj, now_s)]


def network_policy_cells(obj: networking_v1.NetworkPolicy, now_s: float) -> list[Any]:
    selector = obj.spec.podSelector if obj.spec else None
    return [name_of(obj), selector_text(selector), age_of(obj, now_s)]


def service_cidr_cells(obj: networking_v1.ServiceCIDR, now_s: float) -> list[Any]:
    cidrs = (obj.spec.cidrs if obj.spec else None) or ()
    return [name_of(obj), ",".join(cidrs), age_of(obj, now_s)]


def ip_address_cells(obj: networking_v1.IPAddress, now_s: float) -> list[Any]:
    ref = obj.spec.parentRef if obj.spec else None
    parent = NONE
    if ref is not None:
        resource = f"{ref.resource}.{ref.group}" if ref.group else ref.resource or ""
        parts = (resource.lower(), ref.namespace, ref.name or "")
        parent = "/".join(part for part in parts if part)
    return [name_of(obj), parent, age_of(obj, now_s)]
