"""What is wrong with objects of each kind, and what may not change in them."""

from typing import Any

import pytest
from validation_cases import REMOVED, changed, faults, pod_spec, template, update_faults, workload

Fault = tuple[str, str]

OBJECTS: dict[str, tuple[str, dict[str, Any]]] = {
    "configmap": ("v1/configmaps", {"data": {"k": "v"}}),
    "secret": ("v1/secrets", {"data": {"k": "dg=="}}),
    "namespace": ("v1/namespaces", {}),
    "node": ("v1/nodes", {}),
    "service": ("v1/services", {"spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}}),
    "endpointslice": (
        "discovery.k8s.io/v1/endpointslices",
        {"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}]},
    ),
    "deployment": ("apps/v1/deployments", {"spec": workload()}),
    "replicaset": ("apps/v1/replicasets", {"spec": workload()}),
    "daemonset": ("apps/v1/daemonsets", {"spec": workload()}),
    "statefulset": (
        "apps/v1/statefulsets",
        {
            "spec": workload(
                serviceName="s",
                volumeClaimTemplates=[
                    {
                        "metadata": {"name": "data"},
                        "spec": {
                            "accessModes": ["ReadWriteOnce"],
                            "resources": {"requests": {"storage": "1Gi"}},
                        },
                    }
                ],
            )
        },
    ),
    "job": ("batch/v1/jobs", {"spec": {"template": {"spec": pod_spec(restartPolicy="Never")}}}),
    "cronjob": (
        "batch/v1/cronjobs",
        {
            "spec": {
                "schedule": "*/5 * * * *",
                "jobTemplate": {"spec": {"template": {"spec": pod_spec(restartPolicy="Never")}}},
            }
        },
    ),
    "claim": (
        "v1/persistentvolumeclaims",
        {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
            }
        },
    ),
    "ingress": (
        "networking.k8s.io/v1/ingresses",
        {
            "spec": {
                "rules": [
                    {
                        "host": "a.example",
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "s", "port": {"number": 80}}},
                                }
                            ]
                        },
                    }
                ]
            }
        },
    ),
    "policy": ("networking.k8s.io/v1/networkpolicies", {"spec": {"ingress": [{}]}}),
    "role": (
        "rbac.authorization.k8s.io/v1/roles",
        {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
    ),
    "binding": (
        "rbac.authorization.k8s.io/v1/rolebindings",
        {"roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "User", "name": "u"}]},
    ),
    "budget": ("policy/v1/poddisruptionbudgets", {"spec": {"minAvailable": 1}}),
    "lease": ("coordination.k8s.io/v1/leases", {"spec": {"leaseDurationSeconds": 10}}),
    "class": ("storage.k8s.io/v1/storageclasses", {"provisioner": "example.com/p"}),
    "priority": ("scheduling.k8s.io/v1/priorityclasses", {"value": 5}),
    "quota": ("v1/resourcequotas", {"spec": {"hard": {"pods": "5"}}}),
}  # fmt: skip

WRONG: list[tuple[str, str, Any, list[Fault]]] = [
    ("configmap", "/data", {"a b": "v"}, [("data[a b]", "Invalid")]),
    ("configmap", "/data", {"k": "x" * (1 << 20) + "x"}, [("", "TooLong")]),
    ("secret", "/type", "kubernetes.io/tls",
     [("data[tls.crt]", "Required"), ("data[tls.key]", "Required")]),
    ("namespace", "/spec", {"finalizers": ["x"]}, [("spec.finalizers", "Invalid")]),
    ("node", "/spec/taints", [{"key": "a", "effect": "x"}],
     [("metadata.taints[0].effect", "NotSupported")]),
    ("service", "/spec/ports", [], [("spec.ports", "Required")]),
    ("service", "/spec/ports", [{"port": 1}, {"port": 2}],
     [("spec.ports[0].name", "Required"), ("spec.ports[1].name", "Required")]),
    ("service", "/spec/ports", [{"name": "a", "port": 80}, {"name": "b", "port": 80}],
     [("spec.ports[1]", "Duplicate")]),
    ("service", "/spec/type", "ExternalName", [("spec.externalName", "Required")]),
    ("service", "/spec/ports/0/nodePort", 30000, [("spec.ports[0].nodePort", "Forbidden")]),
    ("endpointslice", "/endpoints/0/addresses/0", "127.0.0.1",
     [("endpoints[0].addresses[0]", "Invalid")]),
    ("deployment", "/spec/selector", REMOVED,
     [("spec.selector", "Required"), ("spec.template.metadata.labels", "Invalid")]),
    ("deployment", "/spec/selector/matchLabels", {"app": "b"},
     [("spec.template.metadata.labels", "Invalid")]),
    ("deployment", "/spec/template", template(restartPolicy="Never"),
     [("spec.template.spec.restartPolicy", "NotSupported")]),
    ("deployment", "/spec/strategy/rollingUpdate", {"maxSurge": 0, "maxUnavailable": "0%"},
     [("spec.strategy.rollingUpdate.maxUnavailable", "Invalid")]),
    ("deployment", "/spec/progressDeadlineSeconds", 0,
     [("spec.progressDeadlineSeconds", "Invalid")]),
    ("replicaset", "/spec/replicas", -1, [("spec.replicas", "Invalid")]),
    ("daemonset", "/spec/updateStrategy/rollingUpdate", {"maxSurge": 1, "maxUnavailable": 1},
     [("spec.updateStrategy.rollingUpdate.maxSurge", "Invalid")]),
    ("statefulset", "/spec/updateStrategy", {"type": "x"}, [("spec.updateStrategy", "Invalid")]),
    ("job", "/spec/template/spec/restartPolicy", "Always",
     [("spec.template.spec.restartPolicy", "Required")]),
    ("job", "/spec/completionMode", "Indexed", []),
    ("job", "/spec/selector", {"matchLabels": {"a": "b"}},
     [("spec.selector", "Invalid"), ("spec.template.metadata.labels", "Invalid")]),
    ("cronjob", "/spec/schedule", "60 * * * *", [("spec.schedule", "Invalid")]),
    ("cronjob", "/spec/timeZone", "Mars/Olympus", [("spec.timeZone", "Invalid")]),
    ("claim", "/spec/accessModes", [], [("spec.accessModes", "Required")]),
    ("ingress", "/spec/rules/0/host", "*", [("spec.rules[0].host", "Invalid")]),
    ("policy", "/spec/ingress/0/from", [{"ipBlock": {"cidr": "10.0.0.1/8"}}],
     [("spec.ingress[0].from[0].ipBlock.cidr", "Invalid")]),
    ("role", "/rules/0/verbs", [], [("rules[0].verbs", "Required")]),
    ("binding", "/roleRef/kind", "x", [("roleRef.kind", "NotSupported")]),
    ("budget", "/spec/maxUnavailable", 1, [("spec", "Invalid")]),
    ("lease", "/spec/leaseDurationSeconds", 0, [("spec.leaseDurationSeconds", "Invalid")]),
    ("class", "/reclaimPolicy", "Recycle", [("reclaimPolicy", "NotSupported")]),
    ("priority", "/value", 1_000_000_001, [("value", "Forbidden")]),
    ("quota", "/spec/hard", {"pods": "1.5"}, [("spec.hard[pods]", "Invalid")]),
]  # fmt: skip

UPDATES: list[tuple[str, str, Any, list[Fault]]] = [
    ("configmap", "/data", {"k": "w"}, []),
    ("secret", "/type", "x/y", [("type", "Invalid")]),
    ("deployment", "/spec/selector/matchLabels", {"app": "b"},
     [("spec.template.metadata.labels", "Invalid"), ("spec.selector", "Invalid")]),
    ("deployment", "/spec/replicas", 3, []),
    ("statefulset", "/spec/serviceName", "other", [("spec", "Forbidden")]),
    ("statefulset", "/spec/replicas", 3, []),
    ("job", "/spec/parallelism", 4, []),
    ("job", "/spec/template/spec/containers/0/image", "other", [("spec.template", "Invalid")]),
    ("claim", "/spec/accessModes", ["ReadWriteMany"], [("spec", "Forbidden")]),
    ("claim", "/spec/volumeName", "v", []),
    ("binding", "/roleRef/name", "other", [("roleRef", "Invalid")]),
    ("binding", "/subjects", [], []),
    ("class", "/provisioner", "other", [("provisioner", "Invalid")]),
    ("priority", "/preemptionPolicy", "Never", [("preemptionPolicy", "Invalid")]),
]  # fmt: skip


@pytest.mark.parametrize("kind", OBJECTS)
def test_the_good_ones_are_good(kind: str) -> None:
    assert faults(*OBJECTS[kind]) == []


@pytest.mark.parametrize(("kind", "pointer", "value", "expected"), WRONG)
def test_a_bad_one(kind: str, pointer: str, value: Any, expected: list[Fault]) -> None:
    gvr, obj = OBJECTS[kind]
    assert sorted(faults(gvr, changed(obj, pointer, value))) == sorted(expected)


@pytest.mark.parametrize(("kind", "pointer", "value", "expected"), UPDATES)
def test_what_may_change(kind: str, pointer: str, value: Any, expected: list[Fault]) -> None:
    assert update_faults(*OBJECTS[kind], pointer, value) == expected


def test_a_frozen_configmap_stays_as_it_is() -> None:
    gvr, obj = OBJECTS["configmap"]
    frozen = obj | {"immutable": True}
    assert update_faults(gvr, frozen, "/data/k", "w") == [("data", "Forbidden")]
    assert update_faults(gvr, frozen, "/immutable", False) == [("immutable", "Forbidden")]
    assert update_faults(gvr, frozen, "/metadata/labels", {"a": "b"}) == []


def test_a_stateful_sets_pods_may_mount_what_its_templates_claim() -> None:
    gvr, obj = OBJECTS["statefulset"]
    mount = {"name": "data", "mountPath": "/data"}
    path = "/spec/template/spec/containers/0/volumeMounts"
    assert faults(gvr, changed(obj, path, [mount])) == []
    other = [{"name": "nope", "mountPath": "/data"}]
    where = "spec.template.spec.containers[0].volumeMounts[0].name"
    assert faults(gvr, changed(obj, path, other)) == [(where, "NotFound")]
