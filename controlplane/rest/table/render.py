"""Rows and tables as bytes.

A row carries the object's metadata unless the client asks for all of it or nothing. Rows are
encoded one by one, so that a long list can be sent in slices.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

import msgspec

from controlplane.rest.table import (
    api,
    autoscaling,
    cluster,
    network,
    pods,
    storage,
    workloads,
)
from controlplane.rest.table.columns import encoded
from kubeapi.errors import bad_request
from kubeapi.resources import ResourceInfo
from kubeapi.types import autoscaling_v1

Printer = Callable[[Any, float], list[Any]]

TABLE_VERSION: Final = "meta.k8s.io/v1"

# (group, kind) -> its cells. A kind that is served in several versions prints alike in all.
PRINTERS: Final[dict[tuple[str, str], Printer]] = {
    ("", "ComponentStatus"): cluster.component_cells,
    ("", "ConfigMap"): cluster.config_map_cells,
    ("", "Endpoints"): network.endpoints_cells,
    ("", "Event"): cluster.event_cells,
    ("", "Namespace"): cluster.namespace_cells,
    ("", "Node"): cluster.node_cells,
    ("", "PersistentVolume"): storage.volume_cells,
    ("", "PersistentVolumeClaim"): storage.claim_cells,
    ("", "Pod"): pods.pod_cells,
    ("", "PodTemplate"): workloads.pod_template_cells,
    ("", "ReplicationController"): workloads.replication_controller_cells,
    ("", "ResourceQuota"): cluster.quota_cells,
    ("", "Secret"): cluster.secret_cells,
    ("", "Service"): network.service_cells,
    ("", "ServiceAccount"): cluster.name_and_age_cells,
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"): api.mutating_policy_cells,
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"): api.policy_binding_cells,
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): api.webhook_cells,
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"): api.validating_policy_cells,
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"): api.policy_binding_cells,
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): api.webhook_cells,
    ("apiregistration.k8s.io", "APIService"): api.api_service_cells,
    ("apps", "ControllerRevision"): workloads.controller_revision_cells,
    ("apps", "DaemonSet"): workloads.daemon_set_cells,
    ("apps", "Deployment"): workloads.deployment_cells,
    ("apps", "ReplicaSet"): workloads.replica_set_cells,
    ("apps", "StatefulSet"): workloads.stateful_set_cells,
    ("autoscaling", "HorizontalPodAutoscaler"): autoscaling.autoscaler_cells,
    ("autoscaling", "Scale"): autoscaling.scale_cells,
    ("batch", "CronJob"): workloads.cron_job_cells,
    ("batch", "Job"): workloads.job_cells,
    ("certificates.k8s.io", "CertificateSigningRequest"): api.signing_request_cells,
    ("certificates.k8s.io", "ClusterTrustBundle"): api.trust_bundle_cells,
    ("coordination.k8s.io", "Lease"): cluster.lease_cells,
    ("coordination.k8s.io", "LeaseCandidate"): api.lease_candidate_cells,
    ("discovery.k8s.io", "EndpointSlice"): network.endpoint_slice_cells,
    ("events.k8s.io", "Event"): cluster.event_cells,
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"): api.flow_schema_cells,
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"): api.priority_level_cells,
    ("networking.k8s.io", "IPAddress"): network.ip_address_cells,
    ("networking.k8s.io", "Ingress"): network.ingress_cells,
    ("networking.k8s.io", "IngressClass"): network.ingress_class_cells,
    ("networking.k8s.io", "NetworkPolicy"): network.network_policy_cells,
    ("networking.k8s.io", "ServiceCIDR"): network.service_cidr_cells,
    ("node.k8s.io", "RuntimeClass"): cluster.runtime_class_cells,
    ("policy", "PodDisruptionBudget"): autoscaling.disruption_budget_cells,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): api.binding_cells,
    ("rbac.authorization.k8s.io", "RoleBinding"): api.binding_cells,
    ("resource.k8s.io", "DeviceClass"): cluster.name_and_age_cells,
    ("resource.k8s.io", "DeviceTaintRule"): cluster.name_and_age_cells,
    ("resource.k8s.io", "ResourceClaim"): api.resource_claim_cells,
    ("resource.k8s.io", "ResourceClaimTemplate"): cluster.name_and_age_cells,
    ("resource.k8s.io", "ResourceSlice"): api.resource_slice_cells,
    ("scheduling.k8s.io", "PriorityClass"): cluster.priority_class_cells,
    ("storage.k8s.io", "CSIDriver"): storage.csi_driver_cells,
    ("storage.k8s.io", "CSINode"): storage.csi_node_cells,
    ("storage.k8s.io", "StorageClass"): storage.storage_class_cells,
    ("storage.k8s.io", "VolumeAttachment"): storage.attachment_cells,
    ("storage.k8s.io", "VolumeAttributesClass"): storage.attributes_class_cells,
    ("storagemigration.k8s.io", "StorageVersionMigration"): api.migration_cells,
}
# Kinds that are not listed in the order of their keys.
ORDERS: Final[dict[tuple[str, str], Callable[[Any], Any]]] = {
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"): api.flow_schema_order,
}
# The one subresource that prints as a kind of its own.
SCALES: Final = ResourceInfo("autoscaling", "v1", "scales", "Scale", True)
ROW_CONDITIONS: Final[dict[tuple[str, str], Callable[[Any], list[dict[str, str]]]]] = {
    ("", "Pod"): pods.pod_row_conditions,
}

_encode = msgspec.json.Encoder().encode


def cells(info: ResourceInfo, obj: Any, now_s: float) -> list[Any]:
    """What the columns of `info` show of an object, at the time `now_s`."""
    return PRINTERS.get((info.group, info.kind), api.created_at_cells)(obj, now_s)


class Item(Protocol):
    """What is printed: an object and its JSON, which is made only where a client asks for it."""

    @property
    def obj(self) -> Any: ...

    def json(self) -> bytes: ...


BodyOf = Callable[[Any], bytes]


def own_json(item: Item) -> bytes:
    return item.json()


def row(
    info: ResourceInfo,
    item: Item,
    include_object: str,
    now_s: float,
    *,
    body_of: BodyOf = own_json,
    version: str = TABLE_VERSION,
) -> bytes:
    """One row. `include_object` is Metadata, Object or None, by Kubernetes' query parameter.

    `body_of` gives the object's JSON where that is not its own (another API version).
    """
    parts = [b'{"cells":', _encode(cells(info, item.obj, now_s))]
    conditions = ROW_CONDITIONS.get((info.group, info.kind))
    if conditions is not None and (found := conditions(item.obj)):
        parts += [b',"conditions":', _encode(found)]
    match include_object:
        case "None":
            shown = b"null"
        case "Object":
            shown = body_of(item).rstrip()
        case "Metadata":
            shown = _metadata_only(item.obj, version)
        case _:
            raise bad_request(f"unrecognized includeObject value: '{include_object}'")
    parts += [b',"object":', shown, b"}"]
    return b"".join(parts)


def table(
    info: ResourceInfo,
    items: Iterable[Item],
    metadata: Mapping[str, Any],
    include_object: str,
    now_s: float,
    *,
    with_columns: bool = True,
    body_of: BodyOf = own_json,
    version: str = TABLE_VERSION,
) -> bytes:
    """A meta.k8s.io Table; `metadata` is that of the list (resourceVersion, continue, ...).

    Of a watch's events only the first has the columns. `version` is as the client asked:
    meta.k8s.io/v1 or v1beta1. Raises StatusError 400 for an `include_object` that is none.
    """
    items = list(items)
    if items and isinstance(items[0].obj, autoscaling_v1.Scale):
        info = SCALES
    order = ORDERS.get((info.group, info.kind))
    if order is not None:
        items.sort(key=lambda item: order(item.obj))
    rows = [
        row(info, item, include_object, now_s, body_of=body_of, version=version) for item in items
    ]
    return b"".join(
        [
            b'{"kind":"Table","apiVersion":"',
            version.encode(),
            b'","metadata":',
            _encode(metadata),
            b',"columnDefinitions":',
            encoded(info) if with_columns else b"null",
            b',"rows":[',
            b",".join(rows),
            b"]}",
        ]
    )


def _metadata_only(obj: Any, version: str) -> bytes:
    metadata = b"{}" if obj.metadata is None else _encode(obj.metadata)
    head = b'{"kind":"PartialObjectMetadata","apiVersion":"'
    return b"".join([head, version.encode(), b'","metadata":', metadata, b"}"])
