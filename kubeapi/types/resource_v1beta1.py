"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from typing import ClassVar

from kubeapi.scalars import Bool, Int64, Json, Message, Quantity, Time
from kubeapi.types import core_v1, meta_v1


class AllocatedDeviceStatus(Message, frozen=True, kw_only=True):
    conditions: list[meta_v1.Condition] | None = None
    data: Json = None
    device: str | None = None
    driver: str | None = None
    networkData: NetworkDeviceData | None = None
    pool: str | None = None
    shareID: str | None = None


class AllocationResult(Message, frozen=True, kw_only=True):
    allocationTimestamp: Time | None = None
    devices: DeviceAllocationResult | None = None
    nodeSelector: core_v1.NodeSelector | None = None


class BasicDevice(Message, frozen=True, kw_only=True):
    allNodes: bool | None = None
    allowMultipleAllocations: bool | None = None
    attributes: dict[str, DeviceAttribute] | None = None
    bindingConditions: list[str] | None = None
    bindingFailureConditions: list[str] | None = None
    bindsToNode: bool | None = None
    capacity: dict[str, DeviceCapacity] | None = None
    consumesCounters: list[DeviceCounterConsumption] | None = None
    nodeAllocatableResourceMappings: dict[str, NodeAllocatableResourceMapping] | None = None
    nodeName: str | None = None
    nodeSelector: core_v1.NodeSelector | None = None
    taints: list[DeviceTaint] | None = None


class CELDeviceSelector(Message, frozen=True, kw_only=True):
    expression: str | None = None


class CapacityRequestPolicy(Message, frozen=True, kw_only=True):
    default: Quantity | None = None
    validRange: CapacityRequestPolicyRange | None = None
    validValues: list[Quantity] | None = None


class CapacityRequestPolicyRange(Message, frozen=True, kw_only=True):
    max: Quantity | None = None
    min: Quantity | None = None
    step: Quantity | None = None


class CapacityRequirements(Message, frozen=True, kw_only=True):
    requests: dict[str, Quantity] | None = None


class Counter(Message, frozen=True, kw_only=True):
    value: Quantity | None = None


class CounterSet(Message, frozen=True, kw_only=True):
    counters: dict[str, Counter] | None = None
    name: str | None = None


class Device(Message, frozen=True, kw_only=True):
    basic: BasicDevice | None = None
    name: str | None = None


class DeviceAllocationConfiguration(Message, frozen=True, kw_only=True):
    opaque: OpaqueDeviceConfiguration | None = None
    requests: list[str] | None = None
    source: str | None = None


class DeviceAllocationResult(Message, frozen=True, kw_only=True):
    config: list[DeviceAllocationConfiguration] | None = None
    results: list[DeviceRequestAllocationResult] | None = None


class DeviceAttribute(Message, frozen=True, kw_only=True):
    bool: Bool | None = None
    bools: list[Bool] | None = None
    int: Int64 | None = None
    ints: list[Int64] | None = None
    string: str | None = None
    strings: list[str] | None = None
    version: str | None = None
    versions: list[str] | None = None


class DeviceCapacity(Message, frozen=True, kw_only=True):
    requestPolicy: CapacityRequestPolicy | None = None
    value: Quantity | None = None


class DeviceClaim(Message, frozen=True, kw_only=True):
    config: list[DeviceClaimConfiguration] | None = None
    constraints: list[DeviceConstraint] | None = None
    requests: list[DeviceRequest] | None = None


class DeviceClaimConfiguration(Message, frozen=True, kw_only=True):
    opaque: OpaqueDeviceConfiguration | None = None
    requests: list[str] | None = None


class DeviceClass(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("resource.k8s.io", "v1beta1", "DeviceClass")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: DeviceClassSpec | None = None


class DeviceClassConfiguration(Message, frozen=True, kw_only=True):
    opaque: OpaqueDeviceConfiguration | None = None


class DeviceClassList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("resource.k8s.io", "v1beta1", "DeviceClassList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[DeviceClass] | None = None


class DeviceClassSpec(Message, frozen=True, kw_only=True):
    config: list[DeviceClassConfiguration] | None = None
    extendedResourceName: str | None = None
    selectors: list[DeviceSelector] | None = None


class DeviceConstraint(Message, frozen=True, kw_only=True):
    distinctAttribute: str | None = None
    matchAttribute: str | None = None
    requests: list[str] | None = None


class DeviceCounterConsumption(Message, frozen=True, kw_only=True):
    counterSet: str | None = None
    counters: dict[str, Counter] | None = None


class DeviceRequest(Message, frozen=True, kw_only=True):
    adminAccess: bool | None = None
    allocationMode: str | None = None
    capacity: CapacityRequirements | None = None
    count: Int64 | None = None
    deviceClassName: str | None = None
    firstAvailable: list[DeviceSubRequest] | None = None
    name: str | None = None
    selectors: list[DeviceSelector] | None = None
    tolerations: list[DeviceToleration] | None = None


class DeviceRequestAllocationResult(Message, frozen=True, kw_only=True):
    adminAccess: bool | None = None
    bindingConditions: list[str] | None = None
    bindingFailureConditions: list[str] | None = None
    consumedCapacity: dict[str, Quantity] | None = None
    device: str | None = None
    driver: str | None = None
    pool: str | None = None
    request: str | None = None
    shareID: str | None = None
    tolerations: list[DeviceToleration] | None = None


class DeviceSelector(Message, frozen=True, kw_only=True):
    cel: CELDeviceSelector | None = None


class DeviceSubRequest(Message, frozen=True, kw_only=True):
    allocationMode: str | None = None
    capacity: CapacityRequirements | None = None
    count: Int64 | None = None
    deviceClassName: str | None = None
    name: str | None = None
    selectors: list[DeviceSelector] | None = None
    tolerations: list[DeviceToleration] | None = None


class DeviceTaint(Message, frozen=True, kw_only=True):
    effect: str | None = None
    key: str | None = None
    timeAdded: Time | None = None
    value: str | None = None


class DeviceToleration(Message, frozen=True, kw_only=True):
    effect: str | None = None
    key: str | None = None
    operator: str | None = None
    tolerationSeconds: Int64 | None = None
    value: str | None = None


class NetworkDeviceData(Message, frozen=True, kw_only=True):
    hardwareAddress: str | None = None
    interfaceName: str | None = None
    ips: list[str] | None = None


class NodeAllocatableResourceMapping(Message, frozen=True, kw_only=True):
    allocationMultiplier: Quantity | None = None
    capacityKey: str | None = None


class OpaqueDeviceConfiguration(Message, frozen=True, kw_only=True):
    driver: str | None = None
    parameters: Json = None


class ResourceClaim(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("resource.k8s.io", "v1beta1", "ResourceClaim")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: ResourceClaimSpec | None = None
    status: ResourceClaimStatus | None = None


class ResourceClaimConsumerReference(Message, frozen=True, kw_only=True):
    apiGroup: str | None = None
    name: str | None = None
    resource: str | None = None
    uid: str | None = None


class ResourceClaimList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("resource.k8s.io", "v1beta1", "ResourceClaimList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[ResourceClaim] | None = None


class ResourceClaimSpec(Message, frozen=True, kw_only=True):
    devices: DeviceClaim | None = None


class ResourceClaimStatus(Message, frozen=True, kw_only=True):
    allocation: AllocationResult | None = None
    devices: list[AllocatedDeviceStatus] | None = None
    reservedFor: list[ResourceClaimConsumerReference] | None = None


class ResourceClaimTemplate(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("resource.k8s.io", "v1beta1", "ResourceClaimTemplate")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: ResourceClaimTemplateSpec | None = None


class ResourceClaimTemplateList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("resource.k8s.io", "v1beta1", "ResourceClaimTemplateList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[ResourceClaimTemplate] | None = None


class ResourceClaimTemplateSpec(Message, frozen=True, kw_only=True):
    metadata: meta_v1.ObjectMeta | None = None
    spec: ResourceClaimSpec | None = None


class ResourcePool(Message, frozen=True, kw_only=True):
    generation: Int64 | None = None
    name: str | None = None
    resourceSliceCount: Int64 | None = None


class ResourceSlice(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("resource.k8s.io", "v1beta1", "ResourceSlice")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: ResourceSliceSpec | None = None


class ResourceSliceList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("resource.k8s.io", "v1beta1", "ResourceSliceList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[ResourceSlice] | None = None


class ResourceSliceSpec(Message, frozen=True, kw_only=True):
    allNodes: bool | None = None
    devices: list[Device] | None = None
    driver: str | None = None
    nodeName: str | None = None
    nodeSelector: core_v1.NodeSelector | None = None
    perDeviceNodeSelection: bool | None = None
    pool: ResourcePool | None = None
    sharedCounters: list[CounterSet] | None = None
