"""The tour of a new user: an unmodified kubectl, typed as in any Kubernetes tutorial."""

import contextlib
import json
import re
import select
import subprocess
from typing import IO

import pytest

from cluster import images
from tests.cluster_in_machine import Cluster, is_ready, until

pytestmark = pytest.mark.needs("root", "containerd", "busybox", "iptables", "kubectl")

# The Deployment of Kubernetes' own tutorial, with an image that is on the node.
NGINX = f"""\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: nginx-deployment
  labels:
    app: nginx
spec:
  replicas: 3
  selector:
    matchLabels:
      app: nginx
  template:
    metadata:
      labels:
        app: nginx
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - name: nginx
        image: {images.HELLO}
        ports:
        - containerPort: 8080
---
apiVersion: v1
kind: Service
metadata:
  name: my-service
spec:
  selector:
    app: nginx
  ports:
  - protocol: TCP
    port: 80
    targetPort: 8080
"""


def rollout(cluster: Cluster, name: str = "nginx-deployment") -> str:
    return cluster.kubectl("rollout", "status", f"deployment/{name}", "--timeout=60s")


@pytest.fixture
def nginx(cluster: Cluster, namespace: str) -> str:
    """The tutorial's Deployment, rolled out; returns one of its pods."""
    cluster.apply(NGINX)
    rollout(cluster)
    return str(cluster.pods("-l", "app=nginx")[0]["metadata"]["name"])


def test_nodes(cluster: Cluster) -> None:
    lines = cluster.kubectl("get", "nodes").splitlines()
    assert lines[0].split() == ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]
    assert lines[1].split()[:2] == ["tour", "Ready"]
    assert lines[1].split()[-1].startswith("v1.36.2+pinnace")
    wide = cluster.kubectl("get", "nodes", "-o", "wide")
    assert "192.0.2.10" in wide
    assert "containerd://" in wide
    assert "Allocatable:" in cluster.kubectl("describe", "node", "tour")


def test_everything_there_is(cluster: Cluster) -> None:
    assert re.search(
        r"^default +service/kubernetes +ClusterIP +10\.96\.0\.1 +<none> +443/TCP",
        cluster.kubectl("get", "all", "-A"),
        re.M,
    )


def test_apply_says_what_it_did(cluster: Cluster, namespace: str) -> None:
    assert cluster.apply(NGINX).splitlines() == [
        "deployment.apps/nginx-deployment created",
        "service/my-service created",
    ]
    assert cluster.apply(NGINX).splitlines() == [
        "deployment.apps/nginx-deployment unchanged",
        "service/my-service unchanged",
    ]
    changed = NGINX.replace("replicas: 3", "replicas: 1")
    assert "nginx-deployment configured" in cluster.apply(changed)
    assert "successfully rolled out" in rollout(cluster)
    until(lambda: len(cluster.pods()) == 1)
    assert (
        cluster.kubectl("delete", "-f", "-", input=NGINX)
        .splitlines()[0]
        .startswith('deployment.apps "nginx-deployment" deleted')
    )
    until(lambda: not cluster.get("all")["items"])


def test_looking_at_pods(cluster: Cluster, nginx: str) -> None:
    wide = cluster.kubectl("get", "pods", "-o", "wide").splitlines()
    assert len(wide) == 4
    assert re.search(
        rf"^{nginx} +1/1 +Running +0 +\d+s +10\.244\.\S+ +tour ", "\n".join(wide), re.M
    )
    told = cluster.kubectl("describe", "pod", nginx)
    assert re.search(r"Controlled By: +ReplicaSet/nginx-deployment-", told)
    assert re.search(r"Normal +Started .* Container started", told)
    assert re.search(r"Normal +Scheduled", told)
    yaml = cluster.kubectl("get", "deploy", "nginx-deployment", "-o", "yaml")
    assert "readyReplicas: 3" in yaml
    assert "deployment.kubernetes.io/revision" in yaml


def test_logs(cluster: Cluster, nginx: str) -> None:
    assert "serving on port 8080" in cluster.kubectl("logs", nginx)
    assert "serving on port 8080" in cluster.kubectl("logs", "deployment/nginx-deployment")
    address = cluster.get("pod", nginx)["status"]["podIP"]
    assert cluster.fetch(f"http://{address}:8080/") == f"Hello from {nginx}, version 1"
    assert cluster.kubectl("logs", nginx, "--tail=1") != ""
    follow = subprocess.Popen(
        cluster.machine.argv(
            *cluster.environment, "timeout", "10", "kubectl", "logs", "-f", "--tail=0", nginx
        ),
        stdout=subprocess.PIPE,
        text=True,
    )
    with follow, contextlib.closing(follow.stdout) as shown:  # type: ignore[type-var]
        # Requests until one shows: the first may come before the server follows.
        until(lambda: cluster.fetch(f"http://{address}:8080/") and ready_to_read(shown))
        assert "response:200" in shown.readline() + shown.readline()
        follow.terminate()


def ready_to_read(file: IO[str]) -> bool:
    return bool(select.select([file], [], [], 0)[0])


def test_exec(cluster: Cluster, nginx: str) -> None:
    assert cluster.kubectl("exec", nginx, "--", "hostname").strip() == nginx
    done = cluster.run("exec", nginx, "--", "sh", "-c", "echo no >&2; exit 7", check=False)
    assert done.returncode == 7
    assert done.stderr.startswith("no\n")
    assert cluster.kubectl("exec", "-i", nginx, "--", "cat", input="through\n") == "through\n"
    assert cluster.kubectl("exec", "-i", nginx, "--", "wc", "-c", input="").strip() == "0"


def test_exec_with_a_terminal(cluster: Cluster, nginx: str) -> None:
    shown = cluster.terminal(["exec", "-it", nginx, "--", "sh"], "echo $((6*7)); tty\nexit\n")
    assert "42" in shown
    assert "/dev/pts/" in shown


def test_scale(cluster: Cluster, nginx: str) -> None:
    told = cluster.kubectl("scale", "deployment", "nginx-deployment", "--replicas=5")
    assert told == "deployment.apps/nginx-deployment scaled\n"
    rollout(cluster)
    assert len(cluster.pods("--field-selector=status.phase=Running")) == 5
    cluster.kubectl("scale", "deployment", "nginx-deployment", "--replicas=0")
    until(lambda: not cluster.get("pods")["items"])


def test_rollout(cluster: Cluster, nginx: str) -> None:
    cluster.kubectl("set", "image", "deployment/nginx-deployment", f"nginx={images.HELLO_2}")
    assert "successfully rolled out" in rollout(cluster)
    history = cluster.kubectl("rollout", "history", "deployment/nginx-deployment")
    assert re.findall(r"^(\d+) ", history, re.M) == ["1", "2"]
    ip = cluster.get("service", "my-service")["spec"]["clusterIP"]
    until(lambda: cluster.fetch(f"http://{ip}/").endswith("version 2"))
    assert "rolled back" in cluster.kubectl("rollout", "undo", "deployment/nginx-deployment")
    rollout(cluster)
    until(lambda: cluster.fetch(f"http://{ip}/").endswith("version 1"))
    history = cluster.kubectl("rollout", "history", "deployment/nginx-deployment")
    assert re.findall(r"^(\d+) ", history, re.M) == ["2", "3"]


def test_a_pod_deleted_by_hand_comes_back(cluster: Cluster, nginx: str) -> None:
    cluster.kubectl("delete", "pod", nginx)
    pods = until(lambda: (p := cluster.pods()) and len(p) == 3 and all(map(is_ready, p)) and p)
    assert nginx not in {pod["metadata"]["name"] for pod in pods}


def test_a_service_answers_from_every_pod(cluster: Cluster, nginx: str) -> None:
    told = cluster.kubectl(
        "expose", "deployment", "nginx-deployment", "--name=web", "--type=NodePort",
        "--port=80", "--target-port=8080",
    )  # fmt: skip
    assert told == "service/web exposed\n"
    spec = cluster.get("service", "web")["spec"]
    names = {pod["metadata"]["name"] for pod in cluster.pods()}
    for url in (
        f"http://{spec['clusterIP']}/",
        f"http://192.0.2.10:{spec['ports'][0]['nodePort']}/",
    ):
        until(lambda url=url: cluster.fetch(url))  # type: ignore[misc]
        seen = {cluster.fetch(url) for _ in range(40)}
        assert seen == {f"Hello from {name}, version 1" for name in names}
    from_a_pod = cluster.kubectl(
        "exec", nginx, "--", "wget", "-qO-", f"http://{spec['clusterIP']}/"
    )
    assert from_a_pod.startswith("Hello from ")
    cluster.kubectl("delete", "service", "web")
    until(lambda: not cluster.fetch(f"http://{spec['clusterIP']}/"))


def test_run_and_select(cluster: Cluster, namespace: str) -> None:
    for name in ("a", "b", "c"):
        told = cluster.kubectl(
            "run", name, f"--image={images.BUSYBOX}", f"--labels=app={name}",
            "--command", "--", "sleep", "600",
        )  # fmt: skip
        assert told == f"pod/{name} created\n"
    cluster.kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=30s")
    selected = cluster.kubectl("get", "pods", "-l", "app in (a,b)", "-o", "name")
    assert selected.split() == ["pod/a", "pod/b"]
    running = cluster.kubectl("get", "pods", "--field-selector=status.phase=Running", "-o", "name")
    assert len(running.split()) == 3
    assert cluster.kubectl("label", "pod", "a", "tier=front") == "pod/a labeled\n"
    assert cluster.kubectl("annotate", "pod", "a", "note=hi") == "pod/a annotated\n"
    assert cluster.kubectl("get", "pods", "-l", "tier=front", "-o", "name") == "pod/a\n"
    assert cluster.get("pod", "a")["metadata"]["annotations"]["note"] == "hi"
    cluster.kubectl("label", "pod", "a", "tier-")
    assert cluster.kubectl("get", "pods", "-l", "tier", "-o", "name") == ""


def test_explain(cluster: Cluster) -> None:
    told = cluster.kubectl("explain", "pods.metadata")
    assert "ObjectMeta" in told
    assert re.search(r"^ +labels\t", told, re.M)


def test_edit(cluster: Cluster, namespace: str) -> None:
    cluster.kubectl("create", "configmap", "settings", "--from-literal=colour=red")
    editor = "sed -i s/red/blue/"
    told = cluster.machine.run(
        *cluster.environment, f"KUBE_EDITOR={editor}", "kubectl", "edit", "configmap", "settings"
    ).stdout
    assert told == "configmap/settings edited\n"
    assert cluster.get("configmap", "settings")["data"] == {"colour": "blue"}


def test_config_and_secrets_reach_a_pod(cluster: Cluster, namespace: str) -> None:
    cluster.kubectl("create", "configmap", "settings", "--from-literal=colour=blue")
    cluster.kubectl("create", "secret", "generic", "door", "--from-literal=key=xyzzy")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "reader"},
        "spec": {
            "restartPolicy": "Never",
            "containers": [
                {
                    "name": "reader",
                    "image": images.BUSYBOX,
                    "command": ["sh", "-c", "echo $COLOUR; cat /door/key; echo; cat /all/colour"],
                    "env": [
                        {
                            "name": "COLOUR",
                            "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "colour"}},
                        }
                    ],
                    "volumeMounts": [
                        {"name": "door", "mountPath": "/door"},
                        {"name": "all", "mountPath": "/all"},
                    ],
                }
            ],
            "volumes": [
                {"name": "door", "secret": {"secretName": "door"}},
                {"name": "all", "configMap": {"name": "settings"}},
            ],
        },
    }
    cluster.apply(json.dumps(pod))
    until(lambda: cluster.get("pod", "reader")["status"].get("phase") == "Succeeded")
    assert cluster.kubectl("logs", "reader").split() == ["blue", "xyzzy", "blue"]
