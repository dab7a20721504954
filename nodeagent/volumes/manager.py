"""The volumes of each pod: set up before its containers, kept current, removed after them."""

import asyncio
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from base.clock import Clock, rfc3339_micro
from kubeapi.quantity import units
from kubeapi.types import core_v1
from nodeagent.pods.qos import pod_limits
from nodeagent.pods.spec import all_containers, full_name, spec_of, uid_of
from nodeagent.volumes.atomic_writer import DATA, write_payload
from nodeagent.volumes.hostpath import host_path
from nodeagent.volumes.mounts import MountError, mount_tmpfs, mounts_below, unmount
from nodeagent.volumes.payload import (
    DEFAULT_MODE,
    Payload,
    Sources,
    VolumeError,
    config_map_payload,
    downward_payload,
    projected_payload,
    secret_payload,
)

log = logging.getLogger(__name__)

# Volume type to the name of its folder, as the kubelet has them.
FOLDERS = {
    "emptyDir": "kubernetes.io~empty-dir",
    "configMap": "kubernetes.io~configmap",
    "secret": "kubernetes.io~secret",
    "downwardAPI": "kubernetes.io~downward-api",
    "projected": "kubernetes.io~projected",
}
# What they hold must not reach a disk.
ON_TMPFS = ("secret", "projected")

PayloadMaker = Callable[[core_v1.Pod, core_v1.Volume, Sources], Payload]


class VolumeManager:
    """Folders below `root/pods/<uid>/volumes`."""

    def __init__(self, root: Path, clock: Clock) -> None:
        self.pods_dir = root / "pods"
        self._clock = clock

    def pod_dir(self, uid: str) -> Path:
        return self.pods_dir / uid

    def ensure(self, pod: core_v1.Pod, sources: Sources) -> dict[str, Path]:
        """Host paths of the pod's volumes by name, set up and current.

        Raises VolumeError naming the volume; what could be done has been done by then.
        """
        paths: dict[str, Path] = {}
        for volume in used_volumes(pod):
            try:
                paths[volume.name or ""] = self._ensure(pod, volume, sources)
            except (VolumeError, MountError) as error:
                text = f'MountVolume.SetUp failed for volume "{volume.name}" : {error}'
                raise VolumeError(text) from None
        return paths

    async def remove_pod(self, uid: str) -> None:
        """Unmount and delete everything of the pod; large trees in a thread."""
        folder = self.pod_dir(uid)
        if not folder.exists():
            return
        for point in mounts_below(folder):
            unmount(point)
        # Never delete through a mount that would not go.
        if mounts_below(folder):
            raise VolumeError(f"volumes are still mounted below {folder}")
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def pod_uids(self) -> set[str]:
        """Uids of all pods that have a folder."""
        if not self.pods_dir.is_dir():
            return set()
        return {entry.name for entry in self.pods_dir.iterdir() if entry.is_dir()}

    def _ensure(self, pod: core_v1.Pod, volume: core_v1.Volume, sources: Sources) -> Path:
        kind = volume_type(volume)
        if volume.hostPath is not None:
            return host_path(volume.hostPath)
        folder = self.pod_dir(uid_of(pod)) / "volumes" / FOLDERS.get(kind, "") / (volume.name or "")
        if volume.emptyDir is not None:
            return self._empty_dir(pod, volume.emptyDir, folder)
        maker = _MAKERS.get(kind)
        if maker is None:
            raise VolumeError(f"volumes of type {kind} are not supported by this agent")
        try:
            payload = maker(pod, volume, sources)
        except VolumeError as error:
            if not (folder / DATA).is_symlink():
                raise
            # What the pod runs with stays: a source that is gone must not keep it from restarting.
            log.warning("volume %s of pod %s not renewed: %s", volume.name, full_name(pod), error)
            return folder
        fresh = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        if kind in ON_TMPFS:
            mount_tmpfs(folder)
        if fresh:
            os.chmod(folder, 0o777)  # noqa: S103 (as Kubernetes: the pod's users write here)
        stamp = rfc3339_micro(self._clock.now_s()).translate(_STAMP)
        write_payload(folder, payload, stamp, _fs_group(pod))
        return folder

    def _empty_dir(
        self, pod: core_v1.Pod, source: core_v1.EmptyDirVolumeSource, folder: Path
    ) -> Path:
        if source.medium not in (None, "", "Memory"):
            raise VolumeError(f"emptyDir medium {source.medium!r} is not supported")
        fresh = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        if source.medium == "Memory":
            mount_tmpfs(folder, units(source.sizeLimit) or pod_limits(spec_of(pod)).memory_bytes)
        group = _fs_group(pod)
        if fresh:
            os.chmod(folder, 0o777 if group is None else 0o2777)
            if group is not None:
                os.chown(folder, -1, group)
        return folder


_STAMP = str.maketrans({"-": "_", ":": "_", "T": "_", "Z": None})


def used_volumes(pod: core_v1.Pod) -> list[core_v1.Volume]:
    """The volumes that some container mounts; the others are not set up."""
    used = {m.name for c in all_containers(pod) for m in c.volumeMounts or ()}
    return [v for v in spec_of(pod).volumes or () if v.name in used]


def volume_type(volume: core_v1.Volume) -> str:
    """The name of the one source that is set; emptyDir where none is."""
    for name in volume.__struct_fields__:
        if name != "name" and getattr(volume, name) is not None:
            return name
    return "emptyDir"


def _fs_group(pod: core_v1.Pod) -> int | None:
    context = spec_of(pod).securityContext
    return context.fsGroup if context is not None else None


def _mode(mode: int | None) -> int:
    return DEFAULT_MODE if mode is None else mode


def _config_map(pod: core_v1.Pod, volume: core_v1.Volume, sources: Sources) -> Payload:
    ref = volume.configMap or core_v1.ConfigMapVolumeSource()
    return config_map_payload(
        pod, ref.name, ref.items, ref.optional, _mode(ref.defaultMode), sources
    )


def _secret(pod: core_v1.Pod, volume: core_v1.Volume, sources: Sources) -> Payload:
    ref = volume.secret or core_v1.SecretVolumeSource()
    return secret_payload(
        pod, ref.secretName, ref.items, ref.optional, _mode(ref.defaultMode), sources
    )


def _downward(pod: core_v1.Pod, volume: core_v1.Volume, sources: Sources) -> Payload:
    ref = volume.downwardAPI or core_v1.DownwardAPIVolumeSource()
    return downward_payload(pod, ref.items, _mode(ref.defaultMode), sources)


def _projected(pod: core_v1.Pod, volume: core_v1.Volume, sources: Sources) -> Payload:
    return projected_payload(pod, volume.projected or core_v1.ProjectedVolumeSource(), sources)


_MAKERS: dict[str, PayloadMaker] = {
    "configMap": _config_map,
    "secret": _secret,
    "downwardAPI": _downward,
    "projected": _projected,
}
