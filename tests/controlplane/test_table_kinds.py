"""Rows of the other kinds, and the Table around them."""

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from base.clock import parse_rfc3339
from controlplane.rest.table import cells, columns, table
from controlplane.rest.table.render import PRINTERS
from kubeapi.codec import encode, from_dict
from kubeapi.errors import StatusError
from kubeapi.resources import RESOURCES, ResourceInfo, find
from kubeapi.types import autoscaling_v1

CREATED = "2026-01-01T00:00:00Z"
NOW_S = parse_rfc3339(CREATED) + 5


def info_of(api_version: str, resource: str) -> ResourceInfo:
    group, _, version = api_version.rpartition("/")
    found = find(group, version, resource)
    assert found is not None
    return found


def row_of(api_version: str, resource: str, **fields: Any) -> list[Any]:
    info = info_of(api_version, resource)
    metadata = {"name": "x", "creationTimestamp": CREATED} | fields.pop("metadata", {})
    return cells(info, from_dict({"metadata": metadata} | fields, info.type), NOW_S)


TEMPLATE = {"spec": {"containers": [{"name": "a", "image": "i:1"}, {"name": "b", "image": "j"}]}}
SELECTOR = {
    "matchLabels": {"b": "2", "a": "1"},
    "matchExpressions": [
        {"key": "c", "operator": "In", "values": ["y", "x"]},
        {"key": "d", "operator": "DoesNotExist"},
    ],
}
SELECTOR_TEXT = "a=1,b=2,c in (x,y),!d"


@pytest.mark.parametrize(
    ("api_version", "resource", "fields", "expected"),
    [
        (
            "apps/v1",
            "deployments",
            {
                "spec": {"replicas": 3, "template": TEMPLATE, "selector": SELECTOR},
                "status": {"readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 1},
            },
            ["x", "1/3", 2, 1, "5s", "a,b", "i:1,j", SELECTOR_TEXT],
        ),
        (
            "apps/v1",
            "replicasets",
            {"spec": {"replicas": 3}, "status": {"replicas": 2}},
            ["x", 3, 2, 0, "5s", "", "", "<none>"],
        ),
        (
            "apps/v1",
            "daemonsets",
            {
                "spec": {"template": {"spec": {"nodeSelector": {"disk": "ssd"}}}},
                "status": {"desiredNumberScheduled": 4, "numberReady": 2},
            },
            ["x", 4, 0, 2, 0, 0, "disk=ssd", "5s", "", "", "<none>"],
        ),
        (
            "v1",
            "services",
            {
                "spec": {
                    "type": "NodePort",
                    "clusterIP": "10.0.0.1",
                    "ports": [
                        {"port": 80, "nodePort": 30080, "protocol": "TCP"},
                        {"port": 53, "protocol": "UDP"},
                    ],
                    "selector": {"b": "2", "a": "1"},
                }
            },
            ["x", "NodePort", "10.0.0.1", "<none>", "80:30080/TCP,53/UDP", "5s", "a=1,b=2"],
        ),
        (
            "v1",
            "services",
            {"spec": {"type": "LoadBalancer", "clusterIP": "10.0.0.1"}},
            ["x", "LoadBalancer", "10.0.0.1", "<pending>", "<none>", "5s", "<none>"],
        ),
        (
            "v1",
            "endpoints",
            {
                "subsets": [
                    {
                        "addresses": [{"ip": f"10.0.0.{i}"} for i in range(1, 6)],
                        "ports": [{"port": 80}],
                    }
                ]
            },
            ["x", "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 2 more...", "5s"],
        ),
        ("v1", "endpoints", {}, ["x", "<none>", "5s"]),
        (
            "discovery.k8s.io/v1",
            "endpointslices",
            {"addressType": "IPv4", "ports": [{"port": 80}], "endpoints": []},
            ["x", "IPv4", "80", "<unset>", "5s"],
        ),
        (
            "v1",
            "nodes",
            {
                "metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}},
                "spec": {"unschedulable": True},
                "status": {
                    "conditions": [{"type": "Ready", "status": "True"}],
                    "addresses": [{"type": "InternalIP", "address": "10.0.0.9"}],
                    "nodeInfo": {"kubeletVersion": "v1", "kernelVersion": "6", "architecture": "m"},
                },
            },
            [
                "x",
                "Ready,SchedulingDisabled",
                "control-plane",
                "5s",
                "v1",
                "10.0.0.9",
                "<none>",
                "<unknown>",
                "6 (m)",
                "<unknown>",
            ],
        ),
        ("v1", "configmaps", {"data": {"a": "1"}, "binaryData": {"b": "AA=="}}, ["x", 2, "5s"]),
        ("v1", "limitranges", {}, ["x", CREATED]),
        (
            "batch/v1",
            "jobs",
            {
                "spec": {"completions": 2},
                "status": {
                    "succeeded": 1,
                    "startTime": CREATED,
                    "conditions": [{"type": "Suspended", "status": "True"}],
                },
            },
            ["x", "Suspended", "1/2", "5s", "5s", "", "", "<none>"],
        ),
        (
            "v1",
            "persistentvolumeclaims",
            {
                "spec": {"volumeName": "v", "storageClassName": "fast", "volumeMode": "Block"},
                "status": {
                    "phase": "Bound",
                    "capacity": {"storage": "1Gi"},
                    "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
                },
            },
            ["x", "Bound", "v", "1Gi", "RWO,RWX", "fast", "<unset>", "5s", "Block"],
        ),
        (
            "autoscaling/v2",
            "horizontalpodautoscalers",
            {
                "spec": {
                    "maxReplicas": 5,
                    "scaleTargetRef": {"kind": "Deployment", "name": "d"},
                    "metrics": [
                        {
                            "type": "Resource",
                            "resource": {
                                "name": "cpu",
                                "target": {"type": "Utilization", "averageUtilization": 60},
                            },
                        },
                        {"type": "Pods", "pods": {"target": {"averageValue": "10"}}},
                        {"type": "External", "external": {"target": {"value": "3"}}},
                    ],
                },
                "status": {
                    "currentReplicas": 2,
                    "currentMetrics": [
                        {"type": "Resource", "resource": {"current": {"averageUtilization": 42}}}
                    ],
                },
            },
            [
                "x",
                "Deployment/d",
                "cpu: 42%/60%, <unknown>/10 + 1 more...",
                "<unset>",
                5,
                2,
                "5s",
            ],
        ),
        (
            "networking.k8s.io/v1",
            "ingresses",
            {"spec": {"rules": [{"host": h} for h in "abcd"], "tls": [{}]}},
            ["x", "<none>", "a,b,c + 1 more...", "", "80, 443", "5s"],
        ),
        (
            "rbac.authorization.k8s.io/v1",
            "rolebindings",
            {
                "roleRef": {"kind": "Role", "name": "r"},
                "subjects": [
                    {"kind": "User", "name": "u"},
                    {"kind": "User", "name": "v"},
                    {"kind": "ServiceAccount", "name": "s", "namespace": "n"},
                ],
            },
            ["x", "Role/r", "5s", "u, v", "", "n/s"],
        ),
    ],
)
def test_rows(api_version: str, resource: str, fields: Any, expected: list[Any]) -> None:
    assert row_of(api_version, resource, **fields) == expected


@pytest.mark.parametrize(
    ("api_version", "fields"),
    [
        (
            "v1",
            {
                "involvedObject": {"kind": "Pod", "name": "p", "fieldPath": "spec"},
                "firstTimestamp": CREATED,
                "lastTimestamp": CREATED,
                "message": " hello\n",
                "source": {"component": "kubelet", "host": "n1"},
                "count": 3,
            },
        ),
        (
            "events.k8s.io/v1",
            {
                "regarding": {"kind": "Pod", "name": "p", "fieldPath": "spec"},
                "eventTime": "2026-01-01T00:00:00.000000Z",
                "note": "hello",
                "reportingController": "kubelet",
                "reportingInstance": "n1",
                "series": {"count": 3, "lastObservedTime": "2026-01-01T00:00:00.000000Z"},
            },
        ),
    ],
)
def test_both_forms_of_an_event_print_alike(api_version: str, fields: dict[str, Any]) -> None:
    row = row_of(api_version, "events", type="Normal", reason="Done", **fields)
    assert row == [
        "5s", "Normal", "Done", "pod/p", "spec", "kubelet, n1", "hello", "5s", 3, "x",
    ]  # fmt: skip


@pytest.mark.parametrize("info", RESOURCES, ids=lambda i: f"{i.api_version}/{i.resource}")
def test_an_empty_object_of_every_kind_fills_its_columns(info: ResourceInfo) -> None:
    if "list" not in info.verbs:
        assert (info.group, info.kind) not in PRINTERS
        return
    row = cells(info, info.type(), NOW_S)
    names = [column["name"] for column in columns(info)]
    if info.resource == "ipaddresses":
        names.append("Age")  # Kubernetes gives these a cell for which it has no column
    assert len(row) == len(names)
    assert all(isinstance(cell, str | int | bool) for cell in row)


@dataclass
class Item:
    obj: Any

    def json(self) -> bytes:
        return encode(self.obj) + b"\n"


def printed(include: str = "Metadata", **options: Any) -> dict[str, Any]:
    info = info_of("v1", "configmaps")
    obj = from_dict({"metadata": {"name": "x"}, "data": {"a": "1"}}, info.type)
    data = table(info, [Item(obj)], {"resourceVersion": "7"}, include, NOW_S, **options)
    found: dict[str, Any] = msgspec.json.decode(data)
    return found


def test_a_table_has_columns_rows_and_the_objects_metadata() -> None:
    found = printed()
    assert found["kind"] == "Table"
    assert found["apiVersion"] == "meta.k8s.io/v1"
    assert found["metadata"] == {"resourceVersion": "7"}
    assert [column["name"] for column in found["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert found["rows"] == [
        {
            "cells": ["x", 1, "<unknown>"],
            "object": {
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": {"name": "x"},
            },
        }
    ]


def test_what_a_row_carries() -> None:
    assert printed("None")["rows"][0]["object"] is None
    assert printed("Object")["rows"][0]["object"]["data"] == {"a": "1"}
    with pytest.raises(StatusError, match="unrecognized includeObject value: 'Some'"):
        printed("Some")


def test_later_events_of_a_watch_have_no_columns() -> None:
    assert printed(with_columns=False)["columnDefinitions"] is None


def test_the_scale_of_a_deployment_prints_as_a_scale() -> None:
    scale = from_dict(
        {"metadata": {"name": "x"}, "spec": {"replicas": 3}, "status": {"replicas": 1}},
        autoscaling_v1.Scale,
    )
    data = table(info_of("apps/v1", "deployments"), [Item(scale)], {}, "None", NOW_S)
    found = msgspec.json.decode(data)
    names = [column["name"] for column in found["columnDefinitions"]]
    assert names == ["Name", "Desired", "Available", "Age"]
    assert found["rows"][0]["cells"] == ["x", 3, 1, "<unknown>"]


def test_flow_schemas_are_listed_as_they_are_matched() -> None:
    info = info_of("flowcontrol.apiserver.k8s.io/v1", "flowschemas")
    items = [
        Item(from_dict({"metadata": {"name": n}, "spec": {"matchingPrecedence": p}}, info.type))
        for n, p in (("a", 900), ("b", 100))
    ]
    rows = msgspec.json.decode(table(info, items, {}, "None", NOW_S))["rows"]
    assert [row["cells"][0] for row in rows] == ["b", "a"]


def test_a_finished_pod_is_marked_as_done() -> None:
    info = info_of("v1", "pods")
    pod = from_dict({"metadata": {"name": "p"}, "status": {"phase": "Failed"}}, info.type)
    rows = msgspec.json.decode(table(info, [Item(pod)], {}, "None", NOW_S))["rows"]
    assert rows[0]["conditions"] == [
        {"type": "Completed", "status": "True", "reason": "Failed", "message": "The pod failed."}
    ]
