"""What is filled in where the user said nothing."""

from typing import Any

import msgspec
import pytest

from controlplane.registry.strategy.defaults import apply_defaults
from controlplane.registry.strategy.defaults.pods import pull_policy
from kubeapi.codec import from_dict, to_dict
from kubeapi.resources import kind_class, split_api_version


def defaulted(api_version: str, kind: str, **fields: Any) -> dict[str, Any]:
    group, version = split_api_version(api_version)
    given = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}} | fields
    obj = from_dict(given, kind_class(group, version, kind))
    apply_defaults(obj)
    found: dict[str, Any] = to_dict(obj)
    return found


def pod_spec(**fields: Any) -> dict[str, Any]:
    spec: dict[str, Any] = defaulted("v1", "Pod", spec=fields)["spec"]
    return spec


def test_a_minimal_pod() -> None:
    assert pod_spec(containers=[{"name": "c", "image": "busybox"}]) == {
        "containers": [
            {
                "name": "c",
                "image": "busybox",
                "imagePullPolicy": "Always",
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }
        ],
        "dnsPolicy": "ClusterFirst",
        "enableServiceLinks": True,
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    }


def test_what_the_user_said_stays_even_if_it_is_zero() -> None:
    spec = pod_spec(
        containers=[{"name": "c", "image": "i", "imagePullPolicy": "Never"}],
        terminationGracePeriodSeconds=0,
        enableServiceLinks=False,
    )
    assert spec["terminationGracePeriodSeconds"] == 0
    assert spec["enableServiceLinks"] is False
    assert spec["containers"][0]["imagePullPolicy"] == "Never"


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("busybox", "Always"),
        ("busybox:latest", "Always"),
        ("busybox:1.36", "IfNotPresent"),
        ("busybox@sha256:00", "IfNotPresent"),
        ("registry:5000/a/b", "Always"),
        ("registry:5000/a/b:2", "IfNotPresent"),
        ("busybox:latest@sha256:00", "Always"),
    ],
)
def test_pull_policy(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


def test_probes_and_ports_and_field_references() -> None:
    container = pod_spec(
        containers=[
            {
                "name": "c",
                "image": "i",
                "ports": [{"containerPort": 80}],
                "env": [{"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                "readinessProbe": {"httpGet": {"port": 80}, "timeoutSeconds": 0},
                "lifecycle": {"preStop": {"httpGet": {"port": 80}}},
            }
        ]
    )["containers"][0]
    assert container["ports"][0]["protocol"] == "TCP"
    assert container["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"
    assert container["readinessProbe"] == {
        "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert container["lifecycle"]["preStop"]["httpGet"]["scheme"] == "HTTP"


def test_requests_follow_limits_in_pods_but_not_in_templates() -> None:
    container = {"name": "c", "image": "i", "resources": {"limits": {"cpu": "1"}}}
    pod = pod_spec(containers=[container], initContainers=[container])
    for where in ("containers", "initContainers"):
        assert pod[where][0]["resources"]["requests"] == {"cpu": "1"}
    template = defaulted("v1", "PodTemplate", template={"spec": {"containers": [container]}})
    resources = template["template"]["spec"]["containers"][0]["resources"]
    assert resources == {"limits": {"cpu": "1"}}
    assert "enableServiceLinks" not in template["template"]["spec"]


def test_host_ports_of_a_pod_on_the_host_network() -> None:
    container = {"name": "c", "image": "i", "ports": [{"containerPort": 80}]}
    spec = pod_spec(containers=[container], hostNetwork=True)
    assert spec["containers"][0]["ports"][0]["hostPort"] == 80


def test_requests_of_a_whole_pod_are_what_its_containers_need_at_once() -> None:
    def container(name: str, cpu: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "image": "i", "resources": {"requests": {"cpu": cpu}}} | more

    spec = pod_spec(
        containers=[container("a", "100m"), container("b", "200m")],
        initContainers=[
            container("sidecar", "50m", restartPolicy="Always"),
            container("init", "400m"),
        ],
        resources={"limits": {"cpu": "2", "memory": "1Gi"}},
    )
    assert spec["resources"]["requests"] == {"cpu": "450m", "memory": "1Gi"}


def test_volumes() -> None:
    volumes = pod_spec(
        containers=[],
        volumes=[
            {"name": "none"},
            {"name": "cm", "configMap": {"name": "a"}},
            {"name": "host", "hostPath": {"path": "/x"}},
            {"name": "p", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
            {"name": "image", "image": {"reference": "a:1"}},
        ],
    )["volumes"]
    assert volumes == [
        {"name": "none", "emptyDir": {}},
        {"name": "cm", "configMap": {"name": "a", "defaultMode": 420}},
        {"name": "host", "hostPath": {"path": "/x", "type": ""}},
        {
            "name": "p",
            "projected": {
                "sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}],
                "defaultMode": 420,
            },
        },
        {"name": "image", "image": {"reference": "a:1", "pullPolicy": "IfNotPresent"}},
    ]


def test_the_service_account_has_two_names() -> None:
    assert pod_spec(containers=[], serviceAccount="a")["serviceAccountName"] == "a"
    assert pod_spec(containers=[], serviceAccountName="b")["serviceAccount"] == "b"


TEMPLATE = {
    "metadata": {"labels": {"app": "x"}},
    "spec": {"containers": [{"name": "c", "image": "i:1"}]},
}


def test_a_deployment() -> None:
    found = defaulted("apps/v1", "Deployment", spec={"template": TEMPLATE})
    template = found["spec"].pop("template")
    assert found["spec"] == {
        "progressDeadlineSeconds": 600,
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
        },
    }
    assert template["spec"]["restartPolicy"] == "Always"
    assert found["status"] == {}


def test_recreate_has_no_rolling_update() -> None:
    found = defaulted("apps/v1", "Deployment", spec={"strategy": {"type": "Recreate"}})
    assert found["spec"]["strategy"] == {"type": "Recreate"}


def test_a_replica_set_shows_its_zero_replicas() -> None:
    found = defaulted("apps/v1", "ReplicaSet", spec={"replicas": 0})
    assert found["spec"]["replicas"] == 0
    assert found["status"] == {"replicas": 0}


def test_a_stateful_set_names_the_kind_of_its_claims() -> None:
    claim = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    spec = defaulted("apps/v1", "StatefulSet", spec={"volumeClaimTemplates": [claim]})["spec"]
    assert spec["volumeClaimTemplates"][0] == {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {}, "volumeMode": "Filesystem"},
        "status": {"phase": "Pending"},
    }
    retention = {"whenDeleted": "Retain", "whenScaled": "Retain"}
    assert spec["persistentVolumeClaimRetentionPolicy"] == retention
    assert spec["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"completions": 1, "parallelism": 1, "backoffLimit": 6}),
        ({"completions": 3}, {"completions": 3, "parallelism": 1, "backoffLimit": 6}),
        ({"parallelism": 2}, {"parallelism": 2, "backoffLimit": 6}),
        ({"backoffLimitPerIndex": 1}, {"backoffLimit": 2147483647}),
        ({"podFailurePolicy": {}}, {"podReplacementPolicy": "Failed"}),
    ],
)
def test_jobs(given: dict[str, Any], expected: dict[str, Any]) -> None:
    spec = defaulted("batch/v1", "Job", spec=given)["spec"]
    assert {key: spec[key] for key in expected} == expected
    assert ("completions" in spec) is (given != {"parallelism": 2})


def test_labels_come_from_the_template_of_a_controller() -> None:
    found = defaulted("v1", "ReplicationController", spec={"template": TEMPLATE})
    assert found["spec"]["selector"] == {"app": "x"}
    assert found["metadata"]["labels"] == {"app": "x"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster"}),
        ({"type": "NodePort"}, {"externalTrafficPolicy": "Cluster"}),
        ({"externalIPs": ["1.2.3.4"]}, {"externalTrafficPolicy": "Cluster"}),
        ({"type": "LoadBalancer"}, {"allocateLoadBalancerNodePorts": True}),
        (
            {"sessionAffinity": "ClientIP"},
            {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}}},
        ),
        ({"ports": [{"port": 80}]}, {"ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}]}),
        (
            {"ports": [{"port": 80, "targetPort": "web"}]},
            {"ports": [{"port": 80, "protocol": "TCP", "targetPort": "web"}]},
        ),
    ],
)
def test_services(given: dict[str, Any], expected: dict[str, Any]) -> None:
    spec = defaulted("v1", "Service", spec=given)["spec"]
    assert {key: spec[key] for key in expected} == expected


def test_an_external_name_has_no_traffic_policies() -> None:
    spec = defaulted("v1", "Service", spec={"type": "ExternalName", "externalName": "a.b"})["spec"]
    assert spec == {"type": "ExternalName", "externalName": "a.b", "sessionAffinity": "None"}


def test_a_secret_takes_in_its_string_data() -> None:
    found = defaulted("v1", "Secret", data={"a": "YQ=="}, stringData={"a": "b", "c": "d"})
    assert found["data"] == {"a": "Yg==", "c": "ZA=="}
    assert "stringData" not in found
    assert found["type"] == "Opaque"


def test_a_namespace_is_labelled_with_its_name() -> None:
    found = defaulted("v1", "Namespace", metadata={"name": "dev", "labels": {"a": "b"}})
    assert found["metadata"]["labels"] == {"a": "b", "kubernetes.io/metadata.name": "dev"}


def test_groups_of_subjects_and_role_references() -> None:
    found = defaulted(
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        subjects=[{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "s"}],
        roleRef={"kind": "Role", "name": "r"},
    )
    assert found["subjects"][0]["apiGroup"] == "rbac.authorization.k8s.io"
    assert "apiGroup" not in found["subjects"][1]
    assert found["roleRef"]["apiGroup"] == "rbac.authorization.k8s.io"


def test_a_limit_range_of_containers() -> None:
    item = {"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"}}
    limits = defaulted("v1", "LimitRange", spec={"limits": [item]})["spec"]["limits"][0]
    assert limits["default"] == {"cpu": "2"}
    assert limits["defaultRequest"] == {"cpu": "2", "memory": "1Mi"}


def test_an_autoscaler_scales_by_cpu() -> None:
    spec = defaulted("autoscaling/v2", "HorizontalPodAutoscaler", spec={"behavior": {}})["spec"]
    assert spec["metrics"][0]["resource"]["target"]["averageUtilization"] == 80
    assert spec["behavior"]["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert "stabilizationWindowSeconds" not in spec["behavior"]["scaleDown"]


@pytest.mark.parametrize(("egress", "types"), [([], ["Ingress"]), ([{}], ["Ingress", "Egress"])])
def test_network_policy_types(egress: list[Any], types: list[str]) -> None:
    found = defaulted("networking.k8s.io/v1", "NetworkPolicy", spec={"egress": egress})
    assert found["spec"]["policyTypes"] == types


def test_webhooks() -> None:
    service = {"name": "s", "namespace": "n"}
    hook = {"name": "a.b.c", "clientConfig": {"service": service}, "rules": [{}]}
    found = defaulted(
        "admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", webhooks=[hook]
    )["webhooks"][0]
    assert found["clientConfig"]["service"]["port"] == 443
    assert found["rules"][0]["scope"] == "*"
    assert (found["failurePolicy"], found["matchPolicy"]) == ("Fail", "Equivalent")
    assert (found["timeoutSeconds"], found["reinvocationPolicy"]) == (10, "Never")
    assert found["namespaceSelector"] == {}


def test_defaulting_twice_changes_nothing() -> None:
    kind = kind_class("apps", "v1", "Deployment")
    obj = from_dict({"metadata": {"name": "x"}, "spec": {"template": TEMPLATE}}, kind)
    apply_defaults(obj)
    once = msgspec.json.encode(obj)
    apply_defaults(obj)
    assert msgspec.json.encode(obj) == once


def test_two_objects_share_no_default() -> None:
    first, second = (
        from_dict({"spec": {"containers": [{"name": "c"}]}}, kind_class("", "v1", "Pod"))
        for _ in range(2)
    )
    apply_defaults(first)
    apply_defaults(second)
    assert first.spec.securityContext is not second.spec.securityContext
