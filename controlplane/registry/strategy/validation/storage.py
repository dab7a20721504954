"""PersistentVolumes, claims, classes and CSI objects (pkg/apis/{core,storage}/validation)."""

from typing import Any, Final

from msgspec.structs import replace

from controlplane.registry.strategy.validation import values, volumes
from controlplane.registry.strategy.validation.faults import Faults, join
from controlplane.registry.strategy.validation.rules import Rules, Table
from kubeapi import names
from kubeapi.quantity import units
from kubeapi.types import core_v1, storage_v1

_ACCESS_MODES: Final = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_VOLUME_MODE = values.one_of("Block", "Filesystem")
_POSITIVE: Final = "must be greater than zero"


def _access_modes(modes: list[str], faults: Faults, path: str, name: str) -> None:
    for mode in modes:
        if mode not in _ACCESS_MODES:
            faults.unsupported(join(path, name), mode, _ACCESS_MODES)
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        text = "may not use ReadWriteOncePod with other access modes"
        faults.forbidden(join(path, name), text)


def _claim(spec: core_v1.PersistentVolumeClaimSpec, faults: Faults, path: str) -> None:
    if not spec.accessModes:
        faults.required(f"{path}.accessModes", "at least 1 access mode is required")
    requests = (spec.resources.requests if spec.resources else None) or {}
    storage, where = requests.get("storage"), f"{path}.resources[storage]"
    if storage is None:
        faults.required(where)
    elif values.quantity_sign(storage) <= 0:
        faults.invalid(where, storage, _POSITIVE)


def _volume(spec: core_v1.PersistentVolumeSpec, faults: Faults, path: str) -> None:
    if not spec.accessModes:
        faults.required(f"{path}.accessModes")
    if not spec.capacity:
        faults.required(f"{path}.capacity")
    if set(spec.capacity or ()) != {"storage"}:
        faults.unsupported(f"{path}.capacity", spec.capacity, ("storage",))
    for name, amount in (spec.capacity or {}).items():
        if values.quantity_sign(amount) <= 0:
            faults.invalid(f"{path}.capacity[{name}]", amount, _POSITIVE)
    found = volumes.sources(spec)
    if not found:
        faults.required(path, "must specify a volume type")
    for name in found[1:]:
        faults.forbidden(f"{path}.{name}", "may not specify more than 1 volume type")
    if spec.local is not None and spec.nodeAffinity is None:
        faults.required(f"{path}.nodeAffinity", "Local volume requires node affinity")
    if (
        spec.hostPath is not None
        and spec.hostPath.path == "/"
        and spec.persistentVolumeReclaimPolicy == "Recycle"
    ):
        text = "may not be 'recycle' for a hostPath mount of '/'"
        faults.forbidden(f"{path}.persistentVolumeReclaimPolicy", text)


def _node_affinity(affinity: core_v1.VolumeNodeAffinity, faults: Faults, path: str) -> None:
    if affinity.required is None:
        faults.required(f"{path}.required", "must specify required node constraints")


def _class(item: storage_v1.StorageClass, faults: Faults, path: str) -> None:
    provisioner = item.provisioner or ""
    if not provisioner:
        faults.required("provisioner")
    else:
        problems = names.qualified_name_problems(provisioner.lower())
        faults.each_invalid("provisioner", provisioner, problems)
    _parameters(item.parameters, faults)


def _parameters(parameters: dict[str, str] | None, faults: Faults) -> None:
    if parameters and len(parameters) > 512:
        faults.too_long("parameters", 512)
    if parameters and "" in parameters:
        faults.invalid("parameters", "", "field can not be empty.")


def _csi_driver(spec: storage_v1.CSIDriverSpec, faults: Faults, path: str) -> None:
    supported = ("Persistent", "Ephemeral")
    for mode in spec.volumeLifecycleModes or ():
        if mode not in supported:
            faults.unsupported(f"{path}.volumeLifecycleModes", mode, supported)
    values.no_duplicates(spec.tokenRequests, "audience", faults, f"{path}.tokenRequests")


def _csi_node(spec: storage_v1.CSINodeSpec, faults: Faults, path: str) -> None:
    values.no_duplicates(spec.drivers, "name", faults, f"{path}.drivers")


def _attachment(spec: storage_v1.VolumeAttachmentSpec, faults: Faults, path: str) -> None:
    node = spec.nodeName or ""
    faults.each_invalid(f"{path}.nodeName", node, names.dns_subdomain_problems(node))
    source = spec.source
    inline = source.inlineVolumeSpec if source is not None else None
    name = source.persistentVolumeName if source is not None else None
    if (inline is None) == (not name):
        text = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
        faults.required(f"{path}.source", text)


def _attributes_class(item: storage_v1.VolumeAttributesClass, faults: Faults, path: str) -> None:
    _parameters(item.parameters, faults)


RULES: Table = {
    core_v1.PersistentVolume: Rules(present=("spec",)),
    core_v1.PersistentVolumeClaim: Rules(present=("spec",)),
    core_v1.PersistentVolumeClaimSpec: Rules(
        each={
            "accessModes": _access_modes,
            "volumeMode": _VOLUME_MODE,
            "storageClassName": values.subdomain,
        },
        whole=_claim,
        skip=("resources",),
    ),
    core_v1.PersistentVolumeClaimTemplate: Rules(present=("spec",)),
    core_v1.PersistentVolumeSpec: Rules(
        each={
            "accessModes": _access_modes,
            "persistentVolumeReclaimPolicy": values.one_of("Delete", "Recycle", "Retain"),
            "storageClassName": values.subdomain,
            "volumeMode": _VOLUME_MODE,
        },
        whole=_volume,
    ),
    core_v1.TopologySelectorLabelRequirement: Rules(
        required=("values",), each={"key": values.qualified_or_empty}
    ),
    core_v1.VolumeNodeAffinity: Rules(whole=_node_affinity),
    storage_v1.CSIDriver: Rules(present=("spec",)),
    storage_v1.CSIDriverSpec: Rules(
        each={"fsGroupPolicy": values.one_of("File", "None", "ReadWriteOnceWithFSType")},
        whole=_csi_driver,
    ),
    storage_v1.CSINode: Rules(present=("spec",)),
    storage_v1.CSINodeDriver: Rules(required=("name", "nodeID")),
    storage_v1.CSINodeSpec: Rules(whole=_csi_node),
    storage_v1.CSIStorageCapacity: Rules(
        required=("storageClassName",),
        each={
            "storageClassName": values.subdomain,
            "capacity": values.quantity_not_negative,
            "maximumVolumeSize": values.quantity_not_negative,
        },
    ),
    storage_v1.StorageClass: Rules(
        each={
            "reclaimPolicy": values.one_of("Delete", "Retain"),
            "volumeBindingMode": values.one_of("Immediate", "WaitForFirstConsumer"),
        },
        whole=_class,
    ),
    storage_v1.VolumeAttachment: Rules(present=("spec",)),
    storage_v1.VolumeAttachmentSpec: Rules(
        required=("attacher",),
        each={"attacher": values.subdomain},
        whole=_attachment,
        skip=("source",),
    ),
    storage_v1.VolumeAttributesClass: Rules(required=("driverName",), whole=_attributes_class),
    storage_v1.VolumeNodeResources: Rules(each={"count": values.not_negative}),
}

# Updates

_CLAIM_FIXED: Final = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for "
    "bound claims"
)


def update_claim(new: Any, old: Any, faults: Faults) -> None:
    """A claim may be named its volume, moved to another class while it waits, and grown."""
    spec, was = new.spec, old.spec
    if spec is None or was is None or spec == was:
        return
    kept: dict[str, Any] = {"volumeAttributesClassName": was.volumeAttributesClassName}
    bound = old.status is not None and old.status.phase == "Bound"
    if not was.volumeName:
        kept["volumeName"] = was.volumeName
    if not bound:
        kept["storageClassName"] = was.storageClassName
    elif spec.resources is not None and was.resources is not None:
        requests = was.resources.requests
        kept["resources"] = replace(spec.resources, requests=requests)
        _only_grows(spec, was, faults)
    if replace(spec, **kept) != was:
        faults.forbidden("spec", _CLAIM_FIXED)


def _only_grows(spec: Any, was: Any, faults: Faults) -> None:
    asked = units((spec.resources.requests or {}).get("storage"))
    if asked < units((was.resources.requests or {}).get("storage")):
        text = "field can not be less than status.capacity"
        faults.forbidden("spec.resources.requests.storage", text)


def update_volume(new: Any, old: Any, faults: Faults) -> None:
    spec, was = new.spec, old.spec
    if spec is None or was is None:
        return
    if spec.volumeMode != was.volumeMode:
        faults.immutable("volumeMode", spec.volumeMode)
    for name in volumes.sources(was):
        if getattr(spec, name) != getattr(was, name):
            text = "spec.persistentvolumesource is immutable after creation"
            faults.forbidden("spec.persistentvolumesource", text)
            break
    if was.nodeAffinity is not None and spec.nodeAffinity != was.nodeAffinity:
        faults.immutable("spec.nodeAffinity", spec.nodeAffinity)


def update_csi_driver(new: Any, old: Any, faults: Faults) -> None:
    if new.spec.attachRequired != old.spec.attachRequired:
        faults.immutable("spec.attachedRequired", new.spec.attachRequired)
    if new.spec.volumeLifecycleModes != old.spec.volumeLifecycleModes:
        faults.immutable("spec.volumeLifecycleModes", new.spec.volumeLifecycleModes)


def update_attachment(new: Any, old: Any, faults: Faults) -> None:
    if new.spec == old.spec:
        return
    source = new.spec.source
    shown = {
        "Attacher": new.spec.attacher,
        "Source": {
            "PersistentVolumeName": source.persistentVolumeName if source else None,
            "InlineVolumeSpec": source.inlineVolumeSpec if source else None,
        },
        "NodeName": new.spec.nodeName,
    }
    faults.immutable("spec", shown)
