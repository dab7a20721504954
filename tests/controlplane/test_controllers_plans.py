"""The deciding halves of the controllers, as tables: no API, no clock, no loop."""

import random
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.clock import rfc3339
from controlplane.controllers import (
    deployment_plan,
    deployment_revision,
    endpoints,
    endpointslice_plan,
    namespace,
    node_health,
    node_ipam,
    replicaset_plan,
    service_pods,
)
from controlplane.controllers import deployment_scaling as scaling
from controlplane.controllers.garbage_collector import Owners, Verdict, judge
from controlplane.controllers.owner_graph import OwnerGraph
from controlplane.controllers.ownership import decide_claims
from controlplane.controllers.tolerations import stay_s, tolerates
from kubeapi.types import apps_v1, coordination_v1, core_v1, meta_v1
from tests.controlplane.scheduler_maker import to_object

NOW_S = 1_700_000_000.0


def deployment(
    replicas: int = 10, surge: Any = "25%", unavailable: Any = "25%", **spec: Any
) -> Any:
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    body = {
        "metadata": {"name": "d", "namespace": "default", "uid": "D", "generation": 1},
        "spec": {
            "replicas": replicas,
            "progressDeadlineSeconds": 600,
            "selector": {"matchLabels": {"app": "a"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
            "template": template("new"),
        }
        | spec,
    }
    return to_object(body, apps_v1.Deployment)


def template(image: str) -> dict[str, Any]:
    return {
        "metadata": {"labels": {"app": "a"}},
        "spec": {"containers": [{"name": "c", "image": image}]},
    }


def rs(name: str, size: int, available: int | None = None, age: int = 0, **notes: str) -> Any:
    body = {
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": name,
            "creationTimestamp": rfc3339(NOW_S - 1000 + age),
            "annotations": {
                f"deployment.kubernetes.io/{k.replace('_', '-')}": v for k, v in notes.items()
            },
        },
        "spec": {"replicas": size, "template": template(name)},
        "status": {"replicas": size, "availableReplicas": size if available is None else available},
    }
    return to_object(body, apps_v1.ReplicaSet)


# Rolling updates.


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (10, "25%", "25%", (3, 2)),  # surge is rounded up, unavailability down
        (1, "25%", "25%", (1, 0)),
        (4, 0, 1, (0, 1)),
        (4, 0, 0, (0, 1)),  # both nothing would never move
        (10, 2, "100%", (2, 10)),
        (3, 0, 9, (0, 3)),
        (0, "25%", "25%", (0, 0)),
        (200, "29%", "29%", (58, 58)),
    ],
)
def test_limits_of_a_rolling_update(
    replicas: int, surge: Any, unavailable: Any, expected: tuple[int, int]
) -> None:
    d = deployment(replicas, surge, unavailable)
    assert (scaling.max_surge(d), scaling.max_unavailable(d)) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ((10, 10), (0, 0), {"old": 8}),  # two may be missing
        ((8, 8), (5, 0), {}),  # the new ones are not there yet
        ((8, 8), (5, 5), {"old": 3}),
        ((10, 0), (3, 0), {"old": 8}),  # sick ones go first, but not past the limit
        ((10, 4), (3, 3), {"old": 5}),
        ((0, 0), (10, 10), {}),
        ((8, 10), (2, 2), {"old": 6}),  # the status lags: two of the ten are going already
    ],
)
def test_how_far_old_ones_shrink(
    old: tuple[int, int], new: tuple[int, int], expected: dict[str, int]
) -> None:
    assert scaling.shrink_old(deployment(), rs("new", *new), [rs("old", *old)]) == expected


def test_the_oldest_shrinks_first() -> None:
    old = [rs("b", 5, age=2), rs("a", 5, age=1)]
    assert scaling.shrink_old(deployment(), rs("new", 0), old) == {"a": 3}


@pytest.mark.parametrize(
    ("total", "sizes", "expected"),
    [
        (20, {"old": 8, "new": 5}, {"old": 15, "new": 10}),  # 25 in all
        (5, {"old": 8, "new": 5}, {"old": 4, "new": 3}),
        (0, {"old": 8, "new": 5}, {"old": 0, "new": 0}),
        (10, {"old": 8, "new": 5}, {"old": 8, "new": 5}),
    ],
)
def test_a_change_of_size_is_shared_out(
    total: int, sizes: dict[str, int], expected: dict[str, int]
) -> None:
    sets = [rs(n, size, age=i, max_replicas="13") for i, (n, size) in enumerate(sizes.items())]
    result = scaling.proportional(deployment(total), sets)
    assert result == expected


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 60),
    st.integers(0, 5),
    st.integers(0, 5),
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=4),
)
def test_a_step_never_breaks_the_limits(
    replicas: int, surge: int, unavailable: int, sets: list[tuple[int, int]]
) -> None:
    """Whatever sizes it starts from: pods only grow up to the limit, and what is available only
    shrinks down to the least."""
    d = deployment(replicas, surge, unavailable)
    new, *old = [rs(f"r{i}", size, min(size, up), age=i) for i, (size, up) in enumerate(sets)]
    grown = scaling.size_of_new(d, [new, *old], scaling.size(new))
    total = scaling.total_size([new, *old])
    if grown > scaling.size(new):
        assert total - scaling.size(new) + grown <= replicas + scaling.max_surge(d)
    sizes = scaling.shrink_old(d, new, old)
    up_before = scaling.total_available([new, *old])
    lost = 0
    for r in old:
        left = sizes.get(r.metadata.name, scaling.size(r))
        assert 0 <= left <= scaling.size(r)
        lost += max(0, scaling.available(r) - left)
    least = replicas - scaling.max_unavailable(d)
    assert lost == 0 or up_before - lost >= least


def decide(d: Any, sets: list[Any], **kwargs: Any) -> deployment_plan.Decision:
    return deployment_plan.decide(d, sets, kwargs.get("old_pods_run", False), NOW_S)


def test_a_new_template_makes_a_replica_set_with_the_next_revision() -> None:
    counts = {"replicas": 10, "updatedReplicas": 10, "availableReplicas": 10}
    before = to_object(counts, apps_v1.DeploymentStatus)
    settled = msgspec.structs.replace(deployment(), status=before)
    decision = decide(settled, [rs("old", 10, revision="4", desired_replicas="10")])
    made = decision.create
    assert made is not None
    assert made.spec.replicas == 3
    label = made.metadata.labels["pod-template-hash"]
    assert made.metadata.name == f"d-{label}"
    assert made.spec.selector.matchLabels == {"app": "a", "pod-template-hash": label}
    assert made.spec.template.metadata.labels == {"app": "a", "pod-template-hash": label}
    assert made.metadata.annotations["deployment.kubernetes.io/revision"] == "5"
    [update] = decision.updates
    assert (update.replica_set.metadata.name, update.event) == (
        "old", "Scaled down replica set old from 10 to 8",
    )  # fmt: skip
    told = decision.deployment
    assert told is not None
    assert told.metadata.annotations == {"deployment.kubernetes.io/revision": "5"}
    assert [c.reason for c in told.status.conditions] == [
        "NewReplicaSetCreated", "MinimumReplicasAvailable",
    ]  # fmt: skip


def test_nothing_to_do_is_nothing_done() -> None:
    first = decide(
        deployment(), [rs("new", 10, revision="1", desired_replicas="10", max_replicas="13")]
    )
    assert first.deployment is not None
    again = decide(
        first.deployment, [rs("new", 10, revision="1", desired_replicas="10", max_replicas="13")]
    )
    assert again == deployment_plan.Decision(requeue_after_s=again.requeue_after_s)


def test_a_change_of_size_in_the_middle_of_a_rollout_rolls_nothing_out() -> None:
    sets = [
        rs("old", 8, age=1, revision="1", desired_replicas="10", max_replicas="13"),
        rs("new", 5, age=2, revision="2", desired_replicas="10", max_replicas="13"),
    ]
    decision = decide(deployment(20), sets)
    assert {u.replica_set.metadata.name: u.event for u in decision.updates} == {
        "old": "Scaled up replica set old from 8 to 15",
        "new": "Scaled up replica set new from 5 to 10",
    }
    notes = decision.updates[0].replica_set.metadata.annotations
    assert notes["deployment.kubernetes.io/desired-replicas"] == "20"
    assert notes["deployment.kubernetes.io/max-replicas"] == "25"


def test_a_saturated_new_one_leaves_nothing_to_the_old() -> None:
    d = deployment(10, paused=True)
    sets = [
        rs("old", 3, age=1, revision="1", desired_replicas="10", max_replicas="13"),
        rs("new", 10, age=2, revision="2", desired_replicas="10", max_replicas="13"),
    ]
    [update] = decide(d, sets).updates
    assert update.event == "Scaled down replica set old from 3 to 0"


def test_scaling_follows_the_latest_where_nothing_runs() -> None:
    d = deployment(4, paused=True)
    sets = [rs("a", 0, age=1, revision="1"), rs("b", 0, age=2, revision="2")]
    [update] = decide(d, sets).updates
    assert update.event == "Scaled up replica set b from 0 to 4"


def test_recreate_waits_for_the_last_old_pod() -> None:
    d = deployment(strategy={"type": "Recreate"})
    assert decide(d, [rs("old", 10)]).updates[0].replica_set.spec.replicas == 0
    gone = rs("old", 0)
    assert decide(d, [gone], old_pods_run=True).create is None
    made = decide(d, [gone]).create
    assert made is not None
    assert made.spec.replicas == 10


def test_a_deleted_deployment_only_counts() -> None:
    d = deployment()
    meta = msgspec.structs.replace(d.metadata, deletionTimestamp=rfc3339(NOW_S))
    decision = decide(msgspec.structs.replace(d, metadata=meta), [rs("old", 10)])
    assert (decision.create, decision.updates, decision.deletes) == (None, [], [])


def test_clean_up_keeps_what_is_in_use() -> None:
    d = deployment(1, revisionHistoryLimit=1)
    sets = [rs(f"r{i}", 0, age=i, revision=str(i)) for i in range(1, 4)]
    sets.append(rs("new", 1, age=9, revision="5", desired_replicas="1"))
    status = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "observedGeneration": 1}
    done = msgspec.structs.replace(d, status=to_object(status, apps_v1.DeploymentStatus))
    assert [r.metadata.name for r in decide(done, sets).deletes] == ["r1", "r2"]
    sets[1] = msgspec.structs.replace(sets[1], status=apps_v1.ReplicaSetStatus(replicas=1))
    assert [r.metadata.name for r in decide(done, sets).deletes] == ["r1"]  # r2 has a pod still


def test_the_hash_is_of_the_template_alone_and_changes_with_collisions() -> None:
    a = to_object(template("x"), core_v1.PodTemplateSpec)
    labeled = template("x")
    labeled["metadata"]["labels"]["pod-template-hash"] = "abc"
    b = to_object(labeled, core_v1.PodTemplateSpec)
    assert deployment_revision.template_hash(a, None) == deployment_revision.template_hash(b, 0)
    assert deployment_revision.same_template(a, b)
    others = {deployment_revision.template_hash(a, n) for n in range(5)}
    assert len(others) == 5


def test_of_equal_templates_the_oldest_is_the_newest_revision() -> None:
    """Two may be there after a name collided; both at once would fight over the pods."""
    sets = [rs("new", 3, age=5), rs("new", 3, age=1), rs("old", 3, age=0)]
    assert deployment_revision.find_new(deployment(), sets) is sets[1]


def test_the_revision_history_has_a_limit() -> None:
    history = ",".join(str(n) for n in range(1000, 1400))
    existing = rs("new", 1, revision="7", revision_history=history)
    notes = deployment_revision.new_annotations(
        deployment(), existing, [rs("old", 0, revision="9")]
    )
    assert notes["deployment.kubernetes.io/revision"] == "10"
    kept = notes["deployment.kubernetes.io/revision-history"]
    assert len(kept) <= 2000
    assert kept.endswith(",1399,7")


# ReplicaSets.


def pod(name: str = "p", **given: Any) -> core_v1.Pod:
    """`ready` is for how many seconds; `restarts`, `cost`, `age`, `node`, `phase`."""
    conditions = []
    if (ready := given.get("ready")) is not None:
        since = rfc3339(NOW_S - ready)
        conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": since}]
    notes = (
        {"controller.kubernetes.io/pod-deletion-cost": str(given["cost"])}
        if "cost" in given
        else {}
    )
    body = {
        "metadata": {
            "name": name, "namespace": "default", "uid": f"uid-{name}", "annotations": notes,
            "labels": given.get("labels", {"app": "a"}),
            "creationTimestamp": rfc3339(NOW_S - given.get("age", 500)),
        }
        | ({"deletionTimestamp": rfc3339(NOW_S)} if given.get("deleting") else {}),
        "spec": {"nodeName": given.get("node", "n1"), "containers": []},
        "status": {
            "phase": given.get("phase", "Running"), "conditions": conditions,
            "containerStatuses": [
                {"name": "c", "restartCount": given.get("restarts", 0), "ready": True, "image": "i",
                 "imageID": "i"}
            ],
        },
    }  # fmt: skip
    found: core_v1.Pod = to_object(body, core_v1.Pod)
    return found


# Of each pair the first is given up first.
RANKED = [
    (pod("a", node=""), pod("b")),
    (pod("a", phase="Pending"), pod("b", phase="Unknown")),
    (pod("a", phase="Unknown"), pod("b")),
    (pod("a"), pod("b", ready=100)),
    (pod("a", ready=100, cost=-1), pod("b", ready=1)),
    (pod("a", ready=5), pod("b", ready=400)),
    (pod("a", ready=100, restarts=3), pod("b", ready=100, restarts=1)),
    (pod("a", ready=9, age=30), pod("b", ready=9, age=600)),
    (pod("a", ready=100), pod("b", ready=101)),  # as good as equal: by uid
]


@pytest.mark.parametrize(("first", "second"), RANKED)
def test_which_pod_is_given_up(first: core_v1.Pod, second: core_v1.Pod) -> None:
    one = apps_v1.ReplicaSet(metadata=meta_v1.ObjectMeta(), spec=apps_v1.ReplicaSetSpec(replicas=1))
    for order in ([first, second], [second, first]):
        assert list(replicaset_plan.to_delete(one, order, order, NOW_S)) == [first]


def test_the_crowded_node_gives_one_up() -> None:
    one = apps_v1.ReplicaSet(metadata=meta_v1.ObjectMeta(), spec=apps_v1.ReplicaSetSpec(replicas=1))
    lonely, crowded = pod("a", node="n1", ready=50), pod("b", node="n2", ready=50)
    others = [
        pod("x", node="n2"),
        pod("y", node="n2", deleting=True),
        pod("z", node="n1", deleting=True),
    ]
    doomed = replicaset_plan.to_delete(one, [lonely, crowded], [lonely, crowded, *others], NOW_S)
    assert list(doomed) == [crowded]


def test_one_run_makes_and_removes_so_many_at_most() -> None:
    many = apps_v1.ReplicaSet(spec=apps_v1.ReplicaSetSpec(replicas=5000))
    assert replicaset_plan.surplus(many, 0) == -500
    assert replicaset_plan.surplus(many, 4990) == -10
    none = apps_v1.ReplicaSet(spec=apps_v1.ReplicaSetSpec(replicas=0))
    assert replicaset_plan.surplus(none, 5000) == 500


POD_KINDS: list[dict[str, Any]] = [
    {}, {"ready": 100}, {"ready": 5}, {"phase": "Failed"}, {"phase": "Succeeded", "ready": 9},
    {"deleting": True, "ready": 50}, {"labels": {"app": "b"}}, {"labels": {"app": "a", "v": "2"}},
]  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(-1, len(POD_KINDS) - 1)), max_size=40))
def test_a_tally_is_what_a_recount_gives(steps: list[tuple[int, int]]) -> None:
    spec = apps_v1.ReplicaSetSpec(
        selector=meta_v1.LabelSelector(matchLabels={"app": "a"}),
        template=core_v1.PodTemplateSpec(
            metadata=meta_v1.ObjectMeta(labels={"app": "a", "v": "2"})
        ),
        minReadySeconds=10,
    )
    owner = apps_v1.ReplicaSet(metadata=meta_v1.ObjectMeta(generation=1), spec=spec)
    tally, present = replicaset_plan.Tally(owner), dict[str, dict[str, Any]]()
    for number, kind in steps:
        name = f"p{number}"
        if kind < 0:
            tally.drop(f"uid-{name}")
            present.pop(name, None)
        else:
            tally.put(pod(name, **POD_KINDS[kind]))
            present[name] = POD_KINDS[kind]
    own = [k for k in present.values() if k.get("labels", {"app": "a"})["app"] == "a"]
    alive = [k for k in own if "phase" not in k and "deleting" not in k]
    assert tally.strangers == len(present) - len(own)
    assert tally.active == len(alive)
    assert tally.ready == sum("ready" in k for k in alive)
    assert tally.fully_labeled == sum("v" in k.get("labels", ()) for k in alive)
    assert tally.terminating == sum("deleting" in k for k in own)
    waiting = any(k.get("ready") == 5 for k in alive)
    assert tally.available(10, NOW_S) == (
        sum(k.get("ready") == 100 for k in alive), 5.0 if waiting else 0.0,
    )  # fmt: skip
    assert tally.available(0, NOW_S)[0] == tally.ready


# Ownership and garbage.


def owned(uid: str, labels: dict[str, str], controller: str = "", **meta: Any) -> core_v1.Pod:
    references = [{"kind": "ReplicaSet", "name": "r", "uid": controller, "controller": True}]
    body = {
        "metadata": {"name": uid, "uid": uid, "labels": labels}
        | ({"ownerReferences": references} if controller else {})
        | meta
    }
    found: core_v1.Pod = to_object(body, core_v1.Pod)
    return found


@pytest.mark.parametrize("deleting", [False, True])
def test_claims(deleting: bool) -> None:
    meta = meta_v1.ObjectMeta(
        uid="me", deletionTimestamp="2026-01-01T00:00:00Z" if deleting else None
    )
    mine, other = {"app": "a"}, {"app": "b"}
    pods = [
        owned("own", mine, "me"), owned("stranger", other, "me"), owned("orphan", mine),
        owned("alien", mine, "you"), owned("nobody", other),
        owned("dying", mine, deletionTimestamp="2026-01-01T00:00:00Z"),
    ]  # fmt: skip
    claims = decide_claims(
        apps_v1.ReplicaSet(metadata=meta), pods, lambda p: p.metadata.labels == mine
    )
    names = [
        [p.metadata.name for p in part] for part in (claims.owned, claims.adopt, claims.release)
    ]
    assert names == ([["own"], [], []] if deleting else [["own"], ["orphan"], ["stranger"]])


A, B = (meta_v1.OwnerReference(uid=uid, name=uid, kind="X", apiVersion="v1") for uid in "AB")


@pytest.mark.parametrize(
    ("owners", "finalizers", "dependents", "expected"),
    [
        (Owners(solid=[A]), [], False, Verdict()),
        (Owners(solid=[A], dangling=[B]), [], False, Verdict(references=("B",))),
        (Owners(solid=[A], waiting=[B]), [], True, Verdict(references=("B",))),
        (Owners(dangling=[A]), [], False, Verdict(True, "Background")),
        (Owners(dangling=[A], waiting=[B]), [], False, Verdict(True, "Background")),
        (Owners(waiting=[A]), [], True, Verdict(True, "Foreground")),
        (Owners(dangling=[A]), ["orphan"], True, Verdict(True, "Orphan")),
        (Owners(dangling=[A]), ["foregroundDeletion"], True, Verdict(True, "Foreground")),
        (Owners(), [], True, Verdict()),
    ],
)
def test_what_becomes_of_an_owned_object(
    owners: Owners, finalizers: list[str], dependents: bool, expected: Verdict
) -> None:
    assert judge(owners, finalizers, has_dependents=dependents) == expected


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.sets(st.integers(0, 5), max_size=3), st.booleans()),
        max_size=30,
    )
)
def test_the_graph_links_both_ways(steps: list[tuple[int, set[int], bool]]) -> None:
    graph = OwnerGraph()
    living: dict[int, set[int]] = {}
    for number, owners, gone in steps:
        references = [
            {"uid": str(o), "kind": "Pod", "apiVersion": "v1", "name": str(o)}
            for o in sorted(owners)
        ]
        meta = {
            "name": str(number),
            "namespace": "x",
            "uid": str(number),
            "ownerReferences": references,
        }
        if gone:
            graph.gone(str(number))
            living.pop(number, None)
        else:
            graph.observe(to_object({"metadata": meta}, core_v1.Pod))
            living[number] = owners
    for number, owners in living.items():
        node = graph.get(str(number))
        if owners:
            assert node is not None
            assert set(node.owners) == {str(o) for o in owners}
    for number in range(6):
        node = graph.get(str(number))
        for uid in node.dependents if node else ():
            assert number in living[int(uid)]


# Endpoints.


def service(**spec: Any) -> core_v1.Service:
    base = {"selector": {"app": "a"}, "ports": [{"port": 80, "protocol": "TCP"}]}
    meta = {"name": "s", "namespace": "default", "uid": "S"}
    found: core_v1.Service = to_object({"metadata": meta, "spec": base | spec}, core_v1.Service)
    return found


def with_ip(ip: str, **given: Any) -> core_v1.Pod:
    found = pod(f"p-{ip}", ready=10, **given)
    status = msgspec.structs.replace(found.status, podIP=ip, podIPs=[core_v1.PodIP(ip=ip)])
    return msgspec.structs.replace(found, status=status)


NODE: core_v1.Node = to_object({"metadata": {"name": "n1"}}, core_v1.Node)


def groups(svc: core_v1.Service, *pods: core_v1.Pod) -> endpointslice_plan.Groups:
    found: endpointslice_plan.Groups = {}
    for family in endpointslice_plan.address_types(svc):
        for one in pods:
            endpoint = endpointslice_plan.endpoint_of(svc, one, NODE, family)
            if endpoint is not None:
                ports = endpointslice_plan.ports_of(svc, one)
                found.setdefault((family, ports), []).append(endpoint)
    return found


def apply(
    existing: list[Any], changes: endpointslice_plan.Changes, numbers: "list[int]"
) -> list[Any]:
    """The slices after the changes, with names and uids as a server gives them."""
    by_uid = {s.metadata.uid: s for s in existing}
    for changed in changes.update:
        by_uid[changed.metadata.uid] = changed
    for gone in changes.delete:
        del by_uid[gone.metadata.uid]
    for new in changes.create:
        numbers.append(len(numbers))
        meta = msgspec.structs.replace(new.metadata, uid=str(numbers[-1]), name=f"s-{numbers[-1]}")
        by_uid[meta.uid] = msgspec.structs.replace(new, metadata=meta)
    return list(by_uid.values())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sets(st.integers(1, 250), max_size=250), min_size=1, max_size=5))
def test_slices_hold_every_endpoint_once(rounds: list[set[int]]) -> None:
    svc, existing, numbers = service(), list[Any](), list[int]()
    for wanted in rounds:
        made = groups(svc, *(with_ip(f"10.0.0.{n}") for n in sorted(wanted)))
        changes = endpointslice_plan.decide(svc, made, existing, "t1")
        existing = apply(existing, changes, numbers)
        held = Counter(e.addresses[0] for s in existing for e in s.endpoints or ())
        assert held == Counter(f"10.0.0.{n}" for n in wanted)
        assert all(len(s.endpoints or ()) <= 100 for s in existing)
        assert existing  # never none at all
        again = endpointslice_plan.decide(svc, made, existing, "t2")
        assert again == endpointslice_plan.Changes()


def test_a_slice_is_filled_up_and_not_over() -> None:
    svc, numbers = service(), list[int]()
    pods = [with_ip(f"10.0.{n >> 8}.{n & 255}") for n in range(1, 251)]
    existing: list[Any] = []
    for count in (150, 190, 250, 120, 250):
        made = groups(svc, *pods[:count])
        existing = apply(existing, endpointslice_plan.decide(svc, made, existing, "t"), numbers)
        sizes = [len(s.endpoints) for s in existing]
        assert sum(sizes) == count
        assert max(sizes) <= 100


def test_one_new_endpoint_is_one_write() -> None:
    svc = service()
    pods = [with_ip(f"10.0.{n >> 8}.{n & 255}") for n in range(1, 152)]
    numbers: list[int] = []
    existing = apply([], endpointslice_plan.decide(svc, groups(svc, *pods[:150]), [], "t"), numbers)
    changes = endpointslice_plan.decide(svc, groups(svc, *pods), existing, "t")
    assert (len(changes.create), len(changes.update), len(changes.delete)) == (0, 1, 0)
    changes = endpointslice_plan.decide(svc, groups(svc, *pods[:149]), existing, "t")
    assert (len(changes.create), len(changes.update), len(changes.delete)) == (0, 1, 0)


def test_both_families_have_slices_of_their_own() -> None:
    svc = service(ipFamilies=["IPv4", "IPv6"])
    both = with_ip("10.0.0.1")
    ips = [core_v1.PodIP(ip="10.0.0.1"), core_v1.PodIP(ip="fd00::1")]
    both = msgspec.structs.replace(both, status=msgspec.structs.replace(both.status, podIPs=ips))
    made = endpointslice_plan.decide(svc, groups(svc, both), [], "t").create
    assert [(s.addressType, s.endpoints[0].addresses) for s in made] == [
        ("IPv4", ["10.0.0.1"]), ("IPv6", ["fd00::1"]),
    ]  # fmt: skip
    only = service()
    kept = [
        msgspec.structs.replace(s, metadata=msgspec.structs.replace(s.metadata, uid=str(i)))
        for i, s in enumerate(made)
    ]
    changes = endpointslice_plan.decide(only, groups(only, both), kept, "t")
    assert [s.addressType for s in changes.delete] == ["IPv6"]


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        ({"port": 80}, 80),
        ({"port": 80, "targetPort": 8080}, 8080),
        ({"port": 80, "targetPort": "http", "protocol": "TCP"}, 8081),
        ({"port": 80, "targetPort": "http", "protocol": "UDP"}, None),
        ({"port": 80, "targetPort": "side", "protocol": "TCP"}, 9000),
        ({"port": 80, "targetPort": "none", "protocol": "TCP"}, None),
    ],
)
def test_target_ports(port: dict[str, Any], expected: int | None) -> None:
    side = {"name": "s", "restartPolicy": "Always",
            "ports": [{"name": "side", "containerPort": 9000, "protocol": "TCP"}]}  # fmt: skip
    main = {"name": "c", "ports": [{"name": "http", "containerPort": 8081, "protocol": "TCP"}]}
    one = to_object({"spec": {"containers": [main], "initContainers": [side]}}, core_v1.Pod)
    assert service_pods.find_port(one, to_object(port, core_v1.ServicePort)) == expected


def test_endpoints_are_at_most_a_thousand_ready_ones_first() -> None:
    svc = service()
    pods = [with_ip(f"10.{n >> 8}.{n & 255}.1") for n in range(1005)]
    found, cut = endpoints.truncated(endpoints.subsets(svc, pods))
    assert cut
    assert sum(len(s.addresses or ()) for s in found) == 1000
    few, cut = endpoints.truncated(endpoints.subsets(svc, pods[:3]))
    assert not cut
    assert len(few[0].addresses or ()) == 3
    assert endpoints.subsets(svc, random.Random(1).sample(pods, 1005)) == endpoints.subsets(
        svc, pods
    )


# Namespaces and nodes.


def test_conditions_of_a_namespace_that_goes() -> None:
    clean = namespace.conditions(None, namespace.Remains(), NOW_S)
    assert {(c.type, c.status, c.reason) for c in clean} == {
        ("NamespaceDeletionDiscoveryFailure", "False", "ResourcesDiscovered"),
        ("NamespaceDeletionGroupVersionParsingFailure", "False", "ParsedGroupVersions"),
        ("NamespaceDeletionContentFailure", "False", "ContentDeleted"),
        ("NamespaceContentRemaining", "False", "ContentRemoved"),
        ("NamespaceFinalizersRemaining", "False", "ContentHasNoFinalizers"),
    }
    later = namespace.conditions(clean, namespace.Remains(), NOW_S + 60)
    assert later == clean  # times move only with the status
    failed = namespace.Remains(failures=["pods.: forbidden"])
    by_type = {c.type: c for c in namespace.conditions(clean, failed, NOW_S + 60)}
    told = by_type["NamespaceDeletionContentFailure"]
    assert (told.status, told.reason) == ("True", "ContentDeletionFailed")
    assert told.message == "Failed to delete all resource types, 1 remaining: pods.: forbidden"


def test_every_namespaced_kind_is_emptied_pods_first() -> None:
    kinds = [(info.group, info.resource) for info in namespace.deletable_kinds()]
    assert kinds[0] == ("", "pods")
    assert kinds[-1] == ("", "events")
    assert {("", "configmaps"), ("apps", "deployments"), ("batch", "jobs")} < set(kinds)
    assert len(kinds) == len(set(kinds)) > 25


@pytest.mark.parametrize(
    ("cluster", "taken", "expected"),
    [
        ("10.244.0.0/16", [], "10.244.0.0/24"),
        ("10.244.0.0/16", ["10.244.0.0/24", "10.244.2.0/24"], "10.244.1.0/24"),
        ("10.244.0.0/16", ["10.244.0.0/22"], "10.244.4.0/24"),
        ("10.0.0.0/24", ["10.0.0.0/24"], None),
        ("fd00::/56", [], "fd00::/64"),
    ],
)
def test_ranges_of_nodes(cluster: str, taken: list[str], expected: str | None) -> None:
    assert node_ipam.choose(cluster, taken) == expected


def test_a_cluster_range_that_holds_no_node_is_refused() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/25 holds no /24 for a node"):
        node_ipam.node_ranges("10.0.0.0/25")


def node(ready: str | None = "True", beat: str = "t1", **spec: Any) -> core_v1.Node:
    conditions = [
        {"type": "Ready", "status": ready, "lastHeartbeatTime": f"2026-01-01T00:00:0{beat[1]}Z"}
    ]
    body = {
        "metadata": {"name": "n", "creationTimestamp": rfc3339(NOW_S)},
        "spec": spec,
        "status": {"conditions": conditions if ready is not None else []},
    }
    found: core_v1.Node = to_object(body, core_v1.Node)
    return found


def lease(second: int) -> coordination_v1.Lease:
    spec = coordination_v1.LeaseSpec(renewTime=f"2026-01-01T00:00:0{second}.000000Z")
    return coordination_v1.Lease(spec=spec)


def test_signs_of_life() -> None:
    first = node_health.observe(node(), lease(1), None, 100.0)
    assert node_health.observe(node(), lease(1), first, 120.0) is first
    assert node_health.observe(node(), lease(2), first, 120.0).seen_s == 120.0
    assert node_health.observe(node(beat="t2"), lease(1), first, 120.0).seen_s == 120.0
    # Our own "Unknown" is no sign of life.
    assert node_health.observe(node("Unknown"), lease(1), first, 120.0) is first
    assert node_health.silent_in_s(node(), first, 120.0) == 20.0
    assert node_health.silent_in_s(node(None), first, 120.0) == 40.0  # a new node has a minute


def well(count: int, sick: int) -> list[core_v1.Node]:
    return [node("Unknown") for _ in range(sick)] + [node() for _ in range(count - sick)]


@pytest.mark.parametrize(
    ("zone", "others", "expected"),
    [
        (well(3, 1), [], 0.1),
        (well(1, 1), [], None),  # nobody is well: more likely we are cut off
        (well(3, 3), well(3, 0), 0.1),  # this zone is lost, others are not
        (well(10, 6), [], 0.0),  # a small zone, mostly sick: wait and see
        (well(60, 40), [], 0.01),
    ],
)
def test_the_pace_of_evictions(zone: list[Any], others: list[Any], expected: float | None) -> None:
    assert node_health.evictions_per_s(zone, zone + others) == expected


def test_taints_follow_conditions_and_leave_others_alone() -> None:
    own = {"key": "dedicated", "value": "db", "effect": "NoExecute"}
    stale = {
        "key": "node.kubernetes.io/not-ready",
        "effect": "NoSchedule",
        "timeAdded": "2026-01-01T00:00:00Z",
    }
    sick = node("Unknown", taints=[own, stale], unschedulable=True)
    keys = [(t.key, t.effect) for t in node_health.wanted_taints(sick, evict=True, wall_s=NOW_S)]
    assert keys == [
        ("dedicated", "NoExecute"),
        ("node.kubernetes.io/unreachable", "NoExecute"),
        ("node.kubernetes.io/unreachable", "NoSchedule"),
        ("node.kubernetes.io/unschedulable", "NoSchedule"),
    ]
    kept = node_health.wanted_taints(node("False", taints=[stale]), evict=False, wall_s=NOW_S)
    assert kept == [to_object(stale, core_v1.Taint)]  # with the time it was added
    assert node_health.wanted_taints(node(taints=[stale]), evict=False, wall_s=NOW_S) == []


TAINT = core_v1.Taint(key="k", value="v", effect="NoExecute")


@pytest.mark.parametrize(
    ("toleration", "expected"),
    [
        ({"key": "k", "operator": "Equal", "value": "v"}, True),
        ({"key": "k", "value": "v"}, True),
        ({"key": "k", "value": "w"}, False),
        ({"key": "k", "operator": "Exists"}, True),
        ({"operator": "Exists"}, True),
        ({"key": "x", "operator": "Exists"}, False),
        ({"key": "k", "operator": "Exists", "effect": "NoSchedule"}, False),
    ],
)
def test_tolerations(toleration: dict[str, str], expected: bool) -> None:
    assert tolerates(core_v1.Toleration(**toleration), TAINT) is expected


def test_the_shortest_patience_counts_and_one_intolerance_ends_it() -> None:
    other = core_v1.Taint(key="o", effect="NoExecute")

    def patience(key: str, seconds: int | None) -> core_v1.Toleration:
        return core_v1.Toleration(key=key, operator="Exists", tolerationSeconds=seconds)

    assert stay_s([TAINT], [patience("k", None)]) is None
    assert stay_s([TAINT, other], [patience("k", 30), patience("o", 10)]) == 10
    assert stay_s([TAINT, other], [patience("k", 30)]) == 0
    assert stay_s([TAINT], [patience("k", -5)]) == 0
