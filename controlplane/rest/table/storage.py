"""Volumes, claims and their classes."""

from collections.abc import Iterable
from typing import Any, Final

from controlplane.rest.table.text import (
    NONE,
    UNSET,
    age_of,
    annotations_of,
    is_being_deleted,
    name_of,
    text_or,
)
from kubeapi.types import core_v1, storage_v1

CLASS_ANNOTATION: Final = "volume.beta.kubernetes.io/storage-class"
DEFAULT_CLASS_ANNOTATIONS: Final = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
# In this order, whatever the order they were given in.
ACCESS_MODES: Final = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def _modes(modes: Iterable[str] | None) -> str:
    given = set(modes or ())
    return ",".join(short for mode, short in ACCESS_MODES.items() if mode in given)


def _class_of(obj: Any, name: str | None) -> str:
    return annotations_of(obj).get(CLASS_ANNOTATION) or name or ""


def _phase(obj: Any) -> str:
    if is_being_deleted(obj):
        return "Terminating"
    return (obj.status.phase if obj.status else None) or ""


def claim_cells(obj: core_v1.PersistentVolumeClaim, now_s: float) -> list[Any]:
    spec = obj.spec or core_v1.PersistentVolumeClaimSpec()
    status = obj.status or core_v1.PersistentVolumeClaimStatus()
    bound = bool(spec.volumeName)
    return [
        name_of(obj),
        _phase(obj),
        spec.volumeName or "",
        (status.capacity or {}).get("storage", "0") if bound else "",
        _modes(status.accessModes) if bound else "",
        _class_of(obj, spec.storageClassName),
        text_or(spec.volumeAttributesClassName, UNSET),
        age_of(obj, now_s),
        text_or(spec.volumeMode, UNSET),
    ]


def volume_cells(obj: core_v1.PersistentVolume, now_s: float) -> list[Any]:
    spec = obj.spec or core_v1.PersistentVolumeSpec()
    claim = spec.claimRef
    return [
        name_of(obj),
        (spec.capacity or {}).get("storage", "0"),
        _modes(spec.accessModes),
        spec.persistentVolumeReclaimPolicy or "",
        _phase(obj),
        f"{claim.namespace or ''}/{claim.name or ''}" if claim else "",
        _class_of(obj, spec.storageClassName),
        text_or(spec.volumeAttributesClassName, UNSET),
        (obj.status.reason if obj.status else None) or "",
        age_of(obj, now_s),
        text_or(spec.volumeMode, UNSET),
    ]


def storage_class_cells(obj: storage_v1.StorageClass, now_s: float) -> list[Any]:
    annotations = annotations_of(obj)
    is_default = any(annotations.get(key) == "true" for key in DEFAULT_CLASS_ANNOTATIONS)
    return [
        f"{name_of(obj)} (default)" if is_default else name_of(obj),
        obj.provisioner or "",
        obj.reclaimPolicy or "Delete",
        obj.volumeBindingMode or "Immediate",
        bool(obj.allowVolumeExpansion),
        age_of(obj, now_s),
    ]


def attributes_class_cells(obj: storage_v1.VolumeAttributesClass, now_s: float) -> list[Any]:
    return [name_of(obj), obj.driverName or "", age_of(obj, now_s)]


def attachment_cells(obj: storage_v1.VolumeAttachment, now_s: float) -> list[Any]:
    spec = obj.spec or storage_v1.VolumeAttachmentSpec()
    source = spec.source
    return [
        name_of(obj),
        spec.attacher or "",
        (source.persistentVolumeName if source else None) or "",
        spec.nodeName or "",
        bool(obj.status and obj.status.attached),
        age_of(obj, now_s),
    ]


def csi_driver_cells(obj: storage_v1.CSIDriver, now_s: float) -> list[Any]:
    spec = obj.spec or storage_v1.CSIDriverSpec()
    tokens = spec.tokenRequests
    return [
        name_of(obj),
        True if spec.attachRequired is None else spec.attachRequired,
        bool(spec.podInfoOnMount),
        bool(spec.storageCapacity),
        UNSET if tokens is None else ",".join(token.audience or "" for token in tokens),
        bool(spec.requiresRepublish),
        ",".join(spec.volumeLifecycleModes or ()) or NONE,
        age_of(obj, now_s),
    ]


def csi_node_cells(obj: storage_v1.CSINode, now_s: float) -> list[Any]:
    drivers = (obj.spec.drivers if obj.spec else None) or ()
    return [name_of(obj), len(drivers), age_of(obj, now_s)]
