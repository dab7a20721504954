"""What is found to be ours, and what is not."""

import os
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from cluster import control, leftovers
from cluster.leftovers import Leftover
from cluster.paths import Layout
from tests.machine import Machine

MOUNTINFO = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/vda rw
90 22 0:50 / /var/lib/pinnace/node/a\\040b rw - tmpfs tmpfs rw
91 22 0:51 / /var/lib/pinnace rw - ext4 /dev/vdb rw
92 22 0:52 / /var/lib/pinnace-other/x rw - tmpfs tmpfs rw
93 22 0:53 / /run/pinnace/netns/cni-1 rw - nsfs nsfs rw
"""


def test_mount_points_below_our_directories() -> None:
    points = leftovers.mount_points(MOUNTINFO)
    assert points[1] == "/var/lib/pinnace/node/a b"
    ours = [Path("/var/lib/pinnace"), Path("/run/pinnace")]
    assert [p for p in points if leftovers.is_below(p, ours)] == [
        "/var/lib/pinnace/node/a b",
        "/run/pinnace/netns/cni-1",
    ]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """containerd's fixed places, without what other clusters of this host have there."""
    monkeypatch.setattr(leftovers, "SHIM_SOCKETS", tmp_path / "s")
    monkeypatch.setattr(leftovers, "CNI_RESULTS", tmp_path / "results")


def test_nothing_on_a_machine_that_never_had_a_cluster(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data", tmp_path / "run")
    assert leftovers.processes(layout, "/pinnace-never") == []
    assert leftovers.mounts(layout) == []
    assert leftovers.cgroups("/pinnace-never") == []
    assert leftovers.files(layout) == []


@pytest.mark.parametrize("root", ["/", ""])
def test_the_root_cgroup_is_never_ours(root: str) -> None:
    assert leftovers.cgroups(root) == []


def test_marked_processes_are_found(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data", tmp_path / "run")
    argv = (sys.executable, "-I", "-c", "import os, time; os.fork(); time.sleep(600)")
    control.write_spec(layout, [control.DaemonSpec("a", argv)], {})
    control.start(layout)
    try:
        supervisor = control.supervisor_pid(layout)
        daemon = (control.daemons(layout) or [])[0].pid
        found = leftovers.processes(layout, "/pinnace-never")
        assert {supervisor, daemon} <= set(found)
        assert os.getpid() not in found
    finally:
        control.stop(layout)
        for pid in leftovers.processes(layout, "/pinnace-never"):
            os.kill(pid, 9)


@pytest.mark.needs("root", "containerd", "iptables")
def test_finds_every_kind(tmp_path: Path) -> None:
    """Plant one of each in a machine of its own."""
    with Machine("leftovers") as machine:
        data = machine.data_dir
        script = f"""
            mkdir -p {data}/node /run/pinnace
            mount -t tmpfs tmpfs {data}/node
            ip link add pinnace0 type bridge
            ip link add port type veth peer name other
            ip link set port master pinnace0
            iptables -N PINNACE-TEST
            mkdir {cgroup_of(machine)}
            PINNACE_DAEMON={data}:containerd setsid sleep 600 >/dev/null 2>&1 &
        """
        machine.run("sh", "-ec", script)
        code = (
            "from cluster import leftovers; from cluster.paths import Layout; from pathlib import"
            f" Path; found = leftovers.find(Layout(Path('{data}')), '{machine.cgroup_root}');"
            "print('\\n'.join(f'{left.kind}|{left.what}' for left in found))"
        )
        top = Path(__file__).parents[2]
        said = machine.run("env", f"PYTHONPATH={top}", sys.executable, "-c", code).stdout
        found = [Leftover(*line.split("|")) for line in said.splitlines()]
    kinds = {left.kind for left in found}
    assert kinds == {"process", "mount", "network link", "iptables rule", "cgroup", "file"}
    assert [left.what for left in found if left.kind == "network link"] == ["port", "pinnace0"]


def cgroup_of(machine: Machine) -> Path:
    """A place for the machine's cgroup in whichever hierarchy there is."""
    top = Path("/sys/fs/cgroup")
    v1 = top / "memory"
    return (v1 if v1.is_dir() else top) / machine.cgroup_root.strip("/")


def test_what_containerd_keeps_elsewhere_is_known_by_our_sandboxes(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data", tmp_path / "run")
    sockets, results = leftovers.SHIM_SOCKETS, leftovers.CNI_RESULTS
    (layout.containerd_root / "io.containerd.grpc.v1.cri" / "sandboxes" / "aa").mkdir(parents=True)
    (layout.containerd_state / "io.containerd.runtime.v2.task" / "k8s.io" / "bb").mkdir(
        parents=True
    )
    address = str(layout.containerd_socket)
    ours = [sha256(f"{address}/k8s.io/{name}".encode()).hexdigest() for name in ("aa", "bb")]
    records = ["cni-loopback-bb-lo", "cni-loopback-cc-lo", "pinnace-cc-eth0"]
    for directory, names in (
        (sockets, [*ours, sha256(b"theirs").hexdigest()]),
        (results, [*records, "cni-loopback-dd-lo", "flannel-dd-eth0"]),
    ):
        directory.mkdir()
        for name in names:
            (directory / name).touch()
    assert {path.name for path in leftovers.outside(layout)} == {*ours, *records}


def test_a_disk_given_to_us_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(tmp_path / "data", tmp_path / "run")
    (layout.data_dir / "lost+found").mkdir(parents=True)
    (layout.data_dir / "store").mkdir()
    monkeypatch.setattr(Path, "is_mount", lambda path: path == layout.data_dir)
    assert leftovers.files(layout) == [layout.data_dir / "store"]
