"""One cluster for the whole group, and a namespace of its own for each test."""

import re
from collections.abc import Iterator

import pytest

from tests.cluster_in_machine import Cluster
from tests.machine import Machine


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with Machine("tour") as machine:
        machine.up()
        yield Cluster(machine)


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """Kubectl's namespace while the test runs; what is in it goes when it ends."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:60].strip("-")
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("config", "set-context", "--current", f"--namespace={name}")
    yield name
    cluster.kubectl("config", "set-context", "--current", "--namespace=default")
    cluster.kubectl("delete", "namespace", name, "--wait=false")
