"""kill -9 of any daemon at any moment: what was acknowledged is there, and containers live on."""

import re

import pytest

from tests.cluster_in_machine import Cluster, is_ready, until
from tests.kubectl.test_tour import NGINX, rollout

pytestmark = pytest.mark.needs("root", "containerd", "busybox", "iptables", "kubectl")

DAEMONS = {
    "containerd": "containerd --config",
    "controlplane": "pinnace controlplane",
    "nodeagent": "pinnace nodeagent",
    "netproxy": "pinnace netproxy",
    "supervisor": "supervisor.py",
}


def pid_of(cluster: Cluster, daemon: str) -> str:
    """The daemon's process: the session leader among those that look like it."""
    pids = cluster.machine.run("pgrep", "-f", DAEMONS[daemon], check=False).stdout.split()
    for pid in pids:
        state = cluster.machine.run("ps", "-o", "stat=", "-p", pid, check=False).stdout
        if "s" in state and "Z" not in state:
            return str(pid)
    return ""


def containers(cluster: Cluster) -> dict[str, str]:
    """container id -> when it started, of every running container in the namespace."""
    return {
        status["containerID"]: status["state"]["running"]["startedAt"]
        for pod in cluster.pods()
        for status in pod["status"]["containerStatuses"]
        if "running" in status["state"]
    }


@pytest.mark.parametrize("daemon", DAEMONS)
def test_kill(cluster: Cluster, namespace: str, daemon: str) -> None:
    cluster.apply(NGINX)
    rollout(cluster)
    before = containers(cluster)
    ip = cluster.get("service", "my-service")["spec"]["clusterIP"]
    # The proxy hears of ready pods a moment after the rollout does.
    until(lambda: cluster.fetch(f"http://{ip}/"))
    cluster.kubectl("create", "configmap", "acknowledged", "--from-literal=a=b")
    pid = pid_of(cluster, daemon)
    cluster.machine.run("kill", "-9", pid)
    assert cluster.fetch(f"http://{ip}/")
    if daemon == "supervisor":
        cluster.machine.up()
    until(lambda: pid_of(cluster, daemon) not in ("", pid))
    until(lambda: cluster.run("get", "configmap", "acknowledged", check=False).returncode == 0)
    until(lambda: "Ready" in cluster.kubectl("get", "nodes").split())
    assert containers(cluster) == before
    cluster.kubectl("scale", "deployment", "nginx-deployment", "--replicas=4")
    until(lambda: len(pods := cluster.pods()) == 4 and all(map(is_ready, pods)))
    assert set(before) <= set(containers(cluster))


def test_down_and_up(cluster: Cluster, namespace: str) -> None:
    cluster.apply(NGINX)
    rollout(cluster)
    before = containers(cluster)
    ip = cluster.get("service", "my-service")["spec"]["clusterIP"]
    until(lambda: cluster.fetch(f"http://{ip}/"))
    cluster.machine.pinnace("down")
    assert cluster.machine.pinnace("status", check=False).returncode == 3
    assert cluster.fetch(f"http://{ip}/")
    cluster.machine.up()
    assert containers(cluster) == before
    status = cluster.machine.pinnace("status")
    assert re.search(r"^node +tour +Ready$", status.stdout, re.M)


def test_down_with_pods_and_up(cluster: Cluster, namespace: str) -> None:
    cluster.apply(NGINX)
    rollout(cluster)
    before = containers(cluster)
    cluster.machine.pinnace("down", "--pods")
    assert cluster.machine.run("pgrep", "-f", "containerd-shim", check=False).stdout == ""
    cluster.machine.up()
    until(lambda: len(now := containers(cluster)) == 3 and not set(before) & set(now))
    until(lambda: len(pods := cluster.pods()) == 3 and all(map(is_ready, pods)))


def test_a_second_up_changes_nothing(cluster: Cluster) -> None:
    pids = {daemon: pid_of(cluster, daemon) for daemon in DAEMONS}
    told = cluster.machine.up().stdout
    assert "certificates are in order" in told
    assert "the daemons run already" in told
    assert {daemon: pid_of(cluster, daemon) for daemon in DAEMONS} == pids
