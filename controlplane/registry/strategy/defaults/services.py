"""Services and what is about traffic. Source: pkg/apis/core/v1/defaults.go, networking/v1."""

from typing import Any, Final

from controlplane.registry.strategy.defaults.fill import default, default_zero, ensure, put
from kubeapi.types import core_v1, networking_v1

CLIENT_IP_TIMEOUT_S: Final = 10800
_PUBLISHED: Final = ("NodePort", "LoadBalancer")


def _service(spec: core_v1.ServiceSpec) -> None:
    default_zero(spec, "type", "ClusterIP")
    default_zero(spec, "sessionAffinity", "None")
    if spec.sessionAffinity == "None":
        put(spec, "sessionAffinityConfig", None)
    elif spec.sessionAffinity == "ClientIP":
        config = ensure(spec, "sessionAffinityConfig", core_v1.SessionAffinityConfig)
        client_ip = ensure(config, "clientIP", core_v1.ClientIPConfig)
        default(client_ip, "timeoutSeconds", CLIENT_IP_TIMEOUT_S)
    if spec.type in _PUBLISHED or (spec.type == "ClusterIP" and spec.externalIPs):
        default_zero(spec, "externalTrafficPolicy", "Cluster")
    if spec.type != "ExternalName":
        default(spec, "internalTrafficPolicy", "Cluster")
    if spec.type == "LoadBalancer":
        default(spec, "allocateLoadBalancerNodePorts", True)


def _service_port(port: core_v1.ServicePort) -> None:
    default_zero(port, "protocol", "TCP")
    default_zero(port, "targetPort", port.port)


def _network_policy(spec: networking_v1.NetworkPolicySpec) -> None:
    if not spec.policyTypes:
        put(spec, "policyTypes", ["Ingress", "Egress"] if spec.egress else ["Ingress"])


def _ingress_class(spec: networking_v1.IngressClassSpec) -> None:
    if spec.parameters is not None:
        default(spec.parameters, "scope", "Cluster")


RULES: Final[dict[Any, Any]] = {
    core_v1.ServicePort: _service_port,
    core_v1.ServiceSpec: _service,
    networking_v1.IngressClassSpec: _ingress_class,
    networking_v1.NetworkPolicySpec: _network_policy,
}
