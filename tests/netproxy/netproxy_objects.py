"""Services and EndpointSlices in one line each."""

from typing import Any

from kubeapi.types import core_v1, discovery_v1, meta_v1
from netproxy.model import RuleSet, build_rules

NODE = "node-a"
BASE = RuleSet(cluster_cidr="10.244.0.0/16")


def service(
    name: str,
    vip: str = "10.96.0.10",
    ports: str = "80",
    namespace: str = "default",
    labels: dict[str, str] | None = None,
    load_balancer: list[dict[str, str]] | None = None,
    **spec: Any,
) -> core_v1.Service:
    """`ports`: "<name>=<port>/<protocol>:<node port>", all but the port optional, by comma."""
    ingress = [core_v1.LoadBalancerIngress(**entry) for entry in load_balancer or ()]
    return core_v1.Service(
        metadata=meta_v1.ObjectMeta(
            name=name, namespace=namespace, labels=labels, resourceVersion="1", uid=f"uid-{name}"
        ),
        spec=core_v1.ServiceSpec(
            clusterIP=vip, clusterIPs=[vip], ports=[_port(p) for p in ports.split(",")], **spec
        ),
        status=core_v1.ServiceStatus(loadBalancer=core_v1.LoadBalancerStatus(ingress=ingress)),
    )


def _port(text: str) -> core_v1.ServicePort:
    name, _, rest = text.rpartition("=")
    rest, _, node_port = rest.partition(":")
    port, _, protocol = rest.partition("/")
    return core_v1.ServicePort(
        name=name or None,
        port=int(port),
        protocol=protocol or None,
        nodePort=int(node_port) if node_port else None,
    )


def slice_of(
    name: str,
    endpoints: str,
    ports: str = "8080",
    namespace: str = "default",
    suffix: str = "1",
    family: str = "IPv4",
    labels: dict[str, str] | None = None,
) -> discovery_v1.EndpointSlice:
    """`endpoints`: "<address>@<node>!<conditions>", conditions of r, s, t or upper case for not."""
    return discovery_v1.EndpointSlice(
        metadata=meta_v1.ObjectMeta(
            name=f"{name}-{suffix}",
            namespace=namespace,
            labels={"kubernetes.io/service-name": name} | (labels or {}),
            resourceVersion="1",
        ),
        addressType=family,
        endpoints=[_endpoint(text) for text in endpoints.split(",") if text],
        ports=[_slice_port(text) for text in ports.split(",")],
    )


def _endpoint(text: str) -> discovery_v1.Endpoint:
    text, _, flags = text.partition("!")
    address, _, node = text.partition("@")
    known = {"ready": "r", "serving": "s", "terminating": "t"}
    conditions = {
        name: (True if flag in flags else False if flag.upper() in flags else None)
        for name, flag in known.items()
    }
    return discovery_v1.Endpoint(
        addresses=[address],
        nodeName=node or None,
        conditions=discovery_v1.EndpointConditions(**conditions),
    )


def _slice_port(text: str) -> discovery_v1.EndpointPort:
    name, _, rest = text.rpartition("=")
    port, _, protocol = rest.partition("/")
    return discovery_v1.EndpointPort(
        name=name or None, port=int(port) if port else None, protocol=protocol or None
    )


def rules(*objects: core_v1.Service | discovery_v1.EndpointSlice, base: RuleSet = BASE) -> RuleSet:
    services = [o for o in objects if isinstance(o, core_v1.Service)]
    slices = [o for o in objects if isinstance(o, discovery_v1.EndpointSlice)]
    return build_rules(services, slices, NODE, base)
