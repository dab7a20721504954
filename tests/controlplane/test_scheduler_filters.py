"""Which nodes a pod may run on, and the words when it may on none: Kubernetes' own, as recorded."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from controlplane.scheduler import preemption
from controlplane.scheduler.framework import FitError, Memory, NodeFilter, Placement, schedule
from controlplane.scheduler.podinfo import PodInfo
from controlplane.scheduler.snapshot import Snapshot
from kubeapi.types import core_v1, meta_v1
from tests.controlplane.scheduler_maker import make_node, make_pod, make_snapshot, to_object

PREFIX = "no new claims to deallocate, preemption: 0/3 nodes are available: "
THREE_HELPLESS = f"{PREFIX}3 Preemption is not helpful for scheduling."
ONE_WITHOUT_VICTIMS = (
    f"{PREFIX}1 No preemption victims found for incoming pod, "
    "2 Preemption is not helpful for scheduling."
)
REST = "1 node(s) had untolerated taint(s), 1 node(s) were unschedulable."


def three_nodes(*on_first: PodInfo) -> Snapshot:
    """One that takes pods, one tainted, one cordoned; 2 cores and 4 Gi each."""
    size = {"cpu": "2", "memory": "4Gi"}
    taint = {"key": "dedicated", "value": "db", "effect": "NoSchedule"}
    return make_snapshot(
        make_node("fake-1", labels={"zone": "1"}, **size),
        make_node("fake-2", labels={"zone": "2"}, taints=[taint], **size),
        make_node("fake-3", labels={"zone": "3"}, unschedulable=True, **size),
        placed={"fake-1": list(on_first)},
    )


def decide(pod: PodInfo, snapshot: Snapshot) -> Placement | FitError:
    return schedule(pod, snapshot, random.Random(1))


def rejection(pod: PodInfo, snapshot: Snapshot) -> str:
    """The whole message, as the event has it."""
    error = decide(pod, snapshot)
    assert isinstance(error, FitError), error
    _, unhelped = preemption.find(pod, snapshot, error, lambda _: 0)
    ineligible = preemption.not_eligible(pod, snapshot, "")
    return preemption.message(error, len(snapshot.nodes), ineligible, unhelped)


def affinity(kind: str, **labels: str) -> dict[str, Any]:
    term = {"labelSelector": {"matchLabels": labels}, "topologyKey": "zone"}
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def node_terms(*expressions: dict[str, Any]) -> dict[str, Any]:
    terms = [{"matchExpressions": list(expressions)}]
    required = {"nodeSelectorTerms": terms}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


@dataclass
class Case:
    pod: PodInfo
    reason: str
    ending: str = THREE_HELPLESS
    placed: list[PodInfo] = field(default_factory=list)


HOST_PORT = [{"containerPort": 80, "hostPort": 80}]
SPREAD = [
    {
        "maxSkew": 1,
        "topologyKey": "rack",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "s"}},
    }
]
# What a real kube-scheduler 1.36 answered for the same pods and nodes.
RECORDED = {
    "cpu": Case(make_pod(requests={"cpu": "3"}), "1 Insufficient cpu"),
    "memory": Case(make_pod(requests={"memory": "8Gi"}), "1 Insufficient memory"),
    "cpu and memory": Case(
        make_pod(requests={"cpu": "3", "memory": "8Gi"}),
        "1 Insufficient cpu, 1 Insufficient memory",
    ),
    "unknown resource": Case(
        make_pod(requests={"example.com/gpu": "1"}), "1 Insufficient example.com/gpu"
    ),
    "node selector": Case(
        make_pod(nodeSelector={"zone": "9"}), "1 node(s) didn't match Pod's node affinity/selector"
    ),
    "node affinity": Case(
        make_pod(affinity=node_terms({"key": "zone", "operator": "In", "values": ["9"]})),
        "1 node(s) didn't match Pod's node affinity/selector",
    ),
    "pod affinity": Case(
        make_pod(affinity=affinity("podAffinity", app="none")),
        "1 node(s) didn't match pod affinity rules",
    ),
    "pod anti-affinity": Case(
        make_pod(labels={"app": "anti"}, affinity=affinity("podAntiAffinity", app="anti")),
        "1 node(s) didn't match pod anti-affinity rules",
        ONE_WITHOUT_VICTIMS,
        [make_pod(labels={"app": "anti"}, affinity=affinity("podAntiAffinity", app="anti"))],
    ),
    "host port": Case(
        make_pod(ports=HOST_PORT),
        "1 node(s) didn't have free ports for the requested pod ports",
        ONE_WITHOUT_VICTIMS,
        [make_pod(ports=HOST_PORT)],
    ),
    "spread over a label that no node has": Case(
        make_pod(labels={"app": "s"}, topologySpreadConstraints=SPREAD),
        "1 node(s) didn't match pod topology spread constraints (missing required label)",
    ),
    "cpu that others use": Case(
        make_pod(requests={"cpu": "1500m"}),
        "1 Insufficient cpu",
        ONE_WITHOUT_VICTIMS,
        [make_pod(requests={"cpu": "1"})],
    ),
}


@pytest.mark.parametrize("name", RECORDED)
def test_the_message_is_kubernetes(name: str) -> None:
    case = RECORDED[name]
    expected = f"0/3 nodes are available: {case.reason}, {REST} {case.ending}"
    assert rejection(case.pod, three_nodes(*case.placed)) == expected


def test_a_cluster_without_nodes_says_so() -> None:
    assert rejection(make_pod(), Snapshot()) == "no nodes available to schedule pods"


def test_reasons_are_sorted_with_their_count() -> None:
    snapshot = three_nodes()
    taint = {"key": "boot", "effect": "NoExecute"}
    snapshot.set_node(make_node("fake-1", taints=[taint]))
    assert rejection(make_pod(), snapshot) == (
        "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) had untolerated "
        f"taint(s). {THREE_HELPLESS}"
    )


def test_a_missing_claim_rejects_the_pod_everywhere() -> None:
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "nope"}}]
    assert rejection(make_pod(volumes=volumes), three_nodes()) == (
        '0/3 nodes are available: persistentvolumeclaim "nope" not found. not found'
    )


def test_never_preempting_pods_are_told_so() -> None:
    pod = make_pod(requests={"cpu": "1500m"}, preemptionPolicy="Never", priority=5)
    snapshot = three_nodes(make_pod(requests={"cpu": "1"}))
    assert rejection(pod, snapshot).endswith(
        "preemption: not eligible due to preemptionPolicy=Never."
    )


# Where pods may go: (pod, the nodes that take it).
TOLERANT = [{"key": "dedicated", "operator": "Equal", "value": "db", "effect": "NoSchedule"}]
CORDON = [{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}]
PLACES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "anywhere it is let": ({}, {"fake-1"}),
    "toleration of the taint": ({"tolerations": TOLERANT}, {"fake-1", "fake-2"}),
    "toleration of another value": (
        {"tolerations": [TOLERANT[0] | {"value": "web"}]}, {"fake-1"},
    ),
    "toleration of everything": (
        {"tolerations": [{"operator": "Exists"}]}, {"fake-1", "fake-2", "fake-3"},
    ),
    "toleration of the cordon": ({"tolerations": CORDON}, {"fake-1", "fake-3"}),
    "selector and toleration": (
        {"tolerations": TOLERANT, "nodeSelector": {"zone": "2"}}, {"fake-2"},
    ),
    "by name, matched as a field": (
        {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchFields": [
                {"key": "metadata.name", "operator": "In", "values": ["fake-1"]}]}]}}}},
        {"fake-1"},
    ),
    "the node that is named": ({"nodeName": "fake-1"}, {"fake-1"}),
    "a node that is not there": ({"nodeName": "fake-9"}, set()),
    "an empty term matches nothing": (
        {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{}]}}}},
        set(),
    ),
    "greater than": (
        {"affinity": node_terms({"key": "zone", "operator": "Gt", "values": ["1"]}),
         "tolerations": [{"operator": "Exists"}]},
        {"fake-2", "fake-3"},
    ),
    "not in": (
        {"affinity": node_terms({"key": "zone", "operator": "NotIn", "values": ["1"]}),
         "tolerations": [{"operator": "Exists"}]},
        {"fake-2", "fake-3"},
    ),
}  # fmt: skip


def feasible(spec: dict[str, Any], make: Callable[[], Snapshot]) -> set[str]:
    """Every node that the pod fits."""
    snapshot = make()
    node_filter = NodeFilter(make_pod(**spec), snapshot, Memory())
    return {node.name for node in snapshot.nodes if node_filter.check(node) is None}


@pytest.mark.parametrize("name", PLACES)
def test_where_a_pod_may_go(name: str) -> None:
    spec, expected = PLACES[name]
    assert feasible(dict(spec), three_nodes) == expected


def zones(placed: dict[str, list[PodInfo]]) -> Snapshot:
    nodes = [make_node(f"{z}{i}", labels={"zone": z}) for z in "ab" for i in (1, 2)]
    snapshot = make_snapshot(*nodes, placed=placed)
    snapshot.set_namespace(meta_v1.ObjectMeta(name="other", labels={"team": "x"}))
    return snapshot


@pytest.mark.parametrize(
    ("spec", "placed", "expected"),
    [
        (affinity("podAffinity", app="db"), {"a1": ["db"]}, {"a1", "a2"}),
        (affinity("podAntiAffinity", app="db"), {"a1": ["db"]}, {"b1", "b2"}),
        # The first of pods that want to be together may start anywhere.
        (affinity("podAffinity", app="web"), {}, {"a1", "a2", "b1", "b2"}),
        (affinity("podAffinity", app="web"), {"b1": ["web"]}, {"b1", "b2"}),
    ],
)
def test_affinity_to_other_pods(
    spec: dict[str, Any], placed: dict[str, list[str]], expected: set[str]
) -> None:
    running = {n: [make_pod(labels={"app": app}) for app in apps] for n, apps in placed.items()}
    pod = {"labels": {"app": "web"}, "affinity": spec}
    assert feasible(pod, lambda: zones(running)) == expected


def test_pods_that_run_keep_others_away() -> None:
    lonely = make_pod(affinity=affinity("podAntiAffinity", app="web"))
    assert feasible({"labels": {"app": "web"}}, lambda: zones({"a1": [lonely]})) == {"b1", "b2"}
    assert len(feasible({"labels": {"app": "other"}}, lambda: zones({"a1": [lonely]}))) == 4
    elsewhere = make_pod(namespace="other", affinity=affinity("podAntiAffinity", app="web"))
    assert len(feasible({"labels": {"app": "web"}}, lambda: zones({"a1": [elsewhere]}))) == 4


def test_affinity_reaches_other_namespaces_by_their_labels() -> None:
    term = {
        "labelSelector": {"matchLabels": {"app": "db"}},
        "topologyKey": "zone",
        "namespaceSelector": {"matchLabels": {"team": "x"}},
    }
    spec = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    there = make_pod(namespace="other", labels={"app": "db"})
    assert feasible({"affinity": spec}, lambda: zones({"b2": [there]})) == {"b1", "b2"}


def spread(key: str = "zone", **more: Any) -> list[dict[str, Any]]:
    return [SPREAD[0] | {"topologyKey": key} | more]


@pytest.mark.parametrize(
    ("constraint", "counts", "expected"),
    [
        (spread(), {"a1": 1}, {"b1", "b2"}),
        (spread(), {"a1": 1, "b1": 1}, {"a1", "a2", "b1", "b2"}),
        (spread(maxSkew=2), {"a1": 1}, {"a1", "a2", "b1", "b2"}),
        (spread("kubernetes.io/hostname"), {"a1": 1, "b1": 1}, {"a2", "b2", "plain"}),
        # Two domains where three are asked for: the least counts as none.
        (spread(minDomains=3), {"a1": 1, "b1": 1}, set()),
    ],
)
def test_spreading_that_must_be(
    constraint: list[dict[str, Any]], counts: dict[str, int], expected: set[str]
) -> None:
    def make() -> Snapshot:
        running = {
            node: [make_pod(labels={"app": "s"}) for _ in range(n)] for node, n in counts.items()
        }
        snapshot = zones(running)
        snapshot.set_node(make_node("plain"))
        return snapshot

    pod = {"labels": {"app": "s"}, "topologySpreadConstraints": constraint}
    assert feasible(pod, make) == expected


def test_pods_that_leave_do_not_count_for_spreading() -> None:
    leaving = make_pod(labels={"app": "s"}, deleting=True)
    pod = make_pod(labels={"app": "s"}, topologySpreadConstraints=spread())
    placed = {"b1": [make_pod(labels={"app": "s"})], "a1": [leaving]}
    chosen = decide(pod, zones(placed))
    assert isinstance(chosen, Placement)
    assert chosen.node_name[0] == "a"


def bound_claim(volume: str) -> core_v1.PersistentVolumeClaim:
    body = {"metadata": {"name": "c", "namespace": "default"}, "spec": {"volumeName": volume}}
    found: core_v1.PersistentVolumeClaim = to_object(body, core_v1.PersistentVolumeClaim)
    return found


class Volumes:
    """One claim, bound or not, to a volume in zone b."""

    def __init__(self, volume: str, *, waits: bool = False) -> None:
        self._claim = bound_claim(volume)
        self._waits = waits

    def claim(self, key: str) -> core_v1.PersistentVolumeClaim | None:
        return self._claim if key == "default/c" else None

    def volume(self, name: str) -> core_v1.PersistentVolume | None:
        terms = [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["b"]}]}]
        spec = {"nodeAffinity": {"required": {"nodeSelectorTerms": terms}}}
        body = {"metadata": {"name": name}, "spec": spec}
        found: core_v1.PersistentVolume = to_object(body, core_v1.PersistentVolume)
        return found

    def waits_for_consumer(self, claim: core_v1.PersistentVolumeClaim) -> bool:
        return self._waits


USES_CLAIM = {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]}


def with_volumes(volumes: Volumes) -> Snapshot:
    nodes = [make_node(f"{z}1", labels={"zone": z}) for z in "ab"]
    return make_snapshot(*nodes, volumes=volumes)


def test_a_pod_follows_its_volume() -> None:
    assert feasible(dict(USES_CLAIM), lambda: with_volumes(Volumes("pv"))) == {"b1"}


def test_a_pod_waits_for_its_claim_to_be_bound() -> None:
    assert rejection(make_pod(**USES_CLAIM), with_volumes(Volumes(""))) == (
        "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"
    )
    late = with_volumes(Volumes("", waits=True))
    assert "2 node(s) didn't find available persistent volumes to bind" in rejection(
        make_pod(**USES_CLAIM), late
    )


def port(number: int, address: str = "", protocol: str = "TCP") -> list[dict[str, Any]]:
    row = {"containerPort": 80, "hostPort": number, "protocol": protocol}
    return [row | ({"hostIP": address} if address else {})]


@pytest.mark.parametrize(
    ("wanted", "taken", "fits"),
    [
        (port(80), port(81), True),
        (port(80), port(80), False),
        (port(80), port(80, protocol="UDP"), True),
        (port(80, "10.0.0.1"), port(80, "10.0.0.2"), True),
        (port(80, "10.0.0.1"), port(80, "10.0.0.1"), False),
        (port(80, "10.0.0.1"), port(80), False),  # every address is one of them
    ],
)
def test_host_ports(wanted: Any, taken: Any, fits: bool) -> None:
    snapshot = make_snapshot(make_node("n"), placed={"n": [make_pod(ports=taken)]})
    assert isinstance(decide(make_pod(ports=wanted), snapshot), Placement) is fits


def test_match_label_keys_tell_one_revision_from_the_next() -> None:
    constraint = spread(matchLabelKeys=["version"])
    running = {"a1": [make_pod(labels={"app": "s", "version": "1"})]}
    old = {"labels": {"app": "s", "version": "1"}, "topologySpreadConstraints": constraint}
    new = {"labels": {"app": "s", "version": "2"}, "topologySpreadConstraints": constraint}
    assert feasible(old, lambda: zones(running)) == {"b1", "b2"}
    assert feasible(new, lambda: zones(running)) == {"a1", "a2", "b1", "b2"}


def test_nodes_that_the_pod_cannot_use_do_not_count_for_its_spreading() -> None:
    """Zone b is empty, but only for pods that may run there (nodeAffinityPolicy: Honor)."""
    running = {"a1": [make_pod(labels={"app": "s"})]}
    pod = {"labels": {"app": "s"}, "nodeSelector": {"zone": "a"}}
    honoring = pod | {"topologySpreadConstraints": spread()}
    ignoring = pod | {"topologySpreadConstraints": spread(nodeAffinityPolicy="Ignore")}
    assert feasible(honoring, lambda: zones(running)) == {"a1", "a2"}
    assert feasible(ignoring, lambda: zones(running)) == set()


def test_the_number_of_pods_is_a_resource() -> None:
    snapshot = make_snapshot(make_node("n", pods="1"), placed={"n": [make_pod()]})
    assert rejection(make_pod(), snapshot).startswith("0/1 nodes are available: 1 Too many pods.")
