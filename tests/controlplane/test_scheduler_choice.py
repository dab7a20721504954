"""Of the nodes that fit, the one that is chosen; and the snapshot that choices rest on."""

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.scheduler.framework import Memory, Placement, feasible_wanted, schedule
from controlplane.scheduler.podinfo import PodInfo
from controlplane.scheduler.resources import pod_requests
from controlplane.scheduler.snapshot import Snapshot
from kubeapi.selectors import of_set
from kubeapi.types import core_v1
from tests.controlplane.scheduler_maker import make_node, make_pod, make_snapshot, to_object


def choose(pod: PodInfo, snapshot: Snapshot, seed: int = 1) -> str:
    result = schedule(pod, snapshot, random.Random(seed))
    assert isinstance(result, Placement), result
    return result.node_name


def test_the_emptier_node_is_preferred() -> None:
    busy = make_pod(requests={"cpu": "2", "memory": "4Gi"})
    snapshot = make_snapshot(make_node("a"), make_node("b"), placed={"a": [busy]})
    assert {choose(make_pod(requests={"cpu": "1"}), snapshot, seed) for seed in range(10)} == {"b"}


def test_cpu_and_memory_are_kept_in_balance() -> None:
    # Both nodes have the same free share in sum; on b a pod of cpu restores the balance.
    placed = {
        "a": [make_pod(requests={"cpu": "2", "memory": "2Gi"})],
        "b": [make_pod(requests={"cpu": "1", "memory": "4Gi"})],
    }
    snapshot = make_snapshot(make_node("a"), make_node("b"), placed=placed)
    pod = make_pod(requests={"cpu": "1", "memory": "1Mi"})
    assert {choose(pod, snapshot, seed) for seed in range(10)} == {"b"}


def test_of_equals_any_is_chosen() -> None:
    snapshot = make_snapshot(*(make_node(f"n{i}") for i in range(4)))
    assert len({choose(make_pod(), snapshot, seed) for seed in range(40)}) == 4


def test_soft_taints_are_avoided_where_possible() -> None:
    taint = [{"key": "old", "effect": "PreferNoSchedule"}]
    snapshot = make_snapshot(make_node("a", taints=taint), make_node("b"))
    assert {choose(make_pod(), snapshot, seed) for seed in range(10)} == {"b"}
    snapshot.remove_node("b")
    assert choose(make_pod(), snapshot) == "a"


def preferred(kind: str, weight: int, **term: Any) -> dict[str, Any]:
    entry = {"weight": weight, "podAffinityTerm" if kind != "nodeAffinity" else "preference": term}
    return {kind: {"preferredDuringSchedulingIgnoredDuringExecution": [entry]}}


def test_preferred_labels_of_nodes() -> None:
    ssd = [{"key": "disk", "operator": "In", "values": ["ssd"]}]
    affinity = preferred("nodeAffinity", 1, matchExpressions=ssd)
    snapshot = make_snapshot(make_node("a"), make_node("b", labels={"disk": "ssd"}))
    assert {choose(make_pod(affinity=affinity), snapshot, s) for s in range(10)} == {"b"}


@pytest.mark.parametrize(("kind", "expected"), [("podAffinity", "a"), ("podAntiAffinity", "b")])
def test_preferred_neighbours(kind: str, expected: str) -> None:
    term = {"labelSelector": {"matchLabels": {"app": "db"}}, "topologyKey": "zone"}
    affinity = preferred(kind, 50, **term)
    nodes = [make_node(name, labels={"zone": name}) for name in "ab"]
    snapshot = make_snapshot(*nodes, placed={"a": [make_pod(labels={"app": "db"})]})
    assert {choose(make_pod(affinity=affinity), snapshot, s) for s in range(10)} == {expected}


@pytest.mark.parametrize(("kind", "expected"), [("podAffinity", "a"), ("podAntiAffinity", "b")])
def test_preferences_of_pods_that_run_already(kind: str, expected: str) -> None:
    term = {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "zone"}
    running = make_pod(affinity=preferred(kind, 50, **term))
    nodes = [make_node(name, labels={"zone": name}) for name in "ab"]
    snapshot = make_snapshot(*nodes, placed={"a": [running]})
    pod = make_pod(labels={"app": "web"})
    assert {choose(pod, snapshot, s) for s in range(10)} == {expected}


def test_a_required_affinity_of_a_running_pod_draws_a_little() -> None:
    term = {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "zone"}
    wish = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    nodes = [make_node(name, labels={"zone": name}) for name in "ab"]
    snapshot = make_snapshot(*nodes, placed={"b": [make_pod(affinity=wish)]})
    pod = make_pod(labels={"app": "web"})
    assert {choose(pod, snapshot, s) for s in range(10)} == {"b"}


def test_a_workload_spreads_over_hosts_and_zones_by_itself() -> None:
    nodes = [
        make_node(f"{zone}{i}", labels={"topology.kubernetes.io/zone": zone})
        for zone in "ab"
        for i in (1, 2, 3)
    ]
    snapshot = make_snapshot(*nodes, workload=lambda pod: of_set({"app": "web"}))
    for _ in range(12):
        pod = make_pod(labels={"app": "web"})
        snapshot.set_pod(pod, choose(pod, snapshot))
    assert [len(node.pods) for node in snapshot.nodes] == [2] * 6


def test_soft_constraints_spread_and_never_forbid() -> None:
    soft = [
        {
            "maxSkew": 1,
            "topologyKey": "zone",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"app": "web"}},
        }
    ]
    nodes = [make_node(name, labels={"zone": name}) for name in "abc"]
    snapshot = make_snapshot(*nodes)
    where = Counter[str]()
    for _ in range(9):
        pod = make_pod(labels={"app": "web"}, topologySpreadConstraints=soft)
        chosen = choose(pod, snapshot)
        snapshot.set_pod(pod, chosen)
        where[chosen] += 1
    assert where == {"a": 3, "b": 3, "c": 3}
    snapshot.remove_node("b")
    snapshot.remove_node("c")
    assert choose(make_pod(labels={"app": "web"}, topologySpreadConstraints=soft), snapshot) == "a"


def containers(*requests: dict[str, str], **spec: Any) -> core_v1.Pod:
    rows = [{"name": f"c{i}", "resources": {"requests": r}} for i, r in enumerate(requests)]
    pod: core_v1.Pod = to_object({"spec": {"containers": rows} | spec}, core_v1.Pod)
    return pod


def init(cpu: str, *, sidecar: bool = False) -> dict[str, Any]:
    row: dict[str, Any] = {"name": f"i{cpu}", "resources": {"requests": {"cpu": cpu}}}
    return row | {"restartPolicy": "Always"} if sidecar else row


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        (containers({"cpu": "100m"}, {"cpu": "1"}), 1100),
        # Init containers run before the others, one at a time: the largest counts, if at all.
        (containers({"cpu": "1"}, initContainers=[init("3"), init("2")]), 3000),
        (containers({"cpu": "4"}, initContainers=[init("3")]), 4000),
        # Sidecars stay: beside the containers, and beside the init containers after them.
        (containers({"cpu": "1"}, initContainers=[init("2", sidecar=True)]), 3000),
        (containers({"cpu": "1"}, initContainers=[init("2", sidecar=True), init("3")]), 5000),
        (containers({"cpu": "1"}, initContainers=[init("3"), init("2", sidecar=True)]), 3000),
        (containers({"cpu": "1"}, overhead={"cpu": "250m"}), 1250),
        (containers({"cpu": "1"}, resources={"requests": {"cpu": "2"}}), 2000),
    ],
)
def test_what_a_pod_asks_for(pod: core_v1.Pod, expected: int) -> None:
    assert pod_requests(pod).exact["cpu"] == expected


def test_large_clusters_are_searched_in_part_and_in_turn() -> None:
    assert feasible_wanted(50) == 50
    assert feasible_wanted(150) == 100
    assert feasible_wanted(1000) == 420
    assert feasible_wanted(10000) == 500
    snapshot = make_snapshot(*(make_node(f"n{i}") for i in range(300)))
    memory, rng = Memory(), random.Random(1)
    seen = set()
    for _ in range(60):
        result = schedule(make_pod(), snapshot, rng, memory)
        assert isinstance(result, Placement)
        assert result.evaluated_nodes < 300
        seen.add(result.node_name)
    assert len(seen) > 40


KINDS: list[dict[str, Any]] = [
    {"requests": {"cpu": "1"}},
    {"requests": {"cpu": "1", "memory": "3Gi"}},
    {"nodeSelector": {"disk": "ssd"}},
    {"tolerations": [{"operator": "Exists"}], "requests": {"cpu": "2"}},
    {"ports": [{"containerPort": 80, "hostPort": 80}]},
]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3)), max_size=40), st.integers())
def test_what_is_remembered_changes_no_decision(steps: list[tuple[int, int]], seed: int) -> None:
    snapshot, memory = make_snapshot(*(make_node(f"n{i}") for i in range(3))), Memory()
    placed: list[PodInfo] = []
    for what, number in steps:
        if what == len(KINDS):
            taint = [{"key": "x", "effect": "NoSchedule"}] if number % 2 else []
            labels = {"disk": "ssd"} if number > 1 else {}
            snapshot.set_node(make_node(f"n{number % 3}", taints=taint, labels=labels))
        elif what > len(KINDS):
            if placed:
                snapshot.remove_pod(placed.pop(number % len(placed)).uid)
        else:
            pod = make_pod(**dict(KINDS[what]))
            fresh = schedule(pod, snapshot, random.Random(seed))
            result = schedule(pod, snapshot, random.Random(seed), memory)
            assert result == fresh
            if isinstance(result, Placement):
                snapshot.set_pod(pod, result.node_name)
                placed.append(pod)


Step = tuple[str, int, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(("place", "remove", "drop node", "add node", "count")),
        st.integers(0, 7),
        st.integers(0, 3),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_sums_and_counts_stay_what_a_recount_gives(steps: list[Step]) -> None:
    """Whatever the order of events, a pod may come before its node, move, or lose it."""
    matcher = of_set({"app": "web"})
    snapshot = make_snapshot(*(make_node(f"n{i}") for i in range(4)))
    where: dict[str, tuple[PodInfo, str]] = {}
    present = {f"n{i}" for i in range(4)}
    for what, number, target in steps:
        node, name = f"n{target}", f"p{number}"
        if what == "place":
            labels = {"app": "web" if number % 2 else "db"}
            pod = make_pod(name, labels=labels, requests={"cpu": f"{100 + target}m"})
            snapshot.set_pod(pod, node)
            where[pod.uid] = (pod, node)
        elif what == "remove":
            uid = f"uid-default-{name}"
            snapshot.remove_pod(uid)
            where.pop(uid, None)
        elif what == "drop node":
            snapshot.remove_node(node)
            present.discard(node)
        elif what == "add node":
            snapshot.set_node(make_node(node))
            present.add(node)
        else:
            snapshot.counts("default", matcher)
    for info in snapshot.nodes:
        pods = [p for p, n in where.values() if n == info.name]
        assert info.usage.exact.get("cpu", 0) == sum(p.requests.exact["cpu"] for p in pods)
        assert info.usage.pods == len(pods) == len(info.pods)
    expected = Counter(n for p, n in where.values() if n in present and p.labels["app"] == "web")
    assert dict(snapshot.counts("default", matcher)) == dict(expected)
