"""Rows and tables as bytes.

A row carries the object's metadata unless the client asks for all of it or nothing. Rows are
encoded one by one, so that a long list can be sent in slices.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, Literal

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
from kubeapi.resources import ResourceInfo

IncludeObject = Literal["Metadata", "Object", "None"]
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
    ("events.k8s.io", "Event"): cluster.new_event_cells,
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
ROW_CONDITIONS: Final[dict[tuple[str, str], Callable[[Any], list[dict[str, str]]]]] = {
    ("", "Pod"): pods.pod_row_conditions,
}

_encode = msgspec.json.Encoder().encode


def cells(info: ResourceInfo, obj: Any, now_s: float) -> list[Any]:
    """What the columns of `info` show of an object, at the time `now_s`."""
    return PRINTERS.get((info.group, info.kind), api.created_at_cells)(obj, now_s)


def row(
    info: ResourceInfo,
    obj: Any,
    body: bytes,
    include_object: IncludeObject,
    now_s: float,
    version: str = TABLE_VERSION,
) -> bytes:
    """One row; `body` is the object's own JSON, used where all of it is asked for."""
    parts = [b'{"cells":', _encode(cells(info, obj, now_s))]
    conditions = ROW_CONDITIONS.get((info.group, info.kind))
    if conditions is not None and (found := conditions(obj)):
        parts += [b',"conditions":', _encode(found)]
    parts += [b',"object":', _row_object(obj, body, include_object, version), b"}"]
    return b"".join(parts)


def table(
    info: ResourceInfo,
    objects: Iterable[tuple[Any, bytes]],
    *,
    include_object: IncludeObject = "Metadata",
    now_s: float,
    resource_version: str = "",
    continue_token: str = "",
    remaining: int | None = None,
    with_columns: bool = True,
    version: str = TABLE_VERSION,
) -> bytes:
    """A meta.k8s.io Table of (object, its JSON) pairs.

    Of a watch's events only the first has the columns. `remaining` is how many objects of a list
    in pages are yet to come. `version` is as the client asked: meta.k8s.io/v1 or v1beta1.
    """
    order = ORDERS.get((info.group, info.kind))
    if order is not None:
        objects = sorted(objects, key=lambda pair: order(pair[0]))
    metadata: dict[str, Any] = {}
    if resource_version:
        metadata["resourceVersion"] = resource_version
    if continue_token:
        metadata["continue"] = continue_token
    if remaining is not None:
        metadata["remainingItemCount"] = remaining
    rows = b",".join(row(info, obj, body, include_object, now_s, version) for obj, body in objects)
    return b"".join(
        [
            b'{"kind":"Table","apiVersion":"',
            version.encode(),
            b'","metadata":',
            _encode(metadata),
            b',"columnDefinitions":',
            encoded(info) if with_columns else b"null",
            b',"rows":[',
            rows,
            b"]}",
        ]
    )


def _row_object(obj: Any, body: bytes, include_object: IncludeObject, version: str) -> bytes:
    match include_object:
        case "None":
            return b"null"
        case "Object":
            return body
        case _:
            metadata = b"{}" if obj.metadata is None else _encode(obj.metadata)
            head = b'{"kind":"PartialObjectMetadata","apiVersion":"'
            return b"".join([head, version.encode(), b'","metadata":', metadata, b"}"])
