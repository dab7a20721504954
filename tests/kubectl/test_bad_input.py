"""What a user's mistakes get: Kubernetes' reason and field, and nothing stored."""

import json
import re

import pytest

from cluster import images
from tests.cluster_in_machine import Cluster, until
from tests.kubectl.test_tour import NGINX

pytestmark = pytest.mark.needs("root", "containerd", "busybox", "iptables", "kubectl")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("replicas: 3", "replicas: three", r"spec\.replicas"),
        (
            "kind: Deployment",
            "kind: Deploymint",
            'no matches for kind "Deploymint"',
        ),
        (
            f"image: {images.HELLO}",
            "image: ''",
            r"spec\.template\.spec\.containers\[0\]\.image",
        ),
        (
            "      app: nginx\n  template",
            "      app: other\n  template",
            "does not match",
        ),
        # kubectl before 1.27 checks by the schema of OpenAPI itself, and says it shorter.
        ("replicas: 3", "replicass: 3", r'unknown field "(spec\.)?replicass"'),
    ],
    ids=["type", "kind", "required", "selector", "unknown"],
)
def test_a_manifest_that_is_wrong(
    cluster: Cluster, namespace: str, old: str, new: str, said: str
) -> None:
    manifest = NGINX.partition("---")[0]
    assert old in manifest
    told = cluster.refused("apply", "-f", "-", input=manifest.replace(old, new, 1))
    assert re.search(said, told), told
    assert cluster.get("deployments")["items"] == []


def test_an_immutable_field(cluster: Cluster, namespace: str) -> None:
    manifest = NGINX.partition("---")[0].replace("replicas: 3", "replicas: 0")
    cluster.apply(manifest)
    said = cluster.refused("apply", "-f", "-", input=manifest.replace("app: nginx", "app: other"))
    assert "spec.selector: Invalid value" in said
    assert "field is immutable" in said
    spec = cluster.get("deployment", "nginx-deployment")["spec"]
    assert spec["selector"]["matchLabels"] == {"app": "nginx"}


def test_a_stale_update(cluster: Cluster, namespace: str) -> None:
    cluster.kubectl("create", "configmap", "settings", "--from-literal=colour=red")
    stale = cluster.get("configmap", "settings")
    cluster.kubectl("label", "configmap", "settings", "newer=yes")
    said = cluster.refused("replace", "-f", "-", input=json.dumps(stale))
    assert "the object has been modified; please apply your changes to the latest version" in said
    assert cluster.get("configmap", "settings")["metadata"]["labels"] == {"newer": "yes"}


def test_an_image_that_is_not_there(cluster: Cluster, namespace: str) -> None:
    cluster.kubectl("run", "ghost", "--image=127.0.0.1:1/no/such:1")

    def reason() -> str:
        statuses = cluster.get("pod", "ghost")["status"].get("containerStatuses") or [{}]
        return str(statuses[0].get("state", {}).get("waiting", {}).get("reason", ""))

    until(lambda: reason() in ("ErrImagePull", "ImagePullBackOff"))
    until(lambda: reason() == "ImagePullBackOff")
    told = cluster.kubectl("get", "events", "--field-selector=involvedObject.name=ghost")
    assert "Failed to pull image" in told


def test_a_name_that_is_not_there(cluster: Cluster, namespace: str) -> None:
    assert 'pods "nobody" not found' in cluster.refused("get", "pod", "nobody")
    assert 'pods "nobody" not found' in cluster.refused("logs", "nobody")


def test_a_pod_that_fits_nowhere(cluster: Cluster, namespace: str) -> None:
    big = {"containers": [{"name": "big", "image": images.BUSYBOX,
                           "resources": {"requests": {"cpu": "1000"}}}]}  # fmt: skip
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "big"}, "spec": big}
    cluster.apply(json.dumps(pod))

    def why() -> str:
        conditions = cluster.get("pod", "big")["status"].get("conditions") or []
        return " ".join(c.get("message", "") for c in conditions if c["type"] == "PodScheduled")

    until(lambda: "Insufficient cpu" in why())
    told = cluster.kubectl("get", "events", "--field-selector=reason=FailedScheduling")
    assert "0/1 nodes are available: 1 Insufficient cpu" in told
