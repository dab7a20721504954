"""The proof that `pinnace reset --yes` leaves nothing: the machine before and after, compared.

Two witnesses: the finder that reset itself goes by, and snapshots of the machine that know
nothing of Pinnace. Both are shown to see the cluster while it is up.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import images
from tests.cluster_in_machine import Cluster, is_ready, until
from tests.machine import Machine

pytestmark = pytest.mark.needs("root", "containerd", "busybox", "iptables", "kubectl")

WEB = Path(__file__).parents[2] / "examples" / "hello" / "hello.yaml"
STORE = f"""\
apiVersion: v1
kind: Pod
metadata:
  name: volumes
spec:
  containers:
  - name: main
    image: {images.BUSYBOX}
    command: [sleep, "600"]
    volumeMounts:
    - {{name: scratch, mountPath: /scratch}}
    - {{name: memory, mountPath: /memory}}
  volumes:
  - name: scratch
    emptyDir: {{}}
  - name: memory
    emptyDir: {{medium: Memory}}
"""
# What each part of the machine looks like, as text: a line per thing.
SNAPSHOTS = {
    "processes": "ps -e -o args= | grep -v -E '^(ps -e|grep|sh -c|sleep 3600|cat$)'",
    "mounts": "cut -d' ' -f5 /proc/self/mountinfo",
    "links": "ip -o link | cut -d: -f2",
    "addresses": "ip -o addr | awk '{print $2, $4}'",
    "routes": "ip route",
    "named namespaces": "ip netns; ls /run/netns 2>/dev/null",
    "all namespaces": "lsns -n -o TYPE,NS | grep -c .",
    "iptables": "iptables-save | grep -v '^#' | sed 's/\\[.*\\]//'",
    "ip6tables": "ip6tables-save | grep -v '^#' | sed 's/\\[.*\\]//'",
    "cgroups": "find /sys/fs/cgroup -type d -path '*{cgroup}*'",
    "sockets": "ss -Hlnpx; ss -Hlnpt",
    "files": "find /run /etc /opt /var/lib/pinnace /var/lib/containerd /var/lib/cni {data}"
    " -not -path '/run/varlib*' 2>/dev/null",
}
# The first rule makes the kernel's table, and iptables lists it from then on, empty.
EMPTY_TABLE = re.compile(r"\*(nat|filter|mangle|raw)|COMMIT|:[A-Z]+ ACCEPT ")


def snapshot(machine: Machine) -> dict[str, list[str]]:
    found = {}
    for name, command in SNAPSHOTS.items():
        text = command.replace("{cgroup}", machine.cgroup_root.strip("/"))
        text = text.replace("{data}", str(machine.data_dir))
        lines = machine.run("sh", "-c", text, check=False).stdout.splitlines()
        found[name] = sorted(line for line in lines if not EMPTY_TABLE.fullmatch(line))
    return found


def difference(before: dict[str, list[str]], after: dict[str, list[str]]) -> list[str]:
    """What came (+) and what went (-), a line each."""
    return [
        f"{sign} {name}: {line}"
        for name in SNAPSHOTS
        for sign, more, less in (("+", after, before), ("-", before, after))
        for line in sorted((Counter(more[name]) - Counter(less[name])).elements())
    ]


def leftovers(machine: Machine) -> str:
    """What `reset` without --yes would remove."""
    done = machine.pinnace("reset", "--cgroup-root", machine.cgroup_root, check=False)
    assert done.returncode in (0, 2), done.stderr
    return str(done.stdout)


@pytest.fixture
def machine() -> Iterator[Machine]:
    with Machine("reset") as machine:
        yield machine


def busy(machine: Machine) -> Cluster:
    """A cluster with pods, volumes, services and a rollout behind it."""
    machine.up()
    cluster = Cluster(machine)
    cluster.apply(WEB.read_text())
    cluster.apply(STORE)
    until(lambda: len(pods := cluster.pods()) == 3 and all(map(is_ready, pods)))
    until(lambda: cluster.fetch("http://192.0.2.10:30080/"))
    return cluster


def test_reset_leaves_nothing(machine: Machine) -> None:
    before = snapshot(machine)
    busy(machine)
    during = snapshot(machine)
    for name in ("processes", "mounts", "links", "all namespaces", "iptables", "cgroups", "files"):
        assert during[name] != before[name], f"the snapshot of {name} does not see the cluster"
    told = leftovers(machine)
    for kind in ("process", "mount", "network link", "iptables rule", "cgroup", "file"):
        assert f"  {kind}: " in told
    done = machine.pinnace("reset", "--yes")
    assert "Nothing of the cluster is left on this machine." in done.stdout
    assert done.stderr == ""
    assert difference(before, snapshot(machine)) == []
    assert leftovers(machine) == "nothing of Pinnace's is on this machine\n"


def test_reset_of_what_is_down(machine: Machine) -> None:
    """Pods that run without any daemon are stopped in the orderly way all the same."""
    before = snapshot(machine)
    busy(machine)
    machine.pinnace("down")
    done = machine.pinnace("reset", "--yes")
    assert done.stderr == ""
    assert difference(before, snapshot(machine)) == []


def test_reset_after_a_crash_of_everything(machine: Machine) -> None:
    before = snapshot(machine)
    busy(machine)
    # Supervisor, daemons and shims; the containers are left without anybody. The machine has its
    # own process namespace: nobody else's can be hit.
    machine.run("pkill", "-9", "-f", "supervisor.py|pinnace (control|node|net)|containerd")
    done = machine.pinnace("reset", "--yes")
    assert "Nothing of the cluster is left" in done.stdout
    assert difference(before, snapshot(machine)) == []


@pytest.mark.parametrize(
    "gone",
    ["{data}/containerd.toml {data}/pki", "{data}/containerd {data}/cni", "/run/pinnace"],
    ids=["configuration", "state", "run"],
)
def test_reset_of_what_is_half_removed(machine: Machine, gone: str) -> None:
    before = snapshot(machine)
    busy(machine)
    machine.pinnace("down")
    # What is mounted there cannot be removed, and is left for reset.
    machine.run("sh", "-c", f"rm -rf {gone.format(data=machine.data_dir)} 2>/dev/null; true")
    # A record that makes no sense must not keep reset from going on.
    record = machine.data_dir / "up.json"
    record.write_text(f'{{"cgroup_root": "{machine.cgroup_root}", "secure_port": "nonsense"}}')
    machine.pinnace("reset", "--yes")
    assert difference(before, snapshot(machine)) == []


def test_reset_refuses_what_is_not_ours(machine: Machine) -> None:
    machine.data_dir.mkdir()
    (machine.data_dir / "thesis.tex").touch()
    done = machine.pinnace("reset", "--yes", check=False)
    assert done.returncode == 1
    assert "is not Pinnace's: choose another --data-dir" in done.stderr
    assert (machine.data_dir / "thesis.tex").exists()


def test_reset_without_yes_changes_nothing(machine: Machine) -> None:
    machine.up()
    before = machine.pinnace("status").stdout.split("\n\n")[0]
    done = machine.pinnace("reset", check=False)
    assert done.returncode == 2
    assert machine.pinnace("status").stdout.split("\n\n")[0] == before
