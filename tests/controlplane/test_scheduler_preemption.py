"""Who has to go for a pod of higher priority: as few and as unimportant pods as possible."""

import random

from controlplane.scheduler import preemption
from controlplane.scheduler.framework import FitError, schedule
from controlplane.scheduler.podinfo import PodInfo
from controlplane.scheduler.snapshot import Snapshot
from tests.controlplane.scheduler_maker import make_node, make_pod, make_snapshot


def core(name: str, priority: int = 0, cpu: str = "1") -> PodInfo:
    return make_pod(name, priority=priority, requests={"cpu": cpu})


def found(pod: PodInfo, snapshot: Snapshot, violated: str = "") -> tuple[str, set[str]] | None:
    error = schedule(pod, snapshot, random.Random(1))
    assert isinstance(error, FitError)
    before = {n.name: (set(n.pods), dict(n.usage.exact)) for n in snapshot.nodes}
    chosen, _ = preemption.find(
        pod, snapshot, error, lambda victims: sum(v.key.endswith(violated or "/") for v in victims)
    )
    # Trying leaves no trace.
    assert {n.name: (set(n.pods), dict(n.usage.exact)) for n in snapshot.nodes} == before
    if chosen is None:
        return None
    return chosen.node_name, {victim.key.partition("/")[2] for victim in chosen.victims}


def test_only_what_is_needed_goes_and_the_important_stay() -> None:
    placed = {"n": [core("low"), core("mid", 5), core("high", 9), core("same", 10)]}
    snapshot = make_snapshot(make_node("n"), placed=placed)
    assert found(core("new", 10), snapshot) == ("n", {"low"})
    assert found(core("new", 10, "2"), snapshot) == ("n", {"low", "mid"})
    assert found(core("new", 10, "4"), snapshot) is None  # one of its own priority stays


def test_the_node_with_the_least_important_victims() -> None:
    placed = {"a": [core("a1", 5, "4")], "b": [core("b1", 1, "2"), core("b2", 1, "2")]}
    snapshot = make_snapshot(make_node("a"), make_node("b"), placed=placed)
    assert found(core("new", 10, "4"), snapshot) == ("b", {"b1", "b2"})
    # Unless a disruption budget has nothing left to give there.
    assert found(core("new", 10, "4"), snapshot, violated="b1") == ("a", {"a1"})


def test_priority_zero_preempts_nobody_of_its_own() -> None:
    snapshot = make_snapshot(make_node("n"), placed={"n": [core("old", 0, "4")]})
    assert found(core("new", 0), snapshot) is None


def test_removing_pods_from_the_wrong_node_helps_nobody() -> None:
    snapshot = make_snapshot(make_node("n"), placed={"n": [core("old", 0, "4")]})
    pod = make_pod("new", priority=10, requests={"cpu": "1"}, nodeSelector={"gone": "x"})
    assert found(pod, snapshot) is None
    assert found(core("huge", 10, "64"), snapshot) is None


def test_why_other_nodes_cannot_be_helped_is_told() -> None:
    placed = {"n": [core("low", 0, "1"), core("high", 20, "3")]}
    snapshot = make_snapshot(make_node("n"), placed=placed)
    pod = core("new", 10, "2")
    error = schedule(pod, snapshot, random.Random(1))
    assert isinstance(error, FitError)
    chosen, unhelped = preemption.find(pod, snapshot, error, lambda _: 0)
    assert chosen is None
    assert unhelped == {"n": "Insufficient cpu"}
    assert preemption.message(error, 1, "", unhelped) == (
        "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: "
        "0/1 nodes are available: 1 Insufficient cpu."
    )


def test_spreading_rules_are_weighed_anew_for_each_removal() -> None:
    """Removing a pod of the workload makes room where its rule had left none."""
    rule = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "s"}},
    }
    placed = {
        "a": [make_pod("a1", labels={"app": "s"}), make_pod("a2")],
        "b": [make_pod("b1", priority=99, requests={"cpu": "4"})],
    }
    snapshot = make_snapshot(make_node("a"), make_node("b"), placed=placed)
    spec = {"topologySpreadConstraints": [rule], "requests": {"cpu": "1"}}
    assert found(make_pod("new", priority=10, labels={"app": "s"}, **spec), snapshot) == (
        "a", {"a1"},
    )  # fmt: skip
