"""Volumes: which files they hold, how they change, and that nothing leads out of them."""

import base64
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from podmaker import container, make_pod

from base.clock import LoopClock
from kubeapi.types import core_v1
from nodeagent.agent import _make_folder
from nodeagent.pods.spec import spec_of
from nodeagent.volumes.atomic_writer import write_payload
from nodeagent.volumes.hostpath import host_path
from nodeagent.volumes.manager import VolumeManager, used_volumes, volume_type
from nodeagent.volumes.mounts import is_mount_point, mount_tmpfs, unmount
from nodeagent.volumes.payload import FileData, Sources, VolumeError
from nodeagent.volumes.subpath import bind_subpath


def config_map(**data: str) -> core_v1.ConfigMap:
    binary = {"raw": base64.b64encode(b"\xff").decode()}
    body = {"metadata": {"name": "m"}, "data": data, "binaryData": binary}
    return msgspec.convert(body, core_v1.ConfigMap)


def pod_with(**volume: Any) -> core_v1.Pod:
    mounts = [{"name": "v", "mountPath": "/v"}]
    return make_pod(container(volumeMounts=mounts), volumes=[{"name": "v"} | volume])


def manager(tmp_path: Path) -> VolumeManager:
    return VolumeManager(tmp_path, LoopClock())


def files(folder: Path) -> dict[str, bytes]:
    """What a user of the volume sees."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if not name.startswith("..") and path.is_file():
            found[name] = path.read_bytes()
    return found


async def test_a_config_map_with_items_and_modes(tmp_path: Path) -> None:
    items = [{"key": "a", "path": "deep/a.txt", "mode": 0o600}, {"key": "raw", "path": "b"}]
    pod = pod_with(configMap={"name": "m", "items": items, "defaultMode": 0o440})
    paths = manager(tmp_path).ensure(pod, Sources({"m": config_map(a="1", c="3")}))
    assert files(paths["v"]) == {"b": b"\xff"}
    assert (paths["v"] / "deep" / "a.txt").read_bytes() == b"1"
    assert (paths["v"] / "deep" / "a.txt").stat().st_mode & 0o777 == 0o600
    assert (paths["v"] / "b").stat().st_mode & 0o777 == 0o440


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"configMap": {"name": "none"}}, 'configmap "none" not found'),
        (
            {"configMap": {"name": "m", "items": [{"key": "no", "path": "x"}]}},
            "configmap default/m references non-existent config key: no",
        ),
        ({"secret": {"secretName": "none"}}, 'secret "none" not found'),
        ({"nfs": {"path": "/"}}, "volumes of type nfs are not supported by this agent"),
        (
            {"persistentVolumeClaim": {"claimName": "c"}},
            "volumes of type persistentVolumeClaim are not supported by this agent",
        ),
        ({"emptyDir": {"medium": "Odd"}}, "emptyDir medium 'Odd' is not supported"),
        (
            {"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
            "no service account token has been issued yet",
        ),
        (
            {"projected": {"sources": [{"clusterTrustBundle": {"path": "t"}}]}},
            "clusterTrustBundle sources of projected volumes are not supported",
        ),
    ],
)
async def test_what_cannot_be_set_up_is_named(
    tmp_path: Path, volume: dict[str, Any], message: str
) -> None:
    with pytest.raises(VolumeError) as caught:
        manager(tmp_path).ensure(pod_with(**volume), Sources({"m": config_map()}))
    assert str(caught.value) == f'MountVolume.SetUp failed for volume "v" : {message}'


async def test_an_optional_source_may_be_missing(tmp_path: Path) -> None:
    pod = pod_with(configMap={"name": "none", "optional": True})
    assert files(manager(tmp_path).ensure(pod, Sources())["v"]) == {}


async def test_a_source_that_goes_leaves_what_the_pod_runs_with(tmp_path: Path) -> None:
    volumes, pod = manager(tmp_path), pod_with(configMap={"name": "m"})
    volumes.ensure(pod, Sources({"m": config_map(a="1")}))
    paths = volumes.ensure(pod, Sources())
    assert (paths["v"] / "a").read_bytes() == b"1"


async def test_the_downward_api_follows_the_pod(tmp_path: Path) -> None:
    item = {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}
    volumes = manager(tmp_path)
    for value in ("1", "2"):
        pod = pod_with(downwardAPI={"items": [item]})
        meta = msgspec.structs.replace(pod.metadata, labels={"a": value})  # type: ignore[type-var]
        paths = volumes.ensure(msgspec.structs.replace(pod, metadata=meta), Sources())
        assert files(paths["v"]) == {"labels": f'a="{value}"'.encode()}


@pytest.mark.realtime
@pytest.mark.needs("root")
async def test_projected_sources_share_a_folder_in_memory(tmp_path: Path) -> None:
    parts = [
        {"configMap": {"name": "m", "items": [{"key": "a", "path": "a"}]}},
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
        {
            "downwardAPI": {
                "items": [{"path": "ns", "fieldRef": {"fieldPath": "metadata.namespace"}}]
            }
        },
    ]
    pod, volumes = pod_with(projected={"sources": parts}), manager(tmp_path)
    sources = Sources({"m": config_map(a="1")}, tokens={("", 3607): "ey"})
    folder = volumes.ensure(pod, sources)["v"]
    try:
        assert is_mount_point(folder)
        assert files(folder) == {"a": b"1", "token": b"ey", "ns": b"default"}
    finally:
        await volumes.remove_pod("uid-p")
    assert not volumes.pod_dir("uid-p").exists()


@pytest.mark.needs("root")
async def test_fs_group_owns_what_it_must_read_or_write(tmp_path: Path) -> None:
    volumes = manager(tmp_path)
    group = {"securityContext": {"fsGroup": 4242}}
    mounts = [{"name": "v", "mountPath": "/v"}]
    for source in ({"configMap": {"name": "m"}}, {"emptyDir": {}}):
        pod = make_pod(
            container(volumeMounts=mounts),
            meta={"uid": f"uid-{next(iter(source))}"},
            volumes=[{"name": "v"} | source],
            **group,
        )
        folder = volumes.ensure(pod, Sources({"m": config_map(a="1")}))["v"]
        judged = (folder / "a") if "configMap" in source else folder
        assert judged.stat().st_gid == 4242
        assert judged.stat().st_mode & 0o040


async def test_only_volumes_that_are_mounted_are_set_up() -> None:
    pod = make_pod(volumes=[{"name": "v", "nfs": {"path": "/"}}])
    assert used_volumes(pod) == []
    assert volume_type((spec_of(pod).volumes or [])[0]) == "nfs"


@pytest.mark.realtime
@pytest.mark.needs("root")
async def test_nothing_is_deleted_through_a_mount(tmp_path: Path) -> None:
    """Also where the agent's folder is reached by a symlink, which /proc/mounts never shows."""
    (tmp_path / "real").mkdir()
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("kept")
    (tmp_path / "link").symlink_to("real")
    volumes = manager(tmp_path / "link")
    target = volumes.pod_dir("uid-p") / "volume-subpaths" / "v" / "a" / "0"
    bind_subpath(tmp_path / "precious", ".", target)
    assert (target / "file").exists()
    await volumes.remove_pod("uid-p")
    assert not volumes.pod_dir("uid-p").exists()
    assert (tmp_path / "precious" / "file").read_text() == "kept"


def payload(**contents: str) -> dict[str, FileData]:
    return {name: FileData(text.encode()) for name, text in contents.items()}


def test_a_change_replaces_all_files_by_one_rename(tmp_path: Path) -> None:
    assert write_payload(tmp_path, payload(a="1", b="2"), "t1")
    first = os.readlink(tmp_path / "..data")
    assert not write_payload(tmp_path, payload(a="1", b="2"), "t2")
    assert write_payload(tmp_path, payload(b="3", c="4"), "t3")
    assert files(tmp_path) == {"b": b"3", "c": b"4"}
    assert os.readlink(tmp_path / "..data") != first
    assert not (tmp_path / first).exists()


def test_a_crash_between_two_steps_heals(tmp_path: Path) -> None:
    write_payload(tmp_path, payload(a="1"), "t1")
    (tmp_path / "..data_tmp").symlink_to("nowhere")
    (tmp_path / "..t0.half-made").mkdir()
    assert write_payload(tmp_path, payload(a="2"), "t2")
    assert files(tmp_path) == {"a": b"2"}
    assert not (tmp_path / "..t0.half-made").exists()


@pytest.mark.parametrize("path", ["../x", "/x", "a/../../x", "..x", ""])
def test_a_path_that_leaves_the_volume_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(VolumeError):
        write_payload(tmp_path, {path: FileData(b"")}, "t")


@pytest.mark.needs("root")
def test_a_subpath_is_mounted_by_what_was_opened(tmp_path: Path) -> None:
    volume, target = tmp_path / "volume", tmp_path / "target"
    (volume / "real").mkdir(parents=True)
    (volume / "real" / "file").write_text("inside")
    (volume / "link").symlink_to("real")
    (tmp_path / "secret").write_text("outside")
    (volume / "escape").symlink_to("../secret")
    try:
        assert (bind_subpath(volume, "link/file", target)).read_text() == "inside"
        assert bind_subpath(volume, "made/on/demand", target).is_dir()
        assert (volume / "made" / "on" / "demand").is_dir()
        for wrong in ("escape", "../secret", "/etc", "real/../../secret"):
            with pytest.raises(VolumeError):
                bind_subpath(volume, wrong, target)
    finally:
        unmount(target)


@pytest.mark.needs("root")
def test_a_tmpfs_is_mounted_once_and_sized(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    try:
        mount_tmpfs(folder, 1 << 20)
        mount_tmpfs(folder, 1 << 20)
        disk = os.statvfs(folder)
        assert disk.f_blocks * disk.f_frsize == 1 << 20
    finally:
        unmount(folder)
    assert not is_mount_point(folder)


def test_host_path_types(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    def check(name: str, kind: str | None) -> Path:
        source = core_v1.HostPathVolumeSource(path=str(tmp_path / name), type=kind)
        return host_path(source)

    assert check("none", None) == tmp_path / "none"
    assert check("made", "DirectoryOrCreate").is_dir()
    assert check("touched", "FileOrCreate").is_file()
    assert check("file", "File").is_file()
    for name, kind in (("file", "Directory"), ("none", "File"), ("file", "Socket"), ("x", "Odd")):
        with pytest.raises(VolumeError):
            check(name, kind)


def test_other_users_of_the_machine_cannot_enter_the_agents_folders(tmp_path: Path) -> None:
    folder = tmp_path / "node"
    folder.mkdir(mode=0o755)  # as an earlier release left it
    _make_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o750
