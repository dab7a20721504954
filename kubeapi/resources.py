"""Every resource that the API serves, as data: routes, discovery, OpenAPI and clients read it.

A new kind is one row here and, in the server, one strategy. Rows are in the order of discovery;
the first version of a group is the preferred one. Source: the discovery document of 1.36.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

_ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_PROXY_VERBS = ("create", "delete", "get", "patch", "update")
_PART_VERBS = ("get", "patch", "update")
_SUBRESOURCE_VERBS: dict[str, tuple[str, ...]] = {
    "approval": _PART_VERBS,
    "attach": ("create", "get"),
    "binding": ("create",),
    "ephemeralcontainers": _PART_VERBS,
    "eviction": ("create",),
    "exec": ("create", "get"),
    "finalize": ("update",),
    "log": ("get",),
    "portforward": ("create", "get"),
    "proxy": _PROXY_VERBS,
    "resize": _PART_VERBS,
    "scale": _PART_VERBS,
    "status": _PART_VERBS,
    "token": ("create",),
}
# What a subresource takes and answers, where that is not the object itself: (group, version, kind).
SUBRESOURCE_KINDS: Mapping[str, tuple[str, str, str]] = {
    "pods/attach": ("", "v1", "PodAttachOptions"),
    "pods/binding": ("", "v1", "Binding"),
    "pods/eviction": ("policy", "v1", "Eviction"),
    "pods/exec": ("", "v1", "PodExecOptions"),
    "pods/portforward": ("", "v1", "PodPortForwardOptions"),
    "pods/proxy": ("", "v1", "PodProxyOptions"),
    "services/proxy": ("", "v1", "ServiceProxyOptions"),
    "nodes/proxy": ("", "v1", "NodeProxyOptions"),
    "serviceaccounts/token": ("authentication.k8s.io", "v1", "TokenRequest"),
    "deployments/scale": ("autoscaling", "v1", "Scale"),
    "replicasets/scale": ("autoscaling", "v1", "Scale"),
    "statefulsets/scale": ("autoscaling", "v1", "Scale"),
    "replicationcontrollers/scale": ("autoscaling", "v1", "Scale"),
}
# The module of a group's classes is named by the first word of the group, but for these.
_MODULE_NAMES = {
    "": "core",
    "flowcontrol.apiserver.k8s.io": "flowcontrol",
    "internal.apiserver.k8s.io": "apiserverinternal",
    "meta.k8s.io": "meta",
    "rbac.authorization.k8s.io": "rbac",
}


Kind = type[Any]


@dataclass(frozen=True)
class ResourceInfo:
    """One resource of one group and version.

    `stored_as` is the (group, version) in which its objects are stored: kinds that are served in
    two versions, and events in two groups, are one set of objects. `kubeapi.convert` converts.
    """

    group: str
    version: str
    resource: str
    kind: str
    namespaced: bool
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = _ALL_VERBS
    subresources: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    stored_as: tuple[str, str] = ("", "")

    @property
    def singular(self) -> str:
        return self.kind.lower()

    @cached_property
    def api_version(self) -> str:
        """As objects have it: "v1", "apps/v1"."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @cached_property
    def type(self) -> Kind:
        """The class of its objects; its module is imported on first use."""
        return kind_class(self.group, self.version, self.kind)

    @cached_property
    def list_type(self) -> Kind:
        return kind_class(self.group, self.version, f"{self.kind}List")

    @property
    def is_storage_version(self) -> bool:
        return self.stored_as == (self.group, self.version)

    @property
    def storage(self) -> "ResourceInfo":
        """The resource whose objects these are."""
        return BY_PATH[*self.stored_as, self.resource]


def _module_name(group: str, version: str) -> str:
    return f"{_MODULE_NAMES.get(group, group.partition('.')[0])}_{version}"


def kind_class(group: str, version: str, kind: str) -> Kind:
    """The class of a kind, also of one that is no resource (Scale, Status). KeyError if none."""
    home = _module_name(group, version)
    homes = (home, f"meta_{version}") if not group else (home,)
    for home in homes:
        # What a body names is not imported unless it is one of ours.
        if home not in _MODULES:
            continue
        found = getattr(importlib.import_module(f"kubeapi.types.{home}"), kind, None)
        if isinstance(found, type) and getattr(found, "GVK", None) == (group, version, kind):
            return found
    raise KeyError((group, version, kind))


@dataclass(frozen=True)
class _Row:
    resource: str
    kind: str
    namespaced: bool
    short: str = ""
    categories: str = ""
    subs: str = ""
    verbs: str = ""
    stored: str = ""


def _namespaced(resource: str, kind: str, **rest: str) -> _Row:
    return _Row(resource, kind, True, **rest)


def _cluster(resource: str, kind: str, **rest: str) -> _Row:
    return _Row(resource, kind, False, **rest)


_TABLE: dict[str, tuple[_Row, ...]] = {
    "v1": (
        _namespaced("bindings", "Binding", verbs="create"),
        _cluster("componentstatuses", "ComponentStatus", short="cs", verbs="get list"),
        _namespaced("configmaps", "ConfigMap", short="cm"),
        _namespaced("endpoints", "Endpoints", short="ep"),
        _namespaced("events", "Event", short="ev"),
        _namespaced("limitranges", "LimitRange", short="limits"),
        _cluster(
            "namespaces",
            "Namespace",
            short="ns",
            subs="finalize status",
            verbs="create delete get list patch update watch",
        ),
        _cluster("nodes", "Node", short="no", subs="proxy status"),
        _namespaced("persistentvolumeclaims", "PersistentVolumeClaim", short="pvc", subs="status"),
        _cluster("persistentvolumes", "PersistentVolume", short="pv", subs="status"),
        _namespaced(
            "pods",
            "Pod",
            short="po",
            categories="all",
            subs="attach binding ephemeralcontainers eviction exec log portforward proxy resize "
            "status",
        ),
        _namespaced("podtemplates", "PodTemplate"),
        _namespaced(
            "replicationcontrollers",
            "ReplicationController",
            short="rc",
            categories="all",
            subs="scale status",
        ),
        _namespaced("resourcequotas", "ResourceQuota", short="quota", subs="status"),
        _namespaced("secrets", "Secret"),
        _namespaced("serviceaccounts", "ServiceAccount", short="sa", subs="token"),
        _namespaced("services", "Service", short="svc", categories="all", subs="proxy status"),
    ),
    "apiregistration.k8s.io/v1": (
        _cluster("apiservices", "APIService", categories="api-extensions", subs="status"),
    ),
    "apps/v1": (
        _namespaced("controllerrevisions", "ControllerRevision"),
        _namespaced("daemonsets", "DaemonSet", short="ds", categories="all", subs="status"),
        _namespaced(
            "deployments", "Deployment", short="deploy", categories="all", subs="scale status"
        ),
        _namespaced("replicasets", "ReplicaSet", short="rs", categories="all", subs="scale status"),
        _namespaced(
            "statefulsets", "StatefulSet", short="sts", categories="all", subs="scale status"
        ),
    ),
    "events.k8s.io/v1": (_namespaced("events", "Event", short="ev", stored="v1"),),
    "authentication.k8s.io/v1": (
        _cluster("selfsubjectreviews", "SelfSubjectReview", verbs="create"),
        _cluster("tokenreviews", "TokenReview", verbs="create"),
    ),
    "authorization.k8s.io/v1": (
        _namespaced("localsubjectaccessreviews", "LocalSubjectAccessReview", verbs="create"),
        _cluster("selfsubjectaccessreviews", "SelfSubjectAccessReview", verbs="create"),
        _cluster("selfsubjectrulesreviews", "SelfSubjectRulesReview", verbs="create"),
        _cluster("subjectaccessreviews", "SubjectAccessReview", verbs="create"),
    ),
    "autoscaling/v2": (
        _namespaced(
            "horizontalpodautoscalers",
            "HorizontalPodAutoscaler",
            short="hpa",
            categories="all",
            subs="status",
        ),
    ),
    "autoscaling/v1": (
        _namespaced(
            "horizontalpodautoscalers",
            "HorizontalPodAutoscaler",
            short="hpa",
            categories="all",
            subs="status",
            stored="autoscaling/v2",
        ),
    ),
    "batch/v1": (
        _namespaced("cronjobs", "CronJob", short="cj", categories="all", subs="status"),
        _namespaced("jobs", "Job", categories="all", subs="status"),
    ),
    "certificates.k8s.io/v1": (
        _cluster(
            "certificatesigningrequests",
            "CertificateSigningRequest",
            short="csr",
            subs="approval status",
        ),
    ),
    "certificates.k8s.io/v1beta1": (
        _cluster("clustertrustbundles", "ClusterTrustBundle"),
        _namespaced("podcertificaterequests", "PodCertificateRequest", subs="status"),
    ),
    "certificates.k8s.io/v1alpha1": (
        _cluster("clustertrustbundles", "ClusterTrustBundle", stored="certificates.k8s.io/v1beta1"),
    ),
    "networking.k8s.io/v1": (
        _cluster("ingressclasses", "IngressClass"),
        _namespaced("ingresses", "Ingress", short="ing", subs="status"),
        _cluster("ipaddresses", "IPAddress", short="ip"),
        _namespaced("networkpolicies", "NetworkPolicy", short="netpol"),
        _cluster("servicecidrs", "ServiceCIDR", subs="status"),
    ),
    "networking.k8s.io/v1beta1": (
        _cluster("ipaddresses", "IPAddress", short="ip", stored="networking.k8s.io/v1"),
        _cluster("servicecidrs", "ServiceCIDR", subs="status", stored="networking.k8s.io/v1"),
    ),
    "policy/v1": (
        _namespaced("poddisruptionbudgets", "PodDisruptionBudget", short="pdb", subs="status"),
    ),
    "rbac.authorization.k8s.io/v1": (
        _cluster("clusterrolebindings", "ClusterRoleBinding"),
        _cluster("clusterroles", "ClusterRole"),
        _namespaced("rolebindings", "RoleBinding"),
        _namespaced("roles", "Role"),
    ),
    "storage.k8s.io/v1": (
        _cluster("csidrivers", "CSIDriver"),
        _cluster("csinodes", "CSINode"),
        _namespaced("csistoragecapacities", "CSIStorageCapacity"),
        _cluster("storageclasses", "StorageClass", short="sc"),
        _cluster("volumeattachments", "VolumeAttachment", subs="status"),
        _cluster("volumeattributesclasses", "VolumeAttributesClass", short="vac"),
    ),
    "storage.k8s.io/v1beta1": (
        _cluster(
            "volumeattributesclasses",
            "VolumeAttributesClass",
            short="vac",
            stored="storage.k8s.io/v1",
        ),
    ),
    "admissionregistration.k8s.io/v1": (
        _cluster(
            "mutatingadmissionpolicies", "MutatingAdmissionPolicy", categories="api-extensions"
        ),
        _cluster(
            "mutatingadmissionpolicybindings",
            "MutatingAdmissionPolicyBinding",
            categories="api-extensions",
        ),
        _cluster(
            "mutatingwebhookconfigurations",
            "MutatingWebhookConfiguration",
            categories="api-extensions",
        ),
        _cluster(
            "validatingadmissionpolicies",
            "ValidatingAdmissionPolicy",
            categories="api-extensions",
            subs="status",
        ),
        _cluster(
            "validatingadmissionpolicybindings",
            "ValidatingAdmissionPolicyBinding",
            categories="api-extensions",
        ),
        _cluster(
            "validatingwebhookconfigurations",
            "ValidatingWebhookConfiguration",
            categories="api-extensions",
        ),
    ),
    "admissionregistration.k8s.io/v1beta1": (
        _cluster(
            "mutatingadmissionpolicies",
            "MutatingAdmissionPolicy",
            categories="api-extensions",
            stored="admissionregistration.k8s.io/v1",
        ),
        _cluster(
            "mutatingadmissionpolicybindings",
            "MutatingAdmissionPolicyBinding",
            categories="api-extensions",
            stored="admissionregistration.k8s.io/v1",
        ),
    ),
    "admissionregistration.k8s.io/v1alpha1": (
        _cluster(
            "mutatingadmissionpolicies",
            "MutatingAdmissionPolicy",
            categories="api-extensions",
            stored="admissionregistration.k8s.io/v1",
        ),
        _cluster(
            "mutatingadmissionpolicybindings",
            "MutatingAdmissionPolicyBinding",
            categories="api-extensions",
            stored="admissionregistration.k8s.io/v1",
        ),
    ),
    "apiextensions.k8s.io/v1": (
        _cluster(
            "customresourcedefinitions",
            "CustomResourceDefinition",
            short="crd crds",
            categories="api-extensions",
            subs="status",
        ),
    ),
    "scheduling.k8s.io/v1": (_cluster("priorityclasses", "PriorityClass", short="pc"),),
    "scheduling.k8s.io/v1alpha2": (
        _namespaced("podgroups", "PodGroup", subs="status"),
        _namespaced("workloads", "Workload"),
    ),
    "coordination.k8s.io/v1": (_namespaced("leases", "Lease"),),
    "coordination.k8s.io/v1beta1": (_namespaced("leasecandidates", "LeaseCandidate"),),
    "coordination.k8s.io/v1alpha2": (
        _namespaced("leasecandidates", "LeaseCandidate", stored="coordination.k8s.io/v1beta1"),
    ),
    "node.k8s.io/v1": (_cluster("runtimeclasses", "RuntimeClass"),),
    "discovery.k8s.io/v1": (_namespaced("endpointslices", "EndpointSlice"),),
    "resource.k8s.io/v1": (
        _cluster("deviceclasses", "DeviceClass"),
        _namespaced("resourceclaims", "ResourceClaim", subs="status"),
        _namespaced("resourceclaimtemplates", "ResourceClaimTemplate"),
        _cluster("resourceslices", "ResourceSlice"),
    ),
    "resource.k8s.io/v1beta2": (
        _cluster("deviceclasses", "DeviceClass", stored="resource.k8s.io/v1"),
        _cluster("devicetaintrules", "DeviceTaintRule", subs="status"),
        _namespaced("resourceclaims", "ResourceClaim", subs="status", stored="resource.k8s.io/v1"),
        _namespaced("resourceclaimtemplates", "ResourceClaimTemplate", stored="resource.k8s.io/v1"),
        _cluster("resourceslices", "ResourceSlice", stored="resource.k8s.io/v1"),
    ),
    "resource.k8s.io/v1beta1": (
        _cluster("deviceclasses", "DeviceClass", stored="resource.k8s.io/v1"),
        _namespaced("resourceclaims", "ResourceClaim", subs="status", stored="resource.k8s.io/v1"),
        _namespaced("resourceclaimtemplates", "ResourceClaimTemplate", stored="resource.k8s.io/v1"),
        _cluster("resourceslices", "ResourceSlice", stored="resource.k8s.io/v1"),
    ),
    "resource.k8s.io/v1alpha3": (
        _cluster(
            "devicetaintrules", "DeviceTaintRule", subs="status", stored="resource.k8s.io/v1beta2"
        ),
        _cluster("resourcepoolstatusrequests", "ResourcePoolStatusRequest", subs="status"),
    ),
    "flowcontrol.apiserver.k8s.io/v1": (
        _cluster("flowschemas", "FlowSchema", subs="status"),
        _cluster("prioritylevelconfigurations", "PriorityLevelConfiguration", subs="status"),
    ),
    "internal.apiserver.k8s.io/v1alpha1": (
        _cluster("storageversions", "StorageVersion", subs="status"),
    ),
    "storagemigration.k8s.io/v1beta1": (
        _cluster("storageversionmigrations", "StorageVersionMigration", subs="status"),
    ),
}


def split_api_version(api_version: str) -> tuple[str, str]:
    """ "apps/v1" is ("apps", "v1"), "v1" is ("", "v1")."""
    group, _, version = api_version.rpartition("/")
    return group, version


def _info(api_version: str, row: _Row) -> ResourceInfo:
    group, version = split_api_version(api_version)
    return ResourceInfo(
        group,
        version,
        row.resource,
        row.kind,
        row.namespaced,
        short_names=tuple(row.short.split()),
        categories=tuple(row.categories.split()),
        verbs=tuple(row.verbs.split()) or _ALL_VERBS,
        subresources=MappingProxyType({s: _SUBRESOURCE_VERBS[s] for s in row.subs.split()}),
        stored_as=split_api_version(row.stored or api_version),
    )


RESOURCES: tuple[ResourceInfo, ...] = tuple(
    _info(api_version, row) for api_version, rows in _TABLE.items() for row in rows
)
_MODULES = {_module_name(info.group, info.version) for info in RESOURCES} | {"meta_v1"}
BY_PATH: Mapping[tuple[str, str, str], ResourceInfo] = {
    (info.group, info.version, info.resource): info for info in RESOURCES
}
BY_KIND: Mapping[tuple[str, str, str], ResourceInfo] = {
    (info.group, info.version, info.kind): info for info in RESOURCES
}


def find(group: str, version: str, resource: str) -> ResourceInfo | None:
    """The resource of a request path."""
    return BY_PATH.get((group, version, resource))


def find_kind(group: str, version: str, kind: str) -> ResourceInfo | None:
    return BY_KIND.get((group, version, kind))


def resource_of(kind: Kind) -> ResourceInfo:
    """The resource whose objects are of this class; KeyError for kinds that are no resource."""
    return BY_KIND[kind.GVK]


def versions_of(info: ResourceInfo) -> tuple[ResourceInfo, ...]:
    """Every resource that serves the same stored objects, `info` among them."""
    return tuple(
        other
        for other in RESOURCES
        if (other.resource, other.stored_as) == (info.resource, info.stored_as)
    )
