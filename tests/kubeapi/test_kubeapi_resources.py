"""The table of resources, and conversions between the versions that serve one set of objects."""

from typing import Any

import pytest

from kubeapi import codec, resources
from kubeapi.convert import convert, is_identical
from kubeapi.schema import fields_of
from kubeapi.types import apps_v1, autoscaling_v1, core_v1, events_v1, meta_v1


def test_every_row_has_its_class_and_its_list() -> None:
    for info in resources.RESOURCES:
        assert (info.group, info.version, info.kind) == info.type.GVK
        assert resources.resource_of(info.type) is info
        assert info.storage.is_storage_version
        if "list" in info.verbs:
            assert fields_of(info.list_type)["items"].kind is info.type


def test_lookups() -> None:
    pods = resources.find("", "v1", "pods")
    assert pods is resources.resource_of(core_v1.Pod)
    assert pods is not None
    assert (pods.api_version, pods.singular, pods.namespaced) == ("v1", "pod", True)
    assert pods.short_names == ("po",)
    assert pods.subresources["eviction"] == ("create",)
    deployment = resources.find_kind("apps", "v1", "Deployment")
    assert deployment is not None
    assert deployment.api_version == "apps/v1"
    assert resources.find("", "v1", "nope") is None
    with pytest.raises(KeyError):
        resources.resource_of(meta_v1.Status)


def test_kinds_that_are_no_resources() -> None:
    assert resources.kind_class("autoscaling", "v1", "Scale") is autoscaling_v1.Scale
    assert resources.kind_class("", "v1", "Status") is meta_v1.Status
    for wrong in (("", "v9", "Pod"), ("nope", "v1", "Pod"), ("", "v1", "PodSpec"), ("", "v1", "x"),
                  ("rules", "", "x"), ("", "v1.Pod", "GVK"), ("\0", "\ud800", "Pod")):  # fmt: skip
        with pytest.raises(KeyError):
            resources.kind_class(*wrong)


def test_one_set_of_objects_in_two_groups() -> None:
    new = resources.resource_of(events_v1.Event)
    assert new.storage is resources.resource_of(core_v1.Event)
    assert [info.api_version for info in resources.versions_of(new)] == ["v1", "events.k8s.io/v1"]
    deployments = resources.resource_of(apps_v1.Deployment)
    assert resources.versions_of(deployments) == (deployments,)


def same_fields(one: type[Any], other: type[Any], seen: set[tuple[type, type]]) -> bool:
    if one is other or (one, other) in seen:
        return True
    seen.add((one, other))
    mine, theirs = fields_of(one), fields_of(other)
    return mine.keys() == theirs.keys() and all(
        (f.format, f.containers) == (theirs[name].format, theirs[name].containers)
        and (not f.kind or same_fields(f.kind, theirs[name].kind or f.kind, seen))
        for name, f in mine.items()
    )


def test_versions_that_are_said_to_be_identical_are() -> None:
    for info in resources.RESOURCES:
        same = same_fields(info.type, info.storage.type, set())
        assert is_identical(info.kind, info.api_version, info.storage.api_version) is same
        assert is_identical(info.kind, info.storage.api_version, info.api_version) is same


def test_events() -> None:
    core = {
        "kind": "Event", "apiVersion": "v1", "metadata": {"name": "e"}, "reason": "R",
        "involvedObject": {"name": "p"}, "message": "m", "count": 2, "source": {"component": "c"},
        "firstTimestamp": "2020-01-01T00:00:00Z", "lastTimestamp": "2020-01-01T00:00:01Z",
        "reportingComponent": "c", "reportingInstance": "i",
    }  # fmt: skip
    new = convert(core, "events.k8s.io/v1")
    assert new["regarding"] == {"name": "p"}
    assert (new["note"], new["deprecatedCount"], new["reportingController"]) == ("m", 2, "c")
    assert not codec.strict_problems(codec.encode(codec.from_dict(new, events_v1.Event)),
                                     events_v1.Event)  # fmt: skip
    assert set(new) <= set(fields_of(events_v1.Event))
    assert convert(new, "v1") == core


HPA = {"kind": "HorizontalPodAutoscaler", "metadata": {"name": "h", "annotations": {"own": "1"}}}


def test_cpu_of_an_autoscaler() -> None:
    v1 = HPA | {
        "apiVersion": "autoscaling/v1",
        "spec": {"maxReplicas": 3, "targetCPUUtilizationPercentage": 80},
        "status": {"currentReplicas": 1, "currentCPUUtilizationPercentage": 40},
    }
    v2 = convert(v1, "autoscaling/v2")
    assert v2["spec"]["metrics"] == [
        {
            "type": "Resource",
            "resource": {
                "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80},
            },
        }
    ]  # fmt: skip
    assert v2["status"]["currentMetrics"][0]["resource"]["current"] == {"averageUtilization": 40}
    assert convert(v2, "autoscaling/v1") == v1


def test_what_v1_has_no_field_for_travels_in_annotations() -> None:
    metric = {"name": "m", "selector": {"matchLabels": {"a": "b"}}}
    v2 = HPA | {
        "apiVersion": "autoscaling/v2",
        "spec": {
            "maxReplicas": 3,
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 5}},
            "metrics": [
                {"type": "Resource", "resource": {
                    "name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}},
                {"type": "ContainerResource", "containerResource": {
                    "name": "cpu", "container": "c",
                    "target": {"type": "Utilization", "averageUtilization": 5}}},
                {"type": "Pods", "pods": {
                    "metric": metric, "target": {"type": "AverageValue", "averageValue": "5"}}},
                {"type": "Object", "object": {
                    "describedObject": {"kind": "Ingress", "name": "i"}, "metric": metric,
                    "target": {"type": "Value", "value": "9"}}},
                {"type": "External", "external": {
                    "metric": metric, "target": {"type": "Value", "value": "7"}}},
            ],
        },
        "status": {
            "currentReplicas": 1, "desiredReplicas": 1,
            "conditions": [{"type": "AbleToScale", "status": "True"}],
            "currentMetrics": [
                {"type": "Pods", "pods": {"metric": metric, "current": {"averageValue": "4"}}}],
        },
    }  # fmt: skip
    v1 = convert(v2, "autoscaling/v1")
    assert v1["spec"] == {"maxReplicas": 3}
    assert v1["status"] == {"currentReplicas": 1, "desiredReplicas": 1}
    carried = v1["metadata"]["annotations"]
    assert '"targetAverageValue":"1Gi"' in carried["autoscaling.alpha.kubernetes.io/metrics"]
    assert convert(v1, "autoscaling/v2") == v2


def test_carried_nonsense_is_left_out() -> None:
    annotations = {
        "autoscaling.alpha.kubernetes.io/metrics": '[5, {"type": "Pods", "pods": "x"}]',
        "autoscaling.alpha.kubernetes.io/behavior": "{",
        "autoscaling.alpha.kubernetes.io/conditions": "7",
    }
    v1 = HPA | {"apiVersion": "autoscaling/v1", "metadata": {"annotations": annotations}}
    v2 = convert(v1, "autoscaling/v2")
    assert v2["spec"] == {"metrics": [{"type": "Pods", "pods": "x"}]}
    assert v2["metadata"] == {}


def test_device_requests() -> None:
    old = {
        "kind": "ResourceClaim", "apiVersion": "resource.k8s.io/v1beta1", "metadata": {},
        "spec": {"devices": {"requests": [
            {"name": "a", "deviceClassName": "gpu", "count": 2},
            {"name": "b", "firstAvailable": [{"name": "x", "deviceClassName": "gpu"}]},
        ]}},
    }  # fmt: skip
    new = convert(old, "resource.k8s.io/v1")
    first, second = new["spec"]["devices"]["requests"]
    assert first == {"name": "a", "exactly": {"deviceClassName": "gpu", "count": 2}}
    assert "exactly" not in second
    assert convert(new, "resource.k8s.io/v1beta1") == old
    template = {"kind": "ResourceClaimTemplate", "apiVersion": "resource.k8s.io/v1beta1"}
    wrapped = template | {"spec": {"metadata": {}, "spec": old["spec"]}}
    made = convert(wrapped, "resource.k8s.io/v1")
    assert made["spec"]["spec"] == new["spec"]
    assert convert(made, "resource.k8s.io/v1beta1") == wrapped


def test_device_slices() -> None:
    old = {
        "kind": "ResourceSlice", "apiVersion": "resource.k8s.io/v1beta1",
        "spec": {"devices": [{"name": "d", "basic": {"attributes": {"a": {"int": 1}}}}]},
    }  # fmt: skip
    new = convert(old, "resource.k8s.io/v1")
    assert new["spec"]["devices"] == [{"name": "d", "attributes": {"a": {"int": 1}}}]
    assert convert(new, "resource.k8s.io/v1beta1") == old
