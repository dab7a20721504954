"""A container's mounts: its volumes, /etc/hosts and the termination message file."""

import os
from pathlib import Path, PurePosixPath

from kubeapi.types import core_v1
from nodeagent.pods.container_config import ContainerMount
from nodeagent.pods.env import ConfigError
from nodeagent.pods.expansion import expand
from nodeagent.pods.spec import Container
from nodeagent.volumes.mounts import MountError
from nodeagent.volumes.payload import VolumeError
from nodeagent.volumes.subpath import bind_subpath

HOSTS = "/etc/hosts"


def container_mounts(
    container: Container,
    volumes: dict[str, Path],
    pod_dir: Path,
    env: dict[str, str],
    restart_count: int,
    hosts_text: str,
) -> list[ContainerMount]:
    """Makes the files that they need. Raises ConfigError naming the mount that cannot be."""
    mounts = [
        _volume_mount(container, index, mount, volumes, pod_dir, env)
        for index, mount in enumerate(container.volumeMounts or ())
    ]
    if HOSTS not in {mount.container_path for mount in mounts}:
        mounts.append(ContainerMount(HOSTS, str(_hosts(pod_dir, hosts_text))))
    message_path = container.terminationMessagePath or "/dev/termination-log"
    message = pod_dir / "containers" / (container.name or "") / str(restart_count)
    mounts.append(ContainerMount(message_path, str(_empty_file(message))))
    return mounts


def _volume_mount(
    container: Container,
    index: int,
    mount: core_v1.VolumeMount,
    volumes: dict[str, Path],
    pod_dir: Path,
    env: dict[str, str],
) -> ContainerMount:
    host = volumes.get(mount.name or "")
    if host is None:
        raise ConfigError(f'volume "{mount.name}" is mounted but not among the pod\'s volumes')
    if mount.recursiveReadOnly not in (None, "Disabled", "IfPossible"):
        raise ConfigError(f"mount {mount.name}: recursiveReadOnly is not supported")
    subpath = mount.subPath or expand(mount.subPathExpr or "", env)
    if subpath:
        name = f"volume-subpaths/{mount.name}/{container.name}/{index}"
        try:
            host = bind_subpath(host, subpath, pod_dir / name)
        except (VolumeError, MountError) as error:
            raise ConfigError(
                f'failed to prepare subPath for volumeMount "{mount.name}" '
                f'of container "{container.name}": {error}'
            ) from None
    path = PurePosixPath("/") / (mount.mountPath or "")
    return ContainerMount(
        str(path), str(host), bool(mount.readOnly), mount.mountPropagation or "None"
    )


def _hosts(pod_dir: Path, text: str) -> Path:
    path = pod_dir / "etc-hosts"
    path.parent.mkdir(parents=True, exist_ok=True)
    # In place: containers that run have this very file mounted.
    path.write_text(text)
    os.chmod(path, 0o644)
    return path


def _empty_file(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    # Any user of the container may leave its last words.
    os.chmod(path, 0o666)  # noqa: S103
    return path
