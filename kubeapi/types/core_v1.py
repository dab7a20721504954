"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from typing import ClassVar

from kubeapi.scalars import Bytes, Int32, Int64, IntOrString, Json, Message, MicroTime, Quantity, Time
from kubeapi.types import meta_v1


class AWSElasticBlockStoreVolumeSource(Message, frozen=True, kw_only=True):
    fsType: str | None = None
    partition: Int32 | None = None
    readOnly: bool | None = None
    volumeID: str | None = None


class Affinity(Message, frozen=True, kw_only=True):
    nodeAffinity: NodeAffinity | None = None
    podAffinity: PodAffinity | None = None
    podAntiAffinity: PodAntiAffinity | None = None


class AppArmorProfile(Message, frozen=True, kw_only=True):
    localhostProfile: str | None = None
    type: str | None = None


class AttachedVolume(Message, frozen=True, kw_only=True):
    devicePath: str | None = None
    name: str | None = None


class AzureDiskVolumeSource(Message, frozen=True, kw_only=True):
    kind: str | None = None
    cachingMode: str | None = None
    diskName: str | None = None
    diskURI: str | None = None
    fsType: str | None = None
    readOnly: bool | None = None


class AzureFilePersistentVolumeSource(Message, frozen=True, kw_only=True):
    readOnly: bool | None = None
    secretName: str | None = None
    secretNamespace: str | None = None
    shareName: str | None = None


class AzureFileVolumeSource(Message, frozen=True, kw_only=True):
    readOnly: bool | None = None
    secretName: str | None = None
    shareName: str | None = None


class Binding(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "Binding")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    target: ObjectReference | None = None


class CSIPersistentVolumeSource(Message, frozen=True, kw_only=True):
    controllerExpandSecretRef: SecretReference | None = None
    controllerPublishSecretRef: SecretReference | None = None
    driver: str | None = None
    fsType: str | None = None
    nodeExpandSecretRef: SecretReference | None = None
    nodePublishSecretRef: SecretReference | None = None
    nodeStageSecretRef: SecretReference | None = None
    readOnly: bool | None = None
    volumeAttributes: dict[str, str] | None = None
    volumeHandle: str | None = None


class CSIVolumeSource(Message, frozen=True, kw_only=True):
    driver: str | None = None
    fsType: str | None = None
    nodePublishSecretRef: LocalObjectReference | None = None
    readOnly: bool | None = None
    volumeAttributes: dict[str, str] | None = None


class Capabilities(Message, frozen=True, kw_only=True):
    add: list[str] | None = None
    drop: list[str] | None = None


class CephFSPersistentVolumeSource(Message, frozen=True, kw_only=True):
    monitors: list[str] | None = None
    path: str | None = None
    readOnly: bool | None = None
    secretFile: str | None = None
    secretRef: SecretReference | None = None
    user: str | None = None


class CephFSVolumeSource(Message, frozen=True, kw_only=True):
    monitors: list[str] | None = None
    path: str | None = None
    readOnly: bool | None = None
    secretFile: str | None = None
    secretRef: LocalObjectReference | None = None
    user: str | None = None


class CinderPersistentVolumeSource(Message, frozen=True, kw_only=True):
    fsType: str | None = None
    readOnly: bool | None = None
    secretRef: SecretReference | None = None
    volumeID: str | None = None


class CinderVolumeSource(Message, frozen=True, kw_only=True):
    fsType: str | None = None
    readOnly: bool | None = None
    secretRef: LocalObjectReference | None = None
    volumeID: str | None = None


class ClientIPConfig(Message, frozen=True, kw_only=True):
    timeoutSeconds: Int32 | None = None


class ClusterTrustBundleProjection(Message, frozen=True, kw_only=True):
    labelSelector: meta_v1.LabelSelector | None = None
    name: str | None = None
    optional: bool | None = None
    path: str | None = None
    signerName: str | None = None


class ComponentCondition(Message, frozen=True, kw_only=True):
    error: str | None = None
    message: str | None = None
    status: str | None = None
    type: str | None = None


class ComponentStatus(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "ComponentStatus")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    conditions: list[ComponentCondition] | None = None


class ComponentStatusList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "ComponentStatusList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[ComponentStatus] | None = None


class ConfigMap(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "ConfigMap")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    binaryData: dict[str, Bytes] | None = None
    data: dict[str, str] | None = None
    immutable: bool | None = None


class ConfigMapEnvSource(Message, frozen=True, kw_only=True):
    name: str | None = None
    optional: bool | None = None


class ConfigMapKeySelector(Message, frozen=True, kw_only=True):
    key: str | None = None
    name: str | None = None
    optional: bool | None = None


class ConfigMapList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "ConfigMapList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[ConfigMap] | None = None


class ConfigMapNodeConfigSource(Message, frozen=True, kw_only=True):
    kubeletConfigKey: str | None = None
    name: str | None = None
    namespace: str | None = None
    resourceVersion: str | None = None
    uid: str | None = None


class ConfigMapProjection(Message, frozen=True, kw_only=True):
    items: list[KeyToPath] | None = None
    name: str | None = None
    optional: bool | None = None


class ConfigMapVolumeSource(Message, frozen=True, kw_only=True):
    defaultMode: Int32 | None = None
    items: list[KeyToPath] | None = None
    name: str | None = None
    optional: bool | None = None


class Container(Message, frozen=True, kw_only=True):
    args: list[str] | None = None
    command: list[str] | None = None
    env: list[EnvVar] | None = None
    envFrom: list[EnvFromSource] | None = None
    image: str | None = None
    imagePullPolicy: str | None = None
    lifecycle: Lifecycle | None = None
    livenessProbe: Probe | None = None
    name: str | None = None
    ports: list[ContainerPort] | None = None
    readinessProbe: Probe | None = None
    resizePolicy: list[ContainerResizePolicy] | None = None
    resources: ResourceRequirements | None = None
    restartPolicy: str | None = None
    restartPolicyRules: list[ContainerRestartRule] | None = None
    securityContext: SecurityContext | None = None
    startupProbe: Probe | None = None
    stdin: bool | None = None
    stdinOnce: bool | None = None
    terminationMessagePath: str | None = None
    terminationMessagePolicy: str | None = None
    tty: bool | None = None
    volumeDevices: list[VolumeDevice] | None = None
    volumeMounts: list[VolumeMount] | None = None
    workingDir: str | None = None


class ContainerExtendedResourceRequest(Message, frozen=True, kw_only=True):
    containerName: str | None = None
    requestName: str | None = None
    resourceName: str | None = None


class ContainerImage(Message, frozen=True, kw_only=True):
    names: list[str] | None = None
    sizeBytes: Int64 | None = None


class ContainerPort(Message, frozen=True, kw_only=True):
    containerPort: Int32 | None = None
    hostIP: str | None = None
    hostPort: Int32 | None = None
    name: str | None = None
    protocol: str | None = None


class ContainerResizePolicy(Message, frozen=True, kw_only=True):
    resourceName: str | None = None
    restartPolicy: str | None = None


class ContainerRestartRule(Message, frozen=True, kw_only=True):
    action: str | None = None
    exitCodes: ContainerRestartRuleOnExitCodes | None = None


class ContainerRestartRuleOnExitCodes(Message, frozen=True, kw_only=True):
    operator: str | None = None
    values: list[Int32] | None = None


class ContainerState(Message, frozen=True, kw_only=True):
    running: ContainerStateRunning | None = None
    terminated: ContainerStateTerminated | None = None
    waiting: ContainerStateWaiting | None = None


class ContainerStateRunning(Message, frozen=True, kw_only=True):
    startedAt: Time | None = None


class ContainerStateTerminated(Message, frozen=True, kw_only=True):
    containerID: str | None = None
    exitCode: Int32 | None = None
    finishedAt: Time | None = None
    message: str | None = None
    reason: str | None = None
    signal: Int32 | None = None
    startedAt: Time | None = None


class ContainerStateWaiting(Message, frozen=True, kw_only=True):
    message: str | None = None
    reason: str | None = None


class ContainerStatus(Message, frozen=True, kw_only=True):
    allocatedResources: dict[str, Quantity] | None = None
    allocatedResourcesStatus: list[ResourceStatus] | None = None
    containerID: str | None = None
    image: str | None = None
    imageID: str | None = None
    lastState: ContainerState | None = None
    name: str | None = None
    ready: bool | None = None
    resources: ResourceRequirements | None = None
    restartCount: Int32 | None = None
    started: bool | None = None
    state: ContainerState | None = None
    stopSignal: str | None = None
    user: ContainerUser | None = None
    volumeMounts: list[VolumeMountStatus] | None = None


class ContainerUser(Message, frozen=True, kw_only=True):
    linux: LinuxContainerUser | None = None


class DaemonEndpoint(Message, frozen=True, kw_only=True):
    Port: Int32 | None = None


class DownwardAPIProjection(Message, frozen=True, kw_only=True):
    items: list[DownwardAPIVolumeFile] | None = None


class DownwardAPIVolumeFile(Message, frozen=True, kw_only=True):
    fieldRef: ObjectFieldSelector | None = None
    mode: Int32 | None = None
    path: str | None = None
    resourceFieldRef: ResourceFieldSelector | None = None


class DownwardAPIVolumeSource(Message, frozen=True, kw_only=True):
    defaultMode: Int32 | None = None
    items: list[DownwardAPIVolumeFile] | None = None


class EmptyDirVolumeSource(Message, frozen=True, kw_only=True):
    medium: str | None = None
    sizeLimit: Quantity | None = None


class EndpointAddress(Message, frozen=True, kw_only=True):
    hostname: str | None = None
    ip: str | None = None
    nodeName: str | None = None
    targetRef: ObjectReference | None = None


class EndpointPort(Message, frozen=True, kw_only=True):
    appProtocol: str | None = None
    name: str | None = None
    port: Int32 | None = None
    protocol: str | None = None


class EndpointSubset(Message, frozen=True, kw_only=True):
    addresses: list[EndpointAddress] | None = None
    notReadyAddresses: list[EndpointAddress] | None = None
    ports: list[EndpointPort] | None = None


class Endpoints(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "Endpoints")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    subsets: list[EndpointSubset] | None = None


class EndpointsList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "EndpointsList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[Endpoints] | None = None


class EnvFromSource(Message, frozen=True, kw_only=True):
    configMapRef: ConfigMapEnvSource | None = None
    prefix: str | None = None
    secretRef: SecretEnvSource | None = None


class EnvVar(Message, frozen=True, kw_only=True):
    name: str | None = None
    value: str | None = None
    valueFrom: EnvVarSource | None = None


class EnvVarSource(Message, frozen=True, kw_only=True):
    configMapKeyRef: ConfigMapKeySelector | None = None
    fieldRef: ObjectFieldSelector | None = None
    fileKeyRef: FileKeySelector | None = None
    resourceFieldRef: ResourceFieldSelector | None = None
    secretKeyRef: SecretKeySelector | None = None


class EphemeralContainer(Message, frozen=True, kw_only=True):
    args: list[str] | None = None
    command: list[str] | None = None
    env: list[EnvVar] | None = None
    envFrom: list[EnvFromSource] | None = None
    image: str | None = None
    imagePullPolicy: str | None = None
    lifecycle: Lifecycle | None = None
    livenessProbe: Probe | None = None
    name: str | None = None
    ports: list[ContainerPort] | None = None
    readinessProbe: Probe | None = None
    resizePolicy: list[ContainerResizePolicy] | None = None
    resources: ResourceRequirements | None = None
    restartPolicy: str | None = None
    restartPolicyRules: list[ContainerRestartRule] | None = None
    securityContext: SecurityContext | None = None
    startupProbe: Probe | None = None
    stdin: bool | None = None
    stdinOnce: bool | None = None
    targetContainerName: str | None = None
    terminationMessagePath: str | None = None
    terminationMessagePolicy: str | None = None
    tty: bool | None = None
    volumeDevices: list[VolumeDevice] | None = None
    volumeMounts: list[VolumeMount] | None = None
    workingDir: str | None = None


class EphemeralVolumeSource(Message, frozen=True, kw_only=True):
    volumeClaimTemplate: PersistentVolumeClaimTemplate | None = None


class Event(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "Event")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    action: str | None = None
    count: Int32 | None = None
    eventTime: MicroTime | None = None
    firstTimestamp: Time | None = None
    involvedObject: ObjectReference | None = None
    lastTimestamp: Time | None = None
    message: str | None = None
    reason: str | None = None
    related: ObjectReference | None = None
    reportingComponent: str | None = None
    reportingInstance: str | None = None
    series: EventSeries | None = None
    source: EventSource | None = None
    type: str | None = None


class EventList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "EventList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[Event] | None = None


class EventSeries(Message, frozen=True, kw_only=True):
    count: Int32 | None = None
    lastObservedTime: MicroTime | None = None


class EventSource(Message, frozen=True, kw_only=True):
    component: str | None = None
    host: str | None = None


class ExecAction(Message, frozen=True, kw_only=True):
    command: list[str] | None = None


class FCVolumeSource(Message, frozen=True, kw_only=True):
    fsType: str | None = None
    lun: Int32 | None = None
    readOnly: bool | None = None
    targetWWNs: list[str] | None = None
    wwids: list[str] | None = None


class FileKeySelector(Message, frozen=True, kw_only=True):
    key: str | None = None
    optional: bool | None = None
    path: str | None = None
    volumeName: str | None = None


class FlexPersistentVolumeSource(Message, frozen=True, kw_only=True):
    driver: str | None = None
    fsType: str | None = None
    options: dict[str, str] | None = None
    readOnly: bool | None = None
    secretRef: SecretReference | None = None


class FlexVolumeSource(Message, frozen=True, kw_only=True):
    driver: str | None = None
    fsType: str | None = None
    options: dict[str, str] | None = None
    readOnly: bool | None = None
    secretRef: LocalObjectReference | None = None


class FlockerVolumeSource(Message, frozen=True, kw_only=True):
    datasetName: str | None = None
    datasetUUID: str | None = None


class GCEPersistentDiskVolumeSource(Message, frozen=True, kw_only=True):
    fsType: str | None = None
    partition: Int32 | None = None
    pdName: str | None = None
    readOnly: bool | None = None


class GRPCAction(Message, frozen=True, kw_only=True):
    port: Int32 | None = None
    service: str | None = None


class GitRepoVolumeSource(Message, frozen=True, kw_only=True):
    directory: str | None = None
    repository: str | None = None
    revision: str | None = None


class GlusterfsPersistentVolumeSource(Message, frozen=True, kw_only=True):
    endpoints: str | None = None
    endpointsNamespace: str | None = None
    path: str | None = None
    readOnly: bool | None = None


class GlusterfsVolumeSource(Message, frozen=True, kw_only=True):
    endpoints: str | None = None
    path: str | None = None
    readOnly: bool | None = None


class HTTPGetAction(Message, frozen=True, kw_only=True):
    host: str | None = None
    httpHeaders: list[HTTPHeader] | None = None
    path: str | None = None
    port: IntOrString | None = None
    scheme: str | None = None


class HTTPHeader(Message, frozen=True, kw_only=True):
    name: str | None = None
    value: str | None = None


class HostAlias(Message, frozen=True, kw_only=True):
    hostnames: list[str] | None = None
    ip: str | None = None


class HostIP(Message, frozen=True, kw_only=True):
    ip: str | None = None


class HostPathVolumeSource(Message, frozen=True, kw_only=True):
    path: str | None = None
    type: str | None = None


class ISCSIPersistentVolumeSource(Message, frozen=True, kw_only=True):
    chapAuthDiscovery: bool | None = None
    chapAuthSession: bool | None = None
    fsType: str | None = None
    initiatorName: str | None = None
    iqn: str | None = None
    iscsiInterface: str | None = None
    lun: Int32 | None = None
    portals: list[str] | None = None
    readOnly: bool | None = None
    secretRef: SecretReference | None = None
    targetPortal: str | None = None


class ISCSIVolumeSource(Message, frozen=True, kw_only=True):
    chapAuthDiscovery: bool | None = None
    chapAuthSession: bool | None = None
    fsType: str | None = None
    initiatorName: str | None = None
    iqn: str | None = None
    iscsiInterface: str | None = None
    lun: Int32 | None = None
    portals: list[str] | None = None
    readOnly: bool | None = None
    secretRef: LocalObjectReference | None = None
    targetPortal: str | None = None


class ImageVolumeSource(Message, frozen=True, kw_only=True):
    pullPolicy: str | None = None
    reference: str | None = None


class ImageVolumeStatus(Message, frozen=True, kw_only=True):
    imageRef: str | None = None


class KeyToPath(Message, frozen=True, kw_only=True):
    key: str | None = None
    mode: Int32 | None = None
    path: str | None = None


class Lifecycle(Message, frozen=True, kw_only=True):
    postStart: LifecycleHandler | None = None
    preStop: LifecycleHandler | None = None
    stopSignal: str | None = None


class LifecycleHandler(Message, frozen=True, kw_only=True):
    exec: ExecAction | None = None
    httpGet: HTTPGetAction | None = None
    sleep: SleepAction | None = None
    tcpSocket: TCPSocketAction | None = None


class LimitRange(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "LimitRange")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: LimitRangeSpec | None = None


class LimitRangeItem(Message, frozen=True, kw_only=True):
    default: dict[str, Quantity] | None = None
    defaultRequest: dict[str, Quantity] | None = None
    max: dict[str, Quantity] | None = None
    maxLimitRequestRatio: dict[str, Quantity] | None = None
    min: dict[str, Quantity] | None = None
    type: str | None = None


class LimitRangeList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "LimitRangeList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[LimitRange] | None = None


class LimitRangeSpec(Message, frozen=True, kw_only=True):
    limits: list[LimitRangeItem] | None = None


class LinuxContainerUser(Message, frozen=True, kw_only=True):
    gid: Int64 | None = None
    supplementalGroups: list[Int64] | None = None
    uid: Int64 | None = None


class List(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "List")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[Json] | None = None


class LoadBalancerIngress(Message, frozen=True, kw_only=True):
    hostname: str | None = None
    ip: str | None = None
    ipMode: str | None = None
    ports: list[PortStatus] | None = None


class LoadBalancerStatus(Message, frozen=True, kw_only=True):
    ingress: list[LoadBalancerIngress] | None = None


class LocalObjectReference(Message, frozen=True, kw_only=True):
    name: str | None = None


class LocalVolumeSource(Message, frozen=True, kw_only=True):
    fsType: str | None = None
    path: str | None = None


class ModifyVolumeStatus(Message, frozen=True, kw_only=True):
    status: str | None = None
    targetVolumeAttributesClassName: str | None = None


class NFSVolumeSource(Message, frozen=True, kw_only=True):
    path: str | None = None
    readOnly: bool | None = None
    server: str | None = None


class Namespace(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "Namespace")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: NamespaceSpec | None = None
    status: NamespaceStatus | None = None


class NamespaceCondition(Message, frozen=True, kw_only=True):
    lastTransitionTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: str | None = None
    type: str | None = None


class NamespaceList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "NamespaceList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[Namespace] | None = None


class NamespaceSpec(Message, frozen=True, kw_only=True):
    finalizers: list[str] | None = None


class NamespaceStatus(Message, frozen=True, kw_only=True):
    conditions: list[NamespaceCondition] | None = None
    phase: str | None = None


class Node(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "Node")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: NodeSpec | None = None
    status: NodeStatus | None = None


class NodeAddress(Message, frozen=True, kw_only=True):
    address: str | None = None
    type: str | None = None


class NodeAffinity(Message, frozen=True, kw_only=True):
    preferredDuringSchedulingIgnoredDuringExecution: list[PreferredSchedulingTerm] | None = None
    requiredDuringSchedulingIgnoredDuringExecution: NodeSelector | None = None


class NodeAllocatableResourceClaimStatus(Message, frozen=True, kw_only=True):
    containers: list[str] | None = None
    resourceClaimName: str | None = None
    resources: dict[str, Quantity] | None = None


class NodeCondition(Message, frozen=True, kw_only=True):
    lastHeartbeatTime: Time | None = None
    lastTransitionTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: str | None = None
    type: str | None = None


class NodeConfigSource(Message, frozen=True, kw_only=True):
    configMap: ConfigMapNodeConfigSource | None = None


class NodeConfigStatus(Message, frozen=True, kw_only=True):
    active: NodeConfigSource | None = None
    assigned: NodeConfigSource | None = None
    error: str | None = None
    lastKnownGood: NodeConfigSource | None = None


class NodeDaemonEndpoints(Message, frozen=True, kw_only=True):
    kubeletEndpoint: DaemonEndpoint | None = None


class NodeFeatures(Message, frozen=True, kw_only=True):
    supplementalGroupsPolicy: bool | None = None


class NodeList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "NodeList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[Node] | None = None


class NodeRuntimeHandler(Message, frozen=True, kw_only=True):
    features: NodeRuntimeHandlerFeatures | None = None
    name: str | None = None


class NodeRuntimeHandlerFeatures(Message, frozen=True, kw_only=True):
    recursiveReadOnlyMounts: bool | None = None
    userNamespaces: bool | None = None


class NodeSelector(Message, frozen=True, kw_only=True):
    nodeSelectorTerms: list[NodeSelectorTerm] | None = None


class NodeSelectorRequirement(Message, frozen=True, kw_only=True):
    key: str | None = None
    operator: str | None = None
    values: list[str] | None = None


class NodeSelectorTerm(Message, frozen=True, kw_only=True):
    matchExpressions: list[NodeSelectorRequirement] | None = None
    matchFields: list[NodeSelectorRequirement] | None = None


class NodeSpec(Message, frozen=True, kw_only=True):
    configSource: NodeConfigSource | None = None
    externalID: str | None = None
    podCIDR: str | None = None
    podCIDRs: list[str] | None = None
    providerID: str | None = None
    taints: list[Taint] | None = None
    unschedulable: bool | None = None


class NodeStatus(Message, frozen=True, kw_only=True):
    addresses: list[NodeAddress] | None = None
    allocatable: dict[str, Quantity] | None = None
    capacity: dict[str, Quantity] | None = None
    conditions: list[NodeCondition] | None = None
    config: NodeConfigStatus | None = None
    daemonEndpoints: NodeDaemonEndpoints | None = None
    declaredFeatures: list[str] | None = None
    features: NodeFeatures | None = None
    images: list[ContainerImage] | None = None
    nodeInfo: NodeSystemInfo | None = None
    phase: str | None = None
    runtimeHandlers: list[NodeRuntimeHandler] | None = None
    volumesAttached: list[AttachedVolume] | None = None
    volumesInUse: list[str] | None = None


class NodeSwapStatus(Message, frozen=True, kw_only=True):
    capacity: Int64 | None = None


class NodeSystemInfo(Message, frozen=True, kw_only=True):
    architecture: str | None = None
    bootID: str | None = None
    containerRuntimeVersion: str | None = None
    kernelVersion: str | None = None
    kubeProxyVersion: str | None = None
    kubeletVersion: str | None = None
    machineID: str | None = None
    operatingSystem: str | None = None
    osImage: str | None = None
    swap: NodeSwapStatus | None = None
    systemUUID: str | None = None


class ObjectFieldSelector(Message, frozen=True, kw_only=True):
    apiVersion: str | None = None
    fieldPath: str | None = None


class ObjectReference(Message, frozen=True, kw_only=True):
    kind: str | None = None
    apiVersion: str | None = None
    fieldPath: str | None = None
    name: str | None = None
    namespace: str | None = None
    resourceVersion: str | None = None
    uid: str | None = None


class PersistentVolume(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "PersistentVolume")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: PersistentVolumeSpec | None = None
    status: PersistentVolumeStatus | None = None


class PersistentVolumeClaim(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "PersistentVolumeClaim")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: PersistentVolumeClaimSpec | None = None
    status: PersistentVolumeClaimStatus | None = None


class PersistentVolumeClaimCondition(Message, frozen=True, kw_only=True):
    lastProbeTime: Time | None = None
    lastTransitionTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: str | None = None
    type: str | None = None


class PersistentVolumeClaimList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "PersistentVolumeClaimList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[PersistentVolumeClaim] | None = None


class PersistentVolumeClaimSpec(Message, frozen=True, kw_only=True):
    accessModes: list[str] | None = None
    dataSource: TypedLocalObjectReference | None = None
    dataSourceRef: TypedObjectReference | None = None
    resources: VolumeResourceRequirements | None = None
    selector: meta_v1.LabelSelector | None = None
    storageClassName: str | None = None
    volumeAttributesClassName: str | None = None
    volumeMode: str | None = None
    volumeName: str | None = None


class PersistentVolumeClaimStatus(Message, frozen=True, kw_only=True):
    accessModes: list[str] | None = None
    allocatedResourceStatuses: dict[str, str] | None = None
    allocatedResources: dict[str, Quantity] | None = None
    capacity: dict[str, Quantity] | None = None
    conditions: list[PersistentVolumeClaimCondition] | None = None
    currentVolumeAttributesClassName: str | None = None
    modifyVolumeStatus: ModifyVolumeStatus | None = None
    phase: str | None = None


class PersistentVolumeClaimTemplate(Message, frozen=True, kw_only=True):
    metadata: meta_v1.ObjectMeta | None = None
    spec: PersistentVolumeClaimSpec | None = None


class PersistentVolumeClaimVolumeSource(Message, frozen=True, kw_only=True):
    claimName: str | None = None
    readOnly: bool | None = None


class PersistentVolumeList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "PersistentVolumeList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[PersistentVolume] | None = None


class PersistentVolumeSpec(Message, frozen=True, kw_only=True):
    accessModes: list[str] | None = None
    awsElasticBlockStore: AWSElasticBlockStoreVolumeSource | None = None
    azureDisk: AzureDiskVolumeSource | None = None
    azureFile: AzureFilePersistentVolumeSource | None = None
    capacity: dict[str, Quantity] | None = None
    cephfs: CephFSPersistentVolumeSource | None = None
    cinder: CinderPersistentVolumeSource | None = None
    claimRef: ObjectReference | None = None
    csi: CSIPersistentVolumeSource | None = None
    fc: FCVolumeSource | None = None
    flexVolume: FlexPersistentVolumeSource | None = None
    flocker: FlockerVolumeSource | None = None
    gcePersistentDisk: GCEPersistentDiskVolumeSource | None = None
    glusterfs: GlusterfsPersistentVolumeSource | None = None
    hostPath: HostPathVolumeSource | None = None
    iscsi: ISCSIPersistentVolumeSource | None = None
    local: LocalVolumeSource | None = None
    mountOptions: list[str] | None = None
    nfs: NFSVolumeSource | None = None
    nodeAffinity: VolumeNodeAffinity | None = None
    persistentVolumeReclaimPolicy: str | None = None
    photonPersistentDisk: PhotonPersistentDiskVolumeSource | None = None
    portworxVolume: PortworxVolumeSource | None = None
    quobyte: QuobyteVolumeSource | None = None
    rbd: RBDPersistentVolumeSource | None = None
    scaleIO: ScaleIOPersistentVolumeSource | None = None
    storageClassName: str | None = None
    storageos: StorageOSPersistentVolumeSource | None = None
    volumeAttributesClassName: str | None = None
    volumeMode: str | None = None
    vsphereVolume: VsphereVirtualDiskVolumeSource | None = None


class PersistentVolumeStatus(Message, frozen=True, kw_only=True):
    lastPhaseTransitionTime: Time | None = None
    message: str | None = None
    phase: str | None = None
    reason: str | None = None


class PhotonPersistentDiskVolumeSource(Message, frozen=True, kw_only=True):
    fsType: str | None = None
    pdID: str | None = None


class Pod(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "Pod")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: PodSpec | None = None
    status: PodStatus | None = None


class PodAffinity(Message, frozen=True, kw_only=True):
    preferredDuringSchedulingIgnoredDuringExecution: list[WeightedPodAffinityTerm] | None = None
    requiredDuringSchedulingIgnoredDuringExecution: list[PodAffinityTerm] | None = None


class PodAffinityTerm(Message, frozen=True, kw_only=True):
    labelSelector: meta_v1.LabelSelector | None = None
    matchLabelKeys: list[str] | None = None
    mismatchLabelKeys: list[str] | None = None
    namespaceSelector: meta_v1.LabelSelector | None = None
    namespaces: list[str] | None = None
    topologyKey: str | None = None


class PodAntiAffinity(Message, frozen=True, kw_only=True):
    preferredDuringSchedulingIgnoredDuringExecution: list[WeightedPodAffinityTerm] | None = None
    requiredDuringSchedulingIgnoredDuringExecution: list[PodAffinityTerm] | None = None


class PodCertificateProjection(Message, frozen=True, kw_only=True):
    certificateChainPath: str | None = None
    credentialBundlePath: str | None = None
    keyPath: str | None = None
    keyType: str | None = None
    maxExpirationSeconds: Int32 | None = None
    signerName: str | None = None
    userAnnotations: dict[str, str] | None = None


class PodCondition(Message, frozen=True, kw_only=True):
    lastProbeTime: Time | None = None
    lastTransitionTime: Time | None = None
    message: str | None = None
    observedGeneration: Int64 | None = None
    reason: str | None = None
    status: str | None = None
    type: str | None = None


class PodDNSConfig(Message, frozen=True, kw_only=True):
    nameservers: list[str] | None = None
    options: list[PodDNSConfigOption] | None = None
    searches: list[str] | None = None


class PodDNSConfigOption(Message, frozen=True, kw_only=True):
    name: str | None = None
    value: str | None = None


class PodExtendedResourceClaimStatus(Message, frozen=True, kw_only=True):
    requestMappings: list[ContainerExtendedResourceRequest] | None = None
    resourceClaimName: str | None = None


class PodIP(Message, frozen=True, kw_only=True):
    ip: str | None = None


class PodList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "PodList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[Pod] | None = None


class PodOS(Message, frozen=True, kw_only=True):
    name: str | None = None


class PodReadinessGate(Message, frozen=True, kw_only=True):
    conditionType: str | None = None


class PodResourceClaim(Message, frozen=True, kw_only=True):
    name: str | None = None
    resourceClaimName: str | None = None
    resourceClaimTemplateName: str | None = None


class PodResourceClaimStatus(Message, frozen=True, kw_only=True):
    name: str | None = None
    resourceClaimName: str | None = None


class PodSchedulingGate(Message, frozen=True, kw_only=True):
    name: str | None = None


class PodSchedulingGroup(Message, frozen=True, kw_only=True):
    podGroupName: str | None = None


class PodSecurityContext(Message, frozen=True, kw_only=True):
    appArmorProfile: AppArmorProfile | None = None
    fsGroup: Int64 | None = None
    fsGroupChangePolicy: str | None = None
    runAsGroup: Int64 | None = None
    runAsNonRoot: bool | None = None
    runAsUser: Int64 | None = None
    seLinuxChangePolicy: str | None = None
    seLinuxOptions: SELinuxOptions | None = None
    seccompProfile: SeccompProfile | None = None
    supplementalGroups: list[Int64] | None = None
    supplementalGroupsPolicy: str | None = None
    sysctls: list[Sysctl] | None = None
    windowsOptions: WindowsSecurityContextOptions | None = None


class PodSpec(Message, frozen=True, kw_only=True):
    activeDeadlineSeconds: Int64 | None = None
    affinity: Affinity | None = None
    automountServiceAccountToken: bool | None = None
    containers: list[Container] | None = None
    dnsConfig: PodDNSConfig | None = None
    dnsPolicy: str | None = None
    enableServiceLinks: bool | None = None
    ephemeralContainers: list[EphemeralContainer] | None = None
    hostAliases: list[HostAlias] | None = None
    hostIPC: bool | None = None
    hostNetwork: bool | None = None
    hostPID: bool | None = None
    hostUsers: bool | None = None
    hostname: str | None = None
    hostnameOverride: str | None = None
    imagePullSecrets: list[LocalObjectReference] | None = None
    initContainers: list[Container] | None = None
    nodeName: str | None = None
    nodeSelector: dict[str, str] | None = None
    os: PodOS | None = None
    overhead: dict[str, Quantity] | None = None
    preemptionPolicy: str | None = None
    priority: Int32 | None = None
    priorityClassName: str | None = None
    readinessGates: list[PodReadinessGate] | None = None
    resourceClaims: list[PodResourceClaim] | None = None
    resources: ResourceRequirements | None = None
    restartPolicy: str | None = None
    runtimeClassName: str | None = None
    schedulerName: str | None = None
    schedulingGates: list[PodSchedulingGate] | None = None
    schedulingGroup: PodSchedulingGroup | None = None
    securityContext: PodSecurityContext | None = None
    serviceAccount: str | None = None
    serviceAccountName: str | None = None
    setHostnameAsFQDN: bool | None = None
    shareProcessNamespace: bool | None = None
    subdomain: str | None = None
    terminationGracePeriodSeconds: Int64 | None = None
    tolerations: list[Toleration] | None = None
    topologySpreadConstraints: list[TopologySpreadConstraint] | None = None
    volumes: list[Volume] | None = None


class PodStatus(Message, frozen=True, kw_only=True):
    allocatedResources: dict[str, Quantity] | None = None
    conditions: list[PodCondition] | None = None
    containerStatuses: list[ContainerStatus] | None = None
    ephemeralContainerStatuses: list[ContainerStatus] | None = None
    extendedResourceClaimStatus: PodExtendedResourceClaimStatus | None = None
    hostIP: str | None = None
    hostIPs: list[HostIP] | None = None
    initContainerStatuses: list[ContainerStatus] | None = None
    message: str | None = None
    nodeAllocatableResourceClaimStatuses: list[NodeAllocatableResourceClaimStatus] | None = None
    nominatedNodeName: str | None = None
    observedGeneration: Int64 | None = None
    phase: str | None = None
    podIP: str | None = None
    podIPs: list[PodIP] | None = None
    qosClass: str | None = None
    reason: str | None = None
    resize: str | None = None
    resourceClaimStatuses: list[PodResourceClaimStatus] | None = None
    resources: ResourceRequirements | None = None
    startTime: Time | None = None


class PodTemplate(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "PodTemplate")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    template: PodTemplateSpec | None = None


class PodTemplateList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "PodTemplateList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[PodTemplate] | None = None


class PodTemplateSpec(Message, frozen=True, kw_only=True):
    metadata: meta_v1.ObjectMeta | None = None
    spec: PodSpec | None = None


class PortStatus(Message, frozen=True, kw_only=True):
    error: str | None = None
    port: Int32 | None = None
    protocol: str | None = None


class PortworxVolumeSource(Message, frozen=True, kw_only=True):
    fsType: str | None = None
    readOnly: bool | None = None
    volumeID: str | None = None


class PreferredSchedulingTerm(Message, frozen=True, kw_only=True):
    preference: NodeSelectorTerm | None = None
    weight: Int32 | None = None


class Probe(Message, frozen=True, kw_only=True):
    exec: ExecAction | None = None
    failureThreshold: Int32 | None = None
    grpc: GRPCAction | None = None
    httpGet: HTTPGetAction | None = None
    initialDelaySeconds: Int32 | None = None
    periodSeconds: Int32 | None = None
    successThreshold: Int32 | None = None
    tcpSocket: TCPSocketAction | None = None
    terminationGracePeriodSeconds: Int64 | None = None
    timeoutSeconds: Int32 | None = None


class ProjectedVolumeSource(Message, frozen=True, kw_only=True):
    defaultMode: Int32 | None = None
    sources: list[VolumeProjection] | None = None


class QuobyteVolumeSource(Message, frozen=True, kw_only=True):
    group: str | None = None
    readOnly: bool | None = None
    registry: str | None = None
    tenant: str | None = None
    user: str | None = None
    volume: str | None = None


class RBDPersistentVolumeSource(Message, frozen=True, kw_only=True):
    fsType: str | None = None
    image: str | None = None
    keyring: str | None = None
    monitors: list[str] | None = None
    pool: str | None = None
    readOnly: bool | None = None
    secretRef: SecretReference | None = None
    user: str | None = None


class RBDVolumeSource(Message, frozen=True, kw_only=True):
    fsType: str | None = None
    image: str | None = None
    keyring: str | None = None
    monitors: list[str] | None = None
    pool: str | None = None
    readOnly: bool | None = None
    secretRef: LocalObjectReference | None = None
    user: str | None = None


class ReplicationController(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "ReplicationController")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: ReplicationControllerSpec | None = None
    status: ReplicationControllerStatus | None = None


class ReplicationControllerCondition(Message, frozen=True, kw_only=True):
    lastTransitionTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: str | None = None
    type: str | None = None


class ReplicationControllerList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "ReplicationControllerList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[ReplicationController] | None = None


class ReplicationControllerSpec(Message, frozen=True, kw_only=True):
    minReadySeconds: Int32 | None = None
    replicas: Int32 | None = None
    selector: dict[str, str] | None = None
    template: PodTemplateSpec | None = None


class ReplicationControllerStatus(Message, frozen=True, kw_only=True):
    availableReplicas: Int32 | None = None
    conditions: list[ReplicationControllerCondition] | None = None
    fullyLabeledReplicas: Int32 | None = None
    observedGeneration: Int64 | None = None
    readyReplicas: Int32 | None = None
    replicas: Int32 | None = None


class ResourceClaim(Message, frozen=True, kw_only=True):
    name: str | None = None
    request: str | None = None


class ResourceFieldSelector(Message, frozen=True, kw_only=True):
    containerName: str | None = None
    divisor: Quantity | None = None
    resource: str | None = None


class ResourceHealth(Message, frozen=True, kw_only=True):
    health: str | None = None
    message: str | None = None
    resourceID: str | None = None


class ResourceQuota(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "ResourceQuota")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: ResourceQuotaSpec | None = None
    status: ResourceQuotaStatus | None = None


class ResourceQuotaList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "ResourceQuotaList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[ResourceQuota] | None = None


class ResourceQuotaSpec(Message, frozen=True, kw_only=True):
    hard: dict[str, Quantity] | None = None
    scopeSelector: ScopeSelector | None = None
    scopes: list[str] | None = None


class ResourceQuotaStatus(Message, frozen=True, kw_only=True):
    hard: dict[str, Quantity] | None = None
    used: dict[str, Quantity] | None = None


class ResourceRequirements(Message, frozen=True, kw_only=True):
    claims: list[ResourceClaim] | None = None
    limits: dict[str, Quantity] | None = None
    requests: dict[str, Quantity] | None = None


class ResourceStatus(Message, frozen=True, kw_only=True):
    name: str | None = None
    resources: list[ResourceHealth] | None = None


class SELinuxOptions(Message, frozen=True, kw_only=True):
    level: str | None = None
    role: str | None = None
    type: str | None = None
    user: str | None = None


class ScaleIOPersistentVolumeSource(Message, frozen=True, kw_only=True):
    fsType: str | None = None
    gateway: str | None = None
    protectionDomain: str | None = None
    readOnly: bool | None = None
    secretRef: SecretReference | None = None
    sslEnabled: bool | None = None
    storageMode: str | None = None
    storagePool: str | None = None
    system: str | None = None
    volumeName: str | None = None


class ScaleIOVolumeSource(Message, frozen=True, kw_only=True):
    fsType: str | None = None
    gateway: str | None = None
    protectionDomain: str | None = None
    readOnly: bool | None = None
    secretRef: LocalObjectReference | None = None
    sslEnabled: bool | None = None
    storageMode: str | None = None
    storagePool: str | None = None
    system: str | None = None
    volumeName: str | None = None


class ScopeSelector(Message, frozen=True, kw_only=True):
    matchExpressions: list[ScopedResourceSelectorRequirement] | None = None


class ScopedResourceSelectorRequirement(Message, frozen=True, kw_only=True):
    operator: str | None = None
    scopeName: str | None = None
    values: list[str] | None = None


class SeccompProfile(Message, frozen=True, kw_only=True):
    localhostProfile: str | None = None
    type: str | None = None


class Secret(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "Secret")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    data: dict[str, Bytes] | None = None
    immutable: bool | None = None
    stringData: dict[str, str] | None = None
    type: str | None = None


class SecretEnvSource(Message, frozen=True, kw_only=True):
    name: str | None = None
    optional: bool | None = None


class SecretKeySelector(Message, frozen=True, kw_only=True):
    key: str | None = None
    name: str | None = None
    optional: bool | None = None


class SecretList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "SecretList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[Secret] | None = None


class SecretProjection(Message, frozen=True, kw_only=True):
    items: list[KeyToPath] | None = None
    name: str | None = None
    optional: bool | None = None


class SecretReference(Message, frozen=True, kw_only=True):
    name: str | None = None
    namespace: str | None = None


class SecretVolumeSource(Message, frozen=True, kw_only=True):
    defaultMode: Int32 | None = None
    items: list[KeyToPath] | None = None
    optional: bool | None = None
    secretName: str | None = None


class SecurityContext(Message, frozen=True, kw_only=True):
    allowPrivilegeEscalation: bool | None = None
    appArmorProfile: AppArmorProfile | None = None
    capabilities: Capabilities | None = None
    privileged: bool | None = None
    procMount: str | None = None
    readOnlyRootFilesystem: bool | None = None
    runAsGroup: Int64 | None = None
    runAsNonRoot: bool | None = None
    runAsUser: Int64 | None = None
    seLinuxOptions: SELinuxOptions | None = None
    seccompProfile: SeccompProfile | None = None
    windowsOptions: WindowsSecurityContextOptions | None = None


class Service(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "Service")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: ServiceSpec | None = None
    status: ServiceStatus | None = None


class ServiceAccount(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "ServiceAccount")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    automountServiceAccountToken: bool | None = None
    imagePullSecrets: list[LocalObjectReference] | None = None
    secrets: list[ObjectReference] | None = None


class ServiceAccountList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "ServiceAccountList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[ServiceAccount] | None = None


class ServiceAccountTokenProjection(Message, frozen=True, kw_only=True):
    audience: str | None = None
    expirationSeconds: Int64 | None = None
    path: str | None = None


class ServiceList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "ServiceList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[Service] | None = None


class ServicePort(Message, frozen=True, kw_only=True):
    appProtocol: str | None = None
    name: str | None = None
    nodePort: Int32 | None = None
    port: Int32 | None = None
    protocol: str | None = None
    targetPort: IntOrString | None = None


class ServiceSpec(Message, frozen=True, kw_only=True):
    allocateLoadBalancerNodePorts: bool | None = None
    clusterIP: str | None = None
    clusterIPs: list[str] | None = None
    externalIPs: list[str] | None = None
    externalName: str | None = None
    externalTrafficPolicy: str | None = None
    healthCheckNodePort: Int32 | None = None
    internalTrafficPolicy: str | None = None
    ipFamilies: list[str] | None = None
    ipFamilyPolicy: str | None = None
    loadBalancerClass: str | None = None
    loadBalancerIP: str | None = None
    loadBalancerSourceRanges: list[str] | None = None
    ports: list[ServicePort] | None = None
    publishNotReadyAddresses: bool | None = None
    selector: dict[str, str] | None = None
    sessionAffinity: str | None = None
    sessionAffinityConfig: SessionAffinityConfig | None = None
    trafficDistribution: str | None = None
    type: str | None = None


class ServiceStatus(Message, frozen=True, kw_only=True):
    conditions: list[meta_v1.Condition] | None = None
    loadBalancer: LoadBalancerStatus | None = None


class SessionAffinityConfig(Message, frozen=True, kw_only=True):
    clientIP: ClientIPConfig | None = None


class SleepAction(Message, frozen=True, kw_only=True):
    seconds: Int64 | None = None


class StorageOSPersistentVolumeSource(Message, frozen=True, kw_only=True):
    fsType: str | None = None
    readOnly: bool | None = None
    secretRef: ObjectReference | None = None
    volumeName: str | None = None
    volumeNamespace: str | None = None


class StorageOSVolumeSource(Message, frozen=True, kw_only=True):
    fsType: str | None = None
    readOnly: bool | None = None
    secretRef: LocalObjectReference | None = None
    volumeName: str | None = None
    volumeNamespace: str | None = None


class Sysctl(Message, frozen=True, kw_only=True):
    name: str | None = None
    value: str | None = None


class TCPSocketAction(Message, frozen=True, kw_only=True):
    host: str | None = None
    port: IntOrString | None = None


class Taint(Message, frozen=True, kw_only=True):
    effect: str | None = None
    key: str | None = None
    timeAdded: Time | None = None
    value: str | None = None


class Toleration(Message, frozen=True, kw_only=True):
    effect: str | None = None
    key: str | None = None
    operator: str | None = None
    tolerationSeconds: Int64 | None = None
    value: str | None = None


class TopologySelectorLabelRequirement(Message, frozen=True, kw_only=True):
    key: str | None = None
    values: list[str] | None = None


class TopologySelectorTerm(Message, frozen=True, kw_only=True):
    matchLabelExpressions: list[TopologySelectorLabelRequirement] | None = None


class TopologySpreadConstraint(Message, frozen=True, kw_only=True):
    labelSelector: meta_v1.LabelSelector | None = None
    matchLabelKeys: list[str] | None = None
    maxSkew: Int32 | None = None
    minDomains: Int32 | None = None
    nodeAffinityPolicy: str | None = None
    nodeTaintsPolicy: str | None = None
    topologyKey: str | None = None
    whenUnsatisfiable: str | None = None


class TypedLocalObjectReference(Message, frozen=True, kw_only=True):
    kind: str | None = None
    apiGroup: str | None = None
    name: str | None = None


class TypedObjectReference(Message, frozen=True, kw_only=True):
    kind: str | None = None
    apiGroup: str | None = None
    name: str | None = None
    namespace: str | None = None


class Volume(Message, frozen=True, kw_only=True):
    awsElasticBlockStore: AWSElasticBlockStoreVolumeSource | None = None
    azureDisk: AzureDiskVolumeSource | None = None
    azureFile: AzureFileVolumeSource | None = None
    cephfs: CephFSVolumeSource | None = None
    cinder: CinderVolumeSource | None = None
    configMap: ConfigMapVolumeSource | None = None
    csi: CSIVolumeSource | None = None
    downwardAPI: DownwardAPIVolumeSource | None = None
    emptyDir: EmptyDirVolumeSource | None = None
    ephemeral: EphemeralVolumeSource | None = None
    fc: FCVolumeSource | None = None
    flexVolume: FlexVolumeSource | None = None
    flocker: FlockerVolumeSource | None = None
    gcePersistentDisk: GCEPersistentDiskVolumeSource | None = None
    gitRepo: GitRepoVolumeSource | None = None
    glusterfs: GlusterfsVolumeSource | None = None
    hostPath: HostPathVolumeSource | None = None
    image: ImageVolumeSource | None = None
    iscsi: ISCSIVolumeSource | None = None
    name: str | None = None
    nfs: NFSVolumeSource | None = None
    persistentVolumeClaim: PersistentVolumeClaimVolumeSource | None = None
    photonPersistentDisk: PhotonPersistentDiskVolumeSource | None = None
    portworxVolume: PortworxVolumeSource | None = None
    projected: ProjectedVolumeSource | None = None
    quobyte: QuobyteVolumeSource | None = None
    rbd: RBDVolumeSource | None = None
    scaleIO: ScaleIOVolumeSource | None = None
    secret: SecretVolumeSource | None = None
    storageos: StorageOSVolumeSource | None = None
    vsphereVolume: VsphereVirtualDiskVolumeSource | None = None


class VolumeDevice(Message, frozen=True, kw_only=True):
    devicePath: str | None = None
    name: str | None = None


class VolumeMount(Message, frozen=True, kw_only=True):
    mountPath: str | None = None
    mountPropagation: str | None = None
    name: str | None = None
    readOnly: bool | None = None
    recursiveReadOnly: str | None = None
    subPath: str | None = None
    subPathExpr: str | None = None


class VolumeMountStatus(Message, frozen=True, kw_only=True):
    mountPath: str | None = None
    name: str | None = None
    readOnly: bool | None = None
    recursiveReadOnly: str | None = None
    volumeStatus: VolumeStatus | None = None


class VolumeNodeAffinity(Message, frozen=True, kw_only=True):
    required: NodeSelector | None = None


class VolumeProjection(Message, frozen=True, kw_only=True):
    clusterTrustBundle: ClusterTrustBundleProjection | None = None
    configMap: ConfigMapProjection | None = None
    downwardAPI: DownwardAPIProjection | None = None
    podCertificate: PodCertificateProjection | None = None
    secret: SecretProjection | None = None
    serviceAccountToken: ServiceAccountTokenProjection | None = None


class VolumeResourceRequirements(Message, frozen=True, kw_only=True):
    limits: dict[str, Quantity] | None = None
    requests: dict[str, Quantity] | None = None


class VolumeStatus(Message, frozen=True, kw_only=True):
    image: ImageVolumeStatus | None = None


class VsphereVirtualDiskVolumeSource(Message, frozen=True, kw_only=True):
    fsType: str | None = None
    storagePolicyID: str | None = None
    storagePolicyName: str | None = None
    volumePath: str | None = None


class WeightedPodAffinityTerm(Message, frozen=True, kw_only=True):
    podAffinityTerm: PodAffinityTerm | None = None
    weight: Int32 | None = None


class WindowsSecurityContextOptions(Message, frozen=True, kw_only=True):
    gmsaCredentialSpec: str | None = None
    gmsaCredentialSpecName: str | None = None
    hostProcess: bool | None = None
    runAsUserName: str | None = None
