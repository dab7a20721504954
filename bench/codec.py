"""What reading and writing one Pod costs, and what the types cost to have.

    python bench/codec.py [--rounds 5] [--times 20000]

Prints the median of the rounds in µs of one core: a request's body, an object that was stored,
a body that only the slow reader takes (`cpu: 1`), encoding, and the search for unknown fields;
orjson to and from dictionaries beside it; then the seconds and memory of importing every module
of the types.
"""

import argparse
import platform
import statistics
import subprocess
import sys
import timeit
from collections.abc import Callable

import msgspec
import orjson

from kubeapi import codec
from kubeapi.types import core_v1

POD = {
    "kind": "Pod",
    "apiVersion": "v1",
    "metadata": {
        "name": "web-5d78c9869d-x2x7k",
        "generateName": "web-5d78c9869d-",
        "namespace": "default",
        "uid": "0b2a2bb0-8b1c-4f6a-9a3d-2f4a5f1d9f55",
        "resourceVersion": "12345",
        "creationTimestamp": "2026-01-02T03:04:05Z",
        "labels": {"app": "web", "pod-template-hash": "5d78c9869d"},
        "ownerReferences": [
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "name": "web-5d78c9869d",
                "uid": "1b2a2bb0-8b1c-4f6a-9a3d-2f4a5f1d9f55",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    },
    "spec": {
        "containers": [
            {
                "name": "web",
                "image": "registry.example.com/web:1.2.3",
                "ports": [{"containerPort": 8080, "protocol": "TCP"}],
                "env": [{"name": "A", "value": "b"}],
                "resources": {
                    "requests": {"cpu": "100m", "memory": "128Mi"},
                    "limits": {"memory": "128Mi"},
                },
                "volumeMounts": [
                    {
                        "name": "kube-api-access-abcde",
                        "readOnly": True,
                        "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
                    }
                ],
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "imagePullPolicy": "IfNotPresent",
            }
        ],
        "volumes": [
            {
                "name": "kube-api-access-abcde",
                "projected": {
                    "sources": [{"serviceAccountToken": {"expirationSeconds": 3607}}],
                    "defaultMode": 420,
                },
            }
        ],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "default",
        "nodeName": "node-1",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "tolerations": [
            {
                "key": "node.kubernetes.io/not-ready",
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": 300,
            }
        ],
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
    },
    "status": {
        "phase": "Pending",
        "conditions": [
            {
                "type": "PodScheduled",
                "status": "True",
                "lastTransitionTime": "2026-01-02T03:04:05Z",
            }
        ],
        "qosClass": "Burstable",
    },
}
IMPORT_ALL = """
import sys, time
import msgspec, typing
def rss_kb():
    return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("RssAnon"))
before, started = rss_kb(), time.perf_counter()
import importlib, pkgutil, kubeapi.types
names = [m.name for m in pkgutil.iter_modules(kubeapi.types.__path__) if m.name != "rules"]
for name in names:
    importlib.import_module("kubeapi.types." + name)
print(f"{len(names)} modules: {time.perf_counter() - started:.3f} s, {rss_kb() - before} kB")
"""


def cost_us(work: Callable[[], object], times: int, rounds: int) -> float:
    seconds = timeit.repeat(work, number=times, repeat=rounds)
    return statistics.median(seconds) / times * 1e6


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--times", type=int, default=20_000)
    given = options.parse_args()
    data = msgspec.json.encode(POD)
    number = data.replace(b'"cpu":"100m"', b'"cpu":1')
    pod = codec.decode(data, core_v1.Pod)
    works: dict[str, Callable[[], object]] = {
        "decode a request's body": lambda: codec.decode(data, core_v1.Pod),
        "decode what was stored": lambda: codec.decode_stored(data, core_v1.Pod),
        "decode a body with cpu: 1": lambda: codec.decode(number, core_v1.Pod),
        "encode": lambda: codec.encode(pod),
        "find unknown fields": lambda: codec.strict_problems(data, core_v1.Pod),
        "orjson.loads": lambda: orjson.loads(data),
        "orjson.dumps of the dictionary": lambda: orjson.dumps(POD),
    }
    print(f"Pod of {len(data)} bytes; Python {platform.python_version()}; one core")
    for name, work in works.items():
        print(f"{name:32} {cost_us(work, given.times, given.rounds):8.2f} µs")
    subprocess.run([sys.executable, "-c", IMPORT_ALL], check=True)


if __name__ == "__main__":
    main()
