"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from typing import ClassVar

from kubeapi.scalars import Int32, Message
from kubeapi.types import core_v1, meta_v1


class Endpoint(Message, frozen=True, kw_only=True):
    addresses: list[str] | None = None
    conditions: EndpointConditions | None = None
    deprecatedTopology: dict[str, str] | None = None
    hints: EndpointHints | None = None
    hostname: str | None = None
    nodeName: str | None = None
    targetRef: core_v1.ObjectReference | None = None
    zone: str | None = None


class EndpointConditions(Message, frozen=True, kw_only=True):
    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class EndpointHints(Message, frozen=True, kw_only=True):
    forNodes: list[ForNode] | None = None
    forZones: list[ForZone] | None = None


class EndpointPort(Message, frozen=True, kw_only=True):
    appProtocol: str | None = None
    name: str | None = None
    port: Int32 | None = None
    protocol: str | None = None


class EndpointSlice(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("discovery.k8s.io", "v1", "EndpointSlice")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    addressType: str | None = None
    endpoints: list[Endpoint] | None = None
    ports: list[EndpointPort] | None = None


class EndpointSliceList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("discovery.k8s.io", "v1", "EndpointSliceList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[EndpointSlice] | None = None


class ForNode(Message, frozen=True, kw_only=True):
    name: str | None = None


class ForZone(Message, frozen=True, kw_only=True):
    name: str | None = None
