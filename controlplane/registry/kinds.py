"""What differs from kind to kind in the generic verbs, as data.

A kind that is not in a table behaves as most do: unconditional updates are allowed, a deletion
answers with a Status, dependents are collected in the background.
Source: the strategies of Kubernetes 1.36 (`pkg/registry/*/*/strategy.go`).
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from controlplane.registry.stored import Stored
from kubeapi.resources import ResourceInfo

GroupResource = tuple[str, str]

# Kinds whose metadata.generation counts the changes of what the user asked for.
TRACKS_GENERATION: Final[frozenset[GroupResource]] = frozenset(
    {
        ("", "pods"),
        ("", "podtemplates"),
        ("", "replicationcontrollers"),
        ("admissionregistration.k8s.io", "mutatingadmissionpolicies"),
        ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings"),
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
        ("admissionregistration.k8s.io", "validatingadmissionpolicies"),
        ("admissionregistration.k8s.io", "validatingadmissionpolicybindings"),
        ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
        ("apiextensions.k8s.io", "customresourcedefinitions"),
        ("apps", "daemonsets"),
        ("apps", "deployments"),
        ("apps", "replicasets"),
        ("apps", "statefulsets"),
        ("batch", "cronjobs"),
        ("batch", "jobs"),
        ("discovery.k8s.io", "endpointslices"),
        ("flowcontrol.apiserver.k8s.io", "flowschemas"),
        ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"),
        ("networking.k8s.io", "ingressclasses"),
        ("networking.k8s.io", "ingresses"),
        ("networking.k8s.io", "networkpolicies"),
        ("policy", "poddisruptionbudgets"),
        ("resource.k8s.io", "deviceclasses"),
        ("resource.k8s.io", "resourceslices"),
        ("scheduling.k8s.io", "priorityclasses"),
    }
)

# Kinds whose deletion answers with the object instead of a Status.
RETURNS_DELETED: Final[frozenset[GroupResource]] = frozenset(
    {
        ("", "persistentvolumeclaims"),
        ("", "persistentvolumes"),
        ("", "pods"),
        ("", "podtemplates"),
        ("", "resourcequotas"),
        ("", "serviceaccounts"),
        ("", "services"),
        ("resource.k8s.io", "resourceclaims"),
        ("storage.k8s.io", "csidrivers"),
        ("storage.k8s.io", "csinodes"),
        ("storage.k8s.io", "csistoragecapacities"),
        ("storage.k8s.io", "storageclasses"),
        ("storage.k8s.io", "volumeattachments"),
        ("storage.k8s.io", "volumeattributesclasses"),
    }
)

# Old kinds orphan their dependents unless asked otherwise.
ORPHANS_BY_DEFAULT: Final[frozenset[GroupResource]] = frozenset(
    {
        ("", "replicationcontrollers"),
        ("batch", "jobs"),
    }
)

# An update must name the version that it replaces.
NEEDS_RESOURCE_VERSION: Final[frozenset[GroupResource]] = frozenset(
    {
        ("apiextensions.k8s.io", "customresourcedefinitions"),
        ("apiregistration.k8s.io", "apiservices"),
        ("coordination.k8s.io", "leases"),
        ("coordination.k8s.io", "leasecandidates"),
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
        ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
        ("flowcontrol.apiserver.k8s.io", "flowschemas"),
        ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"),
        ("networking.k8s.io", "ipaddresses"),
        ("policy", "poddisruptionbudgets"),
        ("scheduling.k8s.io", "priorityclasses"),
    }
)

# A PUT of an object that does not exist creates it.
CREATES_ON_UPDATE: Final[frozenset[GroupResource]] = frozenset(
    {
        ("", "endpoints"),
        ("", "events"),
        ("", "limitranges"),
        ("", "resourcequotas"),
        ("", "services"),
        ("coordination.k8s.io", "leases"),
        ("node.k8s.io", "runtimeclasses"),
        ("rbac.authorization.k8s.io", "clusterrolebindings"),
        ("rbac.authorization.k8s.io", "clusterroles"),
        ("rbac.authorization.k8s.io", "rolebindings"),
        ("rbac.authorization.k8s.io", "roles"),
    }
)

_Get = Callable[[Any], Any]


def _of(*path: str) -> _Get:
    def get(obj: Any) -> Any:
        for field in path:
            obj = getattr(obj, field, None)
            if obj is None:
                return ""
        return ("true" if obj else "false") if isinstance(obj, bool) else obj

    return get


def _or_default(get: _Get, default: str) -> _Get:
    return lambda obj: get(obj) or default


_EVERYWHERE: Final[dict[str, _Get]] = {
    "metadata.name": _of("metadata", "name"),
    "metadata.namespace": _of("metadata", "namespace"),
}

# Fields that a field selector may name, beside the two that all kinds have.
_SELECTABLE: Final[dict[GroupResource, dict[str, _Get]]] = {
    ("", "pods"): {
        "spec.nodeName": _of("spec", "nodeName"),
        "spec.restartPolicy": _of("spec", "restartPolicy"),
        "spec.schedulerName": _of("spec", "schedulerName"),
        "spec.serviceAccountName": _of("spec", "serviceAccountName"),
        "spec.hostNetwork": _or_default(_of("spec", "hostNetwork"), "false"),
        "status.phase": _of("status", "phase"),
        "status.podIP": _of("status", "podIP"),
        "status.nominatedNodeName": _of("status", "nominatedNodeName"),
    },
    ("", "nodes"): {"spec.unschedulable": _or_default(_of("spec", "unschedulable"), "false")},
    ("", "namespaces"): {"name": _of("metadata", "name"), "status.phase": _of("status", "phase")},
    ("", "persistentvolumes"): {"name": _of("metadata", "name")},
    ("", "persistentvolumeclaims"): {"name": _of("metadata", "name")},
    ("", "secrets"): {"type": _of("type")},
    ("", "services"): {
        "spec.clusterIP": _of("spec", "clusterIP"),
        "spec.type": _of("spec", "type"),
    },
    ("", "replicationcontrollers"): {
        "status.replicas": lambda o: str(_of("status", "replicas")(o) or 0),
    },
    ("batch", "jobs"): {"status.successful": lambda o: str(_of("status", "succeeded")(o) or 0)},
    ("certificates.k8s.io", "certificatesigningrequests"): {
        "spec.signerName": _of("spec", "signerName"),
    },
    ("", "events"): {
        "involvedObject.kind": _of("involvedObject", "kind"),
        "involvedObject.namespace": _of("involvedObject", "namespace"),
        "involvedObject.name": _of("involvedObject", "name"),
        "involvedObject.uid": _of("involvedObject", "uid"),
        "involvedObject.apiVersion": _of("involvedObject", "apiVersion"),
        "involvedObject.resourceVersion": _of("involvedObject", "resourceVersion"),
        "involvedObject.fieldPath": _of("involvedObject", "fieldPath"),
        "reason": _of("reason"),
        "reportingComponent": _of("reportingComponent"),
        "source": lambda o: _of("source", "component")(o) or _of("reportingComponent")(o),
        "type": _of("type"),
    },
}  # fmt: skip


def group_resource(info: ResourceInfo) -> GroupResource:
    return (info.group, info.resource)


def selectable_fields(info: ResourceInfo) -> Mapping[str, Callable[[Stored], str]]:
    """The fields of a (storage) kind that selectors may name, each with how to read it."""
    getters = _EVERYWHERE | _SELECTABLE.get(group_resource(info), {})
    return {name: _on_stored(get) for name, get in getters.items()}


def _on_stored(get: _Get) -> Callable[[Stored], str]:
    return lambda stored: get(stored.obj) or ""


def unknown_field_message(name: str, info: ResourceInfo) -> str:
    """What Kubernetes answers to a selector on another field, kind by kind."""
    key = group_resource(info)
    if key not in _SELECTABLE:
        return f'"{name}" is not a known field selector: only "metadata.name", "metadata.namespace"'
    return f"field label not supported: {name}"
