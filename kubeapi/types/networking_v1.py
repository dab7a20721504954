"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from typing import ClassVar

from msgspec import field

from kubeapi.scalars import Int32, IntOrString, Message
from kubeapi.types import core_v1, meta_v1


class HTTPIngressPath(Message, frozen=True, kw_only=True):
    backend: IngressBackend | None = None
    path: str | None = None
    pathType: str | None = None


class HTTPIngressRuleValue(Message, frozen=True, kw_only=True):
    paths: list[HTTPIngressPath] | None = None


class IPAddress(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("networking.k8s.io", "v1", "IPAddress")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: IPAddressSpec | None = None


class IPAddressList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("networking.k8s.io", "v1", "IPAddressList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[IPAddress] | None = None


class IPAddressSpec(Message, frozen=True, kw_only=True):
    parentRef: ParentReference | None = None


class IPBlock(Message, frozen=True, kw_only=True):
    cidr: str | None = None
    except_: list[str] | None = field(default=None, name="except")


class Ingress(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("networking.k8s.io", "v1", "Ingress")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: IngressSpec | None = None
    status: IngressStatus | None = None


class IngressBackend(Message, frozen=True, kw_only=True):
    resource: core_v1.TypedLocalObjectReference | None = None
    service: IngressServiceBackend | None = None


class IngressClass(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("networking.k8s.io", "v1", "IngressClass")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: IngressClassSpec | None = None


class IngressClassList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("networking.k8s.io", "v1", "IngressClassList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[IngressClass] | None = None


class IngressClassParametersReference(Message, frozen=True, kw_only=True):
    kind: str | None = None
    apiGroup: str | None = None
    name: str | None = None
    namespace: str | None = None
    scope: str | None = None


class IngressClassSpec(Message, frozen=True, kw_only=True):
    controller: str | None = None
    parameters: IngressClassParametersReference | None = None


class IngressList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("networking.k8s.io", "v1", "IngressList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[Ingress] | None = None


class IngressLoadBalancerIngress(Message, frozen=True, kw_only=True):
    hostname: str | None = None
    ip: str | None = None
    ports: list[IngressPortStatus] | None = None


class IngressLoadBalancerStatus(Message, frozen=True, kw_only=True):
    ingress: list[IngressLoadBalancerIngress] | None = None


class IngressPortStatus(Message, frozen=True, kw_only=True):
    error: str | None = None
    port: Int32 | None = None
    protocol: str | None = None


class IngressRule(Message, frozen=True, kw_only=True):
    host: str | None = None
    http: HTTPIngressRuleValue | None = None


class IngressServiceBackend(Message, frozen=True, kw_only=True):
    name: str | None = None
    port: ServiceBackendPort | None = None


class IngressSpec(Message, frozen=True, kw_only=True):
    defaultBackend: IngressBackend | None = None
    ingressClassName: str | None = None
    rules: list[IngressRule] | None = None
    tls: list[IngressTLS] | None = None


class IngressStatus(Message, frozen=True, kw_only=True):
    loadBalancer: IngressLoadBalancerStatus | None = None


class IngressTLS(Message, frozen=True, kw_only=True):
    hosts: list[str] | None = None
    secretName: str | None = None


class NetworkPolicy(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("networking.k8s.io", "v1", "NetworkPolicy")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: NetworkPolicySpec | None = None


class NetworkPolicyEgressRule(Message, frozen=True, kw_only=True):
    ports: list[NetworkPolicyPort] | None = None
    to: list[NetworkPolicyPeer] | None = None


class NetworkPolicyIngressRule(Message, frozen=True, kw_only=True):
    from_: list[NetworkPolicyPeer] | None = field(default=None, name="from")
    ports: list[NetworkPolicyPort] | None = None


class NetworkPolicyList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("networking.k8s.io", "v1", "NetworkPolicyList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[NetworkPolicy] | None = None


class NetworkPolicyPeer(Message, frozen=True, kw_only=True):
    ipBlock: IPBlock | None = None
    namespaceSelector: meta_v1.LabelSelector | None = None
    podSelector: meta_v1.LabelSelector | None = None


class NetworkPolicyPort(Message, frozen=True, kw_only=True):
    endPort: Int32 | None = None
    port: IntOrString | None = None
    protocol: str | None = None


class NetworkPolicySpec(Message, frozen=True, kw_only=True):
    egress: list[NetworkPolicyEgressRule] | None = None
    ingress: list[NetworkPolicyIngressRule] | None = None
    podSelector: meta_v1.LabelSelector | None = None
    policyTypes: list[str] | None = None


class ParentReference(Message, frozen=True, kw_only=True):
    group: str | None = None
    name: str | None = None
    namespace: str | None = None
    resource: str | None = None


class ServiceBackendPort(Message, frozen=True, kw_only=True):
    name: str | None = None
    number: Int32 | None = None


class ServiceCIDR(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("networking.k8s.io", "v1", "ServiceCIDR")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: ServiceCIDRSpec | None = None
    status: ServiceCIDRStatus | None = None


class ServiceCIDRList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("networking.k8s.io", "v1", "ServiceCIDRList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[ServiceCIDR] | None = None


class ServiceCIDRSpec(Message, frozen=True, kw_only=True):
    cidrs: list[str] | None = None


class ServiceCIDRStatus(Message, frozen=True, kw_only=True):
    conditions: list[meta_v1.Condition] | None = None
