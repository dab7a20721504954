"""What is checked before anything starts: each refusal is one line that says what to do."""

import os
import socket
from pathlib import Path

import pytest

from cluster import control, preflight
from cluster.errors import CommandError
from cluster.paths import Layout

# /proc/net/tcp: 6443 (192B) listening as inode 111, connected as 112; 80 (0050) listening as 113.
TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:192B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1
   1: 0100007F:192B 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 112 1
   2: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 113 1
"""


def test_a_new_or_empty_directory_becomes_ours(tmp_path: Path) -> None:
    for name in ("new/deep", "empty"):
        layout = Layout(tmp_path / name, tmp_path / "run")
        if name == "empty":
            layout.data_dir.mkdir()
        preflight.claim_data_dir(layout)
        assert layout.marker.exists()
        (layout.data_dir / "store").mkdir()
        preflight.claim_data_dir(layout)


def test_a_disk_of_its_own_counts_as_empty(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    preflight.claim_data_dir(Layout(tmp_path, tmp_path / "run"))


def test_somebody_elses_directory_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    for refuse in (preflight.claim_data_dir, preflight.require_ours):
        with pytest.raises(CommandError, match=r"is not Pinnace's.*choose another --data-dir"):
            refuse(Layout(tmp_path, tmp_path / "run"))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CommandError, match="is not a directory: choose another"):
        preflight.claim_data_dir(Layout(tmp_path / "file", tmp_path / "run"))
    with pytest.raises(CommandError, match="cannot use "):
        preflight.claim_data_dir(Layout(tmp_path / "file" / "below", tmp_path / "run"))


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    # Root may write anywhere but where the kernel itself answers.
    with pytest.raises(CommandError, match="cannot use /proc/1/pinnace"):
        preflight.claim_data_dir(Layout(Path("/proc/1/pinnace"), tmp_path / "run"))


def test_a_taken_port_is_named_with_its_holder() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert preflight.port_holders(port) == {os.getpid()}
        name = Path("/proc/self/comm").read_text().strip()
        with pytest.raises(CommandError) as caught:
            preflight.check_ports([port], set())
        assert str(caught.value) == (
            f"port {port} is taken by {name} (process {os.getpid()}); "
            "stop it or choose another port"
        )
        preflight.check_ports([port], {os.getpid()})
    preflight.check_ports([port], set())


def test_listening_inodes() -> None:
    assert preflight.listening_inodes(TCP, 6443) == {"111"}
    assert preflight.listening_inodes(TCP, 443) == set()


def test_cgroup_controllers_of_both_versions(tmp_path: Path) -> None:
    v1, v2 = tmp_path / "v1", tmp_path / "v2"
    for name in ("cpu,cpuacct", "memory", "pids"):
        (v1 / name).mkdir(parents=True)
    assert preflight.cgroup_controllers(v1) == {"cpu", "cpuacct", "memory", "pids"}
    v2.mkdir()
    (v2 / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    assert preflight.cgroup_controllers(v2) == {"cpuset", "cpu", "io", "memory", "pids"}
    assert preflight.cgroup_controllers(tmp_path / "none") == set()


def test_a_kernel_without_memory_cgroups(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu pids\n")
    monkeypatch.setattr(preflight, "CGROUPS", tmp_path)
    with pytest.raises(CommandError, match="no cgroup controller memory under"):
        preflight.check_kernel()


@pytest.mark.needs("root", "iptables")
def test_this_machine_passes() -> None:
    preflight.check_kernel()
    preflight.check_iptables()
    assert "pinnace-trial" not in Path("/proc/net/dev").read_text()


def test_one_cluster_at_a_time(tmp_path: Path) -> None:
    """What runs, or ran, here is another data directory's: neither joined nor stopped nor reset."""
    first, second = (Layout(tmp_path / name, tmp_path / "run") for name in ("first", "second"))
    preflight.claim_data_dir(first)
    control.write_spec(first, [], {})
    assert control.owner(second) == first.data_dir
    preflight.claim_data_dir(first)
    preflight.require_ours(first)
    for refuse in (preflight.claim_data_dir, preflight.require_ours):
        with pytest.raises(CommandError, match=f"use --data-dir {first.data_dir}"):
            refuse(second)
    assert not second.data_dir.exists()
