"""What may not change when an object is replaced, by kind."""

from collections.abc import Callable
from typing import Any, Final

from controlplane.registry.strategy.validation import (
    batch,
    config,
    limits,
    pod_update,
    rbac,
    services,
    storage,
    workloads,
)
from controlplane.registry.strategy.validation.faults import Faults, join
from kubeapi.types import apps_v1, batch_v1, core_v1, node_v1, rbac_v1, scheduling_v1, storage_v1

ValidateUpdate = Callable[[Any, Any, Faults], None]


def fixed(*fields: str, path: str = "", text: str = "field is immutable") -> ValidateUpdate:
    """These fields stay as they were created."""

    def check(new: Any, old: Any, faults: Faults) -> None:
        for part in path.split(".") if path else ():
            new, old = getattr(new, part), getattr(old, part)
            if new is None or old is None:
                return
        for name in fields:
            if (getattr(new, name) or None) != (getattr(old, name) or None):
                faults.invalid(join(path, name), getattr(new, name), text)

    return check


UPDATES: Final[dict[type, ValidateUpdate]] = {
    apps_v1.ControllerRevision: workloads.update_revision,
    apps_v1.DaemonSet: workloads.update_selector,
    apps_v1.Deployment: workloads.update_selector,
    apps_v1.ReplicaSet: workloads.update_selector,
    apps_v1.StatefulSet: workloads.update_stateful_set,
    batch_v1.Job: batch.update_job,
    core_v1.ConfigMap: config.update_frozen_data,
    core_v1.Event: limits.update_event,
    core_v1.Node: config.update_node,
    core_v1.PersistentVolume: storage.update_volume,
    core_v1.PersistentVolumeClaim: storage.update_claim,
    core_v1.Pod: pod_update.update_pod,
    core_v1.ResourceQuota: limits.update_quota,
    core_v1.Secret: config.update_frozen_data,
    core_v1.Service: services.update_service,
    node_v1.RuntimeClass: fixed("handler"),
    rbac_v1.ClusterRoleBinding: rbac.update_binding,
    rbac_v1.RoleBinding: rbac.update_binding,
    scheduling_v1.PriorityClass: fixed("preemptionPolicy"),
    storage_v1.CSIDriver: storage.update_csi_driver,
    storage_v1.VolumeAttachment: storage.update_attachment,
    storage_v1.StorageClass: fixed(
        "parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"
    ),
}
