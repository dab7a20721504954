"""The demo, as a new user runs it."""

import re
from collections.abc import Iterator

import pytest

from tests.cluster_in_machine import Cluster
from tests.machine import Machine

pytestmark = pytest.mark.needs("root", "containerd", "busybox", "iptables", "kubectl")


@pytest.fixture
def machine() -> Iterator[Machine]:
    with Machine("demo") as machine:
        yield machine


def test_demo_twice(machine: Machine) -> None:
    first = machine.pinnace("demo", "--cgroup-root", machine.cgroup_root).stdout
    assert "Deployment hello created, Service hello created" in first
    assert re.search(r"\$ curl http://10\.96\.\d+\.\d+:80/\n  Hello from hello-", first)
    assert re.search(r"\$ curl http://192\.0\.2\.10:30080/\n  Hello from hello-", first)
    assert f"export KUBECONFIG={machine.data_dir}/admin.kubeconfig" in first
    cluster = Cluster(machine)
    before = {pod["metadata"]["uid"] for pod in cluster.pods()}
    second = machine.pinnace("demo").stdout
    assert "Deployment hello unchanged, Service hello unchanged" in second
    assert "the daemons run already" in second
    assert "images are there" in second
    assert {pod["metadata"]["uid"] for pod in cluster.pods()} == before
    (machine.data_dir / "images.tar").write_bytes(b"of an older Pinnace")
    assert "images built from" in machine.up().stdout


def test_a_taken_port(machine: Machine) -> None:
    holder = (
        "import socket, time; s = socket.socket(); s.bind(('', 6443)); s.listen(); time.sleep(60)"
    )
    machine.run("sh", "-c", f'python3 -c "{holder}" >/dev/null 2>&1 & sleep 0.5')
    done = machine.pinnace("demo", "--cgroup-root", machine.cgroup_root, check=False)
    assert done.returncode == 1
    assert re.search(
        r"^pinnace demo: port 6443 is taken by python3\S* \(process \d+\); stop it",
        done.stderr,
        re.M,
    )


def test_a_daemon_that_cannot_start_ends_the_wait_with_its_reason(machine: Machine) -> None:
    machine.data_dir.mkdir()
    (machine.data_dir / ".pinnace").touch()
    (machine.data_dir / "store").write_text("not a directory")
    done = machine.up(check=False)
    assert done.returncode == 1
    assert re.search(r"controlplane does not stay up: .*store", done.stderr)
