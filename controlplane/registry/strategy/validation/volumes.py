"""Where volumes come from, in pods and in PersistentVolumes (validateVolumeSource)."""

from collections.abc import Sequence
from typing import Any, Final

from controlplane.registry.strategy.validation import values
from controlplane.registry.strategy.validation.containers import PULL_POLICIES
from controlplane.registry.strategy.validation.environment import (
    VOLUME_FIELDS,
    check_field,
    check_resource,
)
from controlplane.registry.strategy.validation.faults import Faults
from controlplane.registry.strategy.validation.rules import Rules, Table
from kubeapi.types import core_v1

# In the order in which the first one counts and each further one is forbidden.
_ORDER: Final = (
    "emptyDir", "hostPath", "gitRepo", "gcePersistentDisk", "awsElasticBlockStore", "secret",
    "nfs", "iscsi", "glusterfs", "persistentVolumeClaim", "rbd", "cinder", "cephfs", "flocker",
    "downwardAPI", "fc", "flexVolume", "configMap", "azureFile", "vsphereVolume",
    "photonPersistentDisk", "quobyte", "azureDisk", "storageos", "projected", "portworxVolume",
    "scaleIO", "csi", "ephemeral", "image", "local",
)  # fmt: skip
_MODE = values.between(0, 0o777, "must be a number between 0 and 0777 (octal), both inclusive")
_TOKEN_MIN_S: Final = 600
_TOKEN_MAX_S: Final = 1 << 32


def sources(volume: Any) -> list[str]:
    """The names of the sources that are set, of which there should be one."""
    return [name for name in _ORDER if getattr(volume, name, None) is not None]


def _volume(volume: core_v1.Volume, faults: Faults, path: str) -> None:
    for name in sources(volume)[1:]:
        faults.forbidden(f"{path}.{name}", "may not specify more than 1 volume type")


def check_names(volumes: Sequence[core_v1.Volume], faults: Faults, path: str) -> None:
    values.no_duplicates(volumes, "name", faults, path)


def _empty_dir(source: core_v1.EmptyDirVolumeSource, faults: Faults, path: str) -> None:
    if source.sizeLimit is not None and values.quantity_sign(source.sizeLimit) < 0:
        text = "SizeLimit field must be a valid resource quantity"
        faults.forbidden(f"{path}.sizeLimit", text)


def _downward_file(file: core_v1.DownwardAPIVolumeFile, faults: Faults, path: str) -> None:
    outer = path.rpartition(".items[")[0]
    if file.fieldRef is not None:
        check_field(file.fieldRef, VOLUME_FIELDS, faults, f"{path}.fieldRef")
        if file.resourceFieldRef is not None:
            text = "fieldRef and resourceFieldRef can not be specified simultaneously"
            faults.invalid(outer, "resource", text)
    elif file.resourceFieldRef is not None:
        check_resource(file.resourceFieldRef, True, faults, f"{path}.resourceFieldRef")
    else:
        faults.required(outer, "one of fieldRef and resourceFieldRef is required")


def _projection(source: core_v1.VolumeProjection, faults: Faults, path: str) -> None:
    found = [name for name in source.__struct_fields__ if getattr(source, name) is not None]
    for name in found[1:]:
        faults.forbidden(f"{path}.{name}", "may not specify more than 1 volume type per source")
    token = source.serviceAccountToken
    if token is not None:
        seconds = token.expirationSeconds
        where = f"{path}.serviceAccountToken.expirationSeconds"
        if seconds is not None and seconds < _TOKEN_MIN_S:
            faults.invalid(where, seconds, "may not specify a duration less than 10 minutes")
        elif seconds is not None and seconds > _TOKEN_MAX_S:
            text = "may not specify a duration larger than 2^32 seconds"
            faults.invalid(where, seconds, text)
        if not token.path:
            faults.required(f"{path.rpartition('.sources[')[0]}.path")
        else:
            values.local_target(token.path, faults, path.rpartition(".sources[")[0], "path")


_ITEM = Rules(required=("key", "path"), each={"path": values.local_target, "mode": _MODE})
_HOST_PATH_TYPES: Final = (
    "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate",
    "Socket",
)  # fmt: skip


def _iscsi(source: Any, faults: Faults, path: str) -> None:
    iqn = source.iqn or ""
    if not iqn:
        faults.required(f"{path}.iqn")
    elif not iqn.startswith(("iqn", "eui", "naa")):
        text = "must be valid format starting with iqn, eui, or naa"
        faults.invalid(f"{path}.iqn", iqn, text)
    lun = source.lun or 0
    if not 0 <= lun <= 255:
        faults.invalid(f"{path}.lun", lun, "must be between 0 and 255, inclusive")


def _fc(source: core_v1.FCVolumeSource, faults: Faults, path: str) -> None:
    if not source.targetWWNs and not source.wwids:
        faults.required(
            f"{path}.targetWWNs", "must specify either targetWWNs or wwids, but not both"
        )
    elif source.targetWWNs and source.wwids:
        text = "targetWWNs and wwids can not be specified simultaneously"
        faults.invalid(f"{path}.targetWWNs", source.targetWWNs, text)


def _required(*fields: str) -> Rules:
    return Rules(required=fields)


RULES: Table = {
    core_v1.Volume: Rules(required=("name",), each={"name": values.label}, whole=_volume),
    core_v1.EmptyDirVolumeSource: Rules(whole=_empty_dir),
    core_v1.HostPathVolumeSource: Rules(
        required=("path",),
        each={"path": values.no_backsteps, "type": values.one_of(*_HOST_PATH_TYPES)},
    ),
    core_v1.KeyToPath: _ITEM,
    core_v1.SecretVolumeSource: Rules(required=("secretName",), each={"defaultMode": _MODE}),
    core_v1.ConfigMapVolumeSource: Rules(required=("name",), each={"defaultMode": _MODE}),
    core_v1.SecretProjection: _required("name"),
    core_v1.ConfigMapProjection: _required("name"),
    core_v1.DownwardAPIVolumeSource: Rules(each={"defaultMode": _MODE}),
    core_v1.DownwardAPIVolumeFile: Rules(
        required=("path",),
        each={"path": values.local_target, "mode": _MODE},
        whole=_downward_file,
    ),
    core_v1.ProjectedVolumeSource: Rules(each={"defaultMode": _MODE}),
    core_v1.VolumeProjection: Rules(whole=_projection),
    core_v1.PersistentVolumeClaimVolumeSource: _required("claimName"),
    core_v1.NFSVolumeSource: Rules(
        required=("server", "path"), each={"path": values.absolute_path}
    ),
    core_v1.CSIVolumeSource: _required("driver"),
    core_v1.EphemeralVolumeSource: _required("volumeClaimTemplate"),
    core_v1.ImageVolumeSource: Rules(
        required=("reference",), each={"pullPolicy": values.one_of(*PULL_POLICIES)}
    ),
    core_v1.GitRepoVolumeSource: Rules(
        required=("repository",), each={"directory": values.local_path}
    ),
    core_v1.GCEPersistentDiskVolumeSource: Rules(
        required=("pdName",), each={"partition": values.between(0, 255)}
    ),
    core_v1.AWSElasticBlockStoreVolumeSource: Rules(
        required=("volumeID",), each={"partition": values.between(0, 255)}
    ),
    core_v1.ISCSIVolumeSource: Rules(required=("targetPortal",), whole=_iscsi),
    core_v1.ISCSIPersistentVolumeSource: Rules(required=("targetPortal",), whole=_iscsi),
    core_v1.GlusterfsVolumeSource: _required("endpoints", "path"),
    core_v1.GlusterfsPersistentVolumeSource: _required("endpoints", "path"),
    core_v1.FlexVolumeSource: _required("driver"),
    core_v1.FlexPersistentVolumeSource: _required("driver"),
    core_v1.RBDVolumeSource: _required("monitors", "image"),
    core_v1.RBDPersistentVolumeSource: _required("monitors", "image"),
    core_v1.CinderVolumeSource: _required("volumeID"),
    core_v1.CinderPersistentVolumeSource: _required("volumeID"),
    core_v1.CephFSVolumeSource: _required("monitors"),
    core_v1.CephFSPersistentVolumeSource: _required("monitors"),
    core_v1.FCVolumeSource: Rules(whole=_fc),
    core_v1.AzureFileVolumeSource: _required("secretName", "shareName"),
    core_v1.AzureFilePersistentVolumeSource: _required("secretName", "shareName"),
    core_v1.AzureDiskVolumeSource: _required("diskName", "diskURI"),
    core_v1.VsphereVirtualDiskVolumeSource: _required("volumePath"),
    core_v1.PhotonPersistentDiskVolumeSource: _required("pdID"),
    core_v1.PortworxVolumeSource: _required("volumeID"),
    core_v1.QuobyteVolumeSource: _required("registry", "volume"),
    core_v1.ScaleIOVolumeSource: _required("gateway", "system", "volumeName"),
    core_v1.ScaleIOPersistentVolumeSource: _required("gateway", "system", "volumeName"),
    core_v1.CSIPersistentVolumeSource: _required("driver", "volumeHandle"),
    core_v1.LocalVolumeSource: Rules(required=("path",), each={"path": values.no_backsteps}),
}
