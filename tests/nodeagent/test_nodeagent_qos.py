"""Requests and limits: class, cgroup values and OOM score, by the kubelet's rules."""

from typing import Any

import pytest
from podmaker import container, make_pod

from kubeapi.types import core_v1
from nodeagent.pods.qos import (
    Limits,
    container_limits,
    oom_score_adj,
    pod_limits,
    qos_class,
    requested,
)
from nodeagent.pods.spec import containers, spec_of


def sized(
    name: str = "a", requests: Any = None, limits: Any = None, **fields: Any
) -> dict[str, Any]:
    resources = {"requests": requests or {}, "limits": limits or {}}
    return container(name, resources=resources, **fields)


def spec(*containers: dict[str, Any], **fields: Any) -> core_v1.PodSpec:
    return spec_of(make_pod(*containers, **fields))


FULL = {"cpu": "500m", "memory": "64Mi"}


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        ([container()], "BestEffort"),
        ([sized(requests={"cpu": "0"})], "BestEffort"),
        ([sized(requests={"cpu": "100m"})], "Burstable"),
        ([sized(limits={"memory": "1Gi"})], "Burstable"),
        ([sized(requests=FULL, limits=FULL)], "Guaranteed"),
        ([sized(limits=FULL)], "Guaranteed"),
        ([sized(requests={"cpu": "0.5", "memory": "65536Ki"}, limits=FULL)], "Guaranteed"),
        ([sized(requests=FULL, limits=FULL), container("b")], "Burstable"),
        ([sized(requests={"ephemeral-storage": "1Gi"})], "BestEffort"),
    ],
)
def test_qos_class(containers: list[dict[str, Any]], expected: str) -> None:
    assert qos_class(spec(*containers)) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (container(), Limits(2)),
        (sized(requests={"cpu": "100m"}), Limits(102)),
        (sized(limits={"cpu": "250m", "memory": "1Mi"}), Limits(256, 25_000, 1 << 20)),
        (sized(requests={"cpu": "0"}, limits={"cpu": "1m"}), Limits(2, 1000)),
        (sized(requests={"cpu": "1000"}), Limits(262_144)),
    ],
)
def test_container_limits(given: dict[str, Any], expected: Limits) -> None:
    assert container_limits(containers(make_pod(given))[0]) == expected


def test_a_pod_is_limited_only_where_every_container_is() -> None:
    limited = sized("a", limits={"cpu": "1", "memory": "1Mi"})
    assert pod_limits(spec(limited)) == Limits(1024, 100_000, 1 << 20)
    both = pod_limits(spec(limited, sized("b", limits={"cpu": "1"})))
    assert both == Limits(2048, 200_000, None)


def test_init_containers_and_sidecars_in_the_request() -> None:
    big = sized("i", requests={"cpu": "1"})
    side = sized("s", requests={"cpu": "200m"}, restartPolicy="Always")
    regular = sized("a", requests={"cpu": "300m"})
    assert requested(spec(regular, init=(big,)), "cpu") == 1000
    assert requested(spec(regular, init=(side, big)), "cpu") == 1200
    assert requested(spec(regular, init=(side,)), "cpu") == 500
    assert requested(spec(regular, overhead={"cpu": "50m"}), "cpu") == 350


@pytest.mark.parametrize(
    ("given", "fields", "score"),
    [
        (container(), {}, 1000),
        (sized(limits=FULL), {}, -997),
        (sized(requests={"memory": "500M"}), {}, 500),
        (sized(requests={"memory": "1G"}), {}, 3),
        (sized(requests={"memory": "1k"}), {}, 999),
        (container(), {"priorityClassName": "system-node-critical"}, -997),
    ],
)
def test_oom_score(given: dict[str, Any], fields: dict[str, Any], score: int) -> None:
    pod = make_pod(given, **fields)
    assert oom_score_adj(spec_of(pod), containers(pod)[0], 1_000_000_000) == score
