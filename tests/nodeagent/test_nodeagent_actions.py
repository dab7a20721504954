"""compute_pod_actions, case by case: a pod and what the runtime has in, the actions out."""

import dataclasses
from typing import Any

import pytest
from podmaker import container, make_pod, record, runtime

from kubeapi.types import core_v1
from nodeagent.pods.actions import KillReason, PodActions, Verdicts, compute_pod_actions
from nodeagent.pods.runtime_state import PodRuntime, SandboxRecord

GONE = SandboxRecord("s0", ready=False, ips=("10.244.0.5",))
SIDECAR = container("side", restartPolicy="Always")
PROBED_SIDECAR = container("side", restartPolicy="Always", startupProbe={"exec": {}})
TWO = (container("a"), container("b"))


def policy(value: str, *containers: dict[str, Any], **fields: Any) -> core_v1.Pod:
    return make_pod(*(containers or TWO), restartPolicy=value, **fields)


def brief(actions: PodActions) -> dict[str, Any]:
    """The fields that differ from "nothing to do"."""
    plain = PodActions()
    found = {
        f.name: getattr(actions, f.name)
        for f in dataclasses.fields(actions)
        if f.name != "to_kill" and getattr(actions, f.name) != getattr(plain, f.name)
    }
    if actions.to_kill:
        found["kills"] = [k.container.id for k in actions.to_kill]
    return found


KEEP = {"sandbox_id": "s0"}


def new_sandbox(*starts: str, attempt: int = 1, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"kill_pod": True, "create_sandbox": True}
    found |= {"attempt": attempt} if attempt else {}
    found |= {"sandbox_id": "s0"} if attempt else {}
    return found | ({"to_start": starts} if starts else {}) | more


def test_a_new_pod_gets_a_sandbox_and_its_containers() -> None:
    actions = compute_pod_actions(policy("Always"), PodRuntime())
    assert brief(actions) == new_sandbox("a", "b", attempt=0)


def test_a_new_pod_with_init_containers_starts_only_the_first() -> None:
    pod = make_pod(init=(container("i"), container("j")))
    assert brief(compute_pod_actions(pod, PodRuntime())) == new_sandbox(
        attempt=0, init_to_start=("i",)
    )


def test_a_pod_that_runs_is_left_alone() -> None:
    pod = policy("Always")
    assert brief(compute_pod_actions(pod, runtime(record(pod, "a"), record(pod, "b")))) == KEEP


@pytest.mark.parametrize(
    ("restart_policy", "exit_code", "restarted"),
    [
        ("Always", 0, True),
        ("Always", 1, True),
        ("OnFailure", 0, False),
        ("OnFailure", 1, True),
        ("Never", 0, False),
        ("Never", 1, False),
    ],
)
def test_an_ended_container_restarts_by_policy(
    restart_policy: str, exit_code: int, restarted: bool
) -> None:
    pod = policy(restart_policy)
    have = runtime(record(pod, "a"), record(pod, "b", "exited", exit_code=exit_code))
    expected = KEEP | ({"to_start": ("b",)} if restarted else {})
    assert brief(compute_pod_actions(pod, have)) == expected


@pytest.mark.parametrize(
    ("restart_policy", "codes", "expected"),
    [
        ("Always", (0, 1), KEEP | {"to_start": ("a", "b")}),
        ("OnFailure", (0, 0), KEEP | {"kill_pod": True}),
        ("OnFailure", (0, 1), KEEP | {"to_start": ("b",)}),
        ("Never", (0, 1), KEEP | {"kill_pod": True}),
    ],
)
def test_a_pod_whose_containers_all_ended(
    restart_policy: str, codes: tuple[int, int], expected: dict[str, Any]
) -> None:
    pod = policy(restart_policy)
    have = runtime(
        record(pod, "a", "exited", exit_code=codes[0]),
        record(pod, "b", "exited", exit_code=codes[1]),
    )
    assert brief(compute_pod_actions(pod, have)) == expected


@pytest.mark.parametrize(
    ("sandbox", "spec", "expected"),
    [
        (GONE, {}, new_sandbox("a", "b")),
        (SandboxRecord("s0", ips=()), {}, new_sandbox("a", "b")),
        (SandboxRecord("s0", host_network=True), {}, new_sandbox("a", "b")),
        (SandboxRecord("s0", host_network=True), {"hostNetwork": True}, KEEP),
    ],
    ids=["dead", "without address", "on the host's network", "host network is right"],
)
def test_a_sandbox_that_will_not_do_is_replaced(
    sandbox: SandboxRecord, spec: dict[str, Any], expected: dict[str, Any]
) -> None:
    pod = policy("Always", **spec)
    have = runtime(record(pod, "a"), record(pod, "b"), sandbox=sandbox)
    assert brief(compute_pod_actions(pod, have)) == expected


def test_two_ready_sandboxes_are_one_too_many() -> None:
    pod = policy("Always")
    sandboxes = (SandboxRecord("s1", attempt=1, ips=("1",)), SandboxRecord("s0", ips=("2",)))
    actions = compute_pod_actions(pod, PodRuntime(sandboxes, ()))
    assert (actions.create_sandbox, actions.attempt, actions.sandbox_id) == (True, 2, "s1")


@pytest.mark.parametrize(
    ("restart_policy", "codes", "expected"),
    [
        ("OnFailure", (0, 1), new_sandbox("b")),
        ("OnFailure", (0, 0), {"kill_pod": True, "sandbox_id": "s0", "attempt": 1}),
        ("Never", (1, 1), {"kill_pod": True, "sandbox_id": "s0", "attempt": 1}),
    ],
)
def test_no_new_sandbox_for_a_pod_that_is_done(
    restart_policy: str, codes: tuple[int, int], expected: dict[str, Any]
) -> None:
    pod = policy(restart_policy)
    have = runtime(
        record(pod, "a", "exited", exit_code=codes[0]),
        record(pod, "b", "exited", exit_code=codes[1]),
        sandbox=GONE,
    )
    assert brief(compute_pod_actions(pod, have)) == expected


def test_never_tries_again_where_no_container_was_ever_made() -> None:
    assert brief(compute_pod_actions(policy("Never"), runtime(sandbox=GONE))) == new_sandbox(
        "a", "b"
    )


def test_a_changed_image_restarts_even_under_never() -> None:
    pod = policy("Never")
    old = record(pod, "a", hash="other")
    actions = compute_pod_actions(pod, runtime(old, record(pod, "b")))
    assert actions.to_start == ("a",)
    assert actions.to_kill[0].message == "Container a definition changed, will be restarted"


@pytest.mark.parametrize(
    ("restart_policy", "kind", "message", "starts"),
    [
        ("Always", "liveness", "Container a failed liveness probe, will be restarted", ("a",)),
        ("Never", "liveness", "Container a failed liveness probe", ()),
        ("OnFailure", "startup", "Container a failed startup probe, will be restarted", ("a",)),
    ],
)
def test_a_failed_probe_kills(
    restart_policy: str, kind: str, message: str, starts: tuple[str, ...]
) -> None:
    pod = policy(restart_policy)
    verdicts = Verdicts(**{kind: {"a-0": False}})
    actions = compute_pod_actions(pod, runtime(record(pod, "a"), record(pod, "b")), verdicts)
    assert [(k.message, k.reason.value) for k in actions.to_kill] == [(message, kind)]
    assert actions.to_start == starts


def test_an_unknown_container_is_killed_before_it_is_replaced() -> None:
    pod = policy("Always", container("a"))
    actions = compute_pod_actions(pod, runtime(record(pod, "a", "unknown")))
    assert actions.to_start == ("a",)
    assert actions.to_kill[0].reason is KillReason.UNKNOWN


def test_a_container_never_runs_twice() -> None:
    pod = policy("Always", container("a"))
    have = runtime(record(pod, "a", restart_count=1), record(pod, "a"))
    assert brief(compute_pod_actions(pod, have)) == KEEP | {"kills": ["a-0"]}


def test_a_pod_being_deleted_restarts_nothing() -> None:
    pod = make_pod(*TWO, meta={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    have = runtime(record(pod, "a"), record(pod, "b", "exited", exit_code=1))
    assert brief(compute_pod_actions(pod, have)) == KEEP


def test_a_container_with_its_own_restart_rules() -> None:
    rules = [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]
    first = container("a", restartPolicy="Never", restartPolicyRules=rules)
    pod = policy("Never", first, container("b"))
    for code, starts in ((42, ("a",)), (1, ())):
        have = runtime(record(pod, "a", "exited", exit_code=code), record(pod, "b"))
        assert compute_pod_actions(pod, have).to_start == starts


INITS = (container("i"), container("j"))


@pytest.mark.parametrize(
    ("restart_policy", "records", "expected"),
    [
        ("Always", [("i", "running", 0)], KEEP),
        ("Always", [("i", "exited", 0)], KEEP | {"init_to_start": ("j",)}),
        ("Always", [("i", "exited", 1)], KEEP | {"init_to_start": ("i",)}),
        ("OnFailure", [("i", "exited", 1)], KEEP | {"init_to_start": ("i",)}),
        ("Never", [("i", "exited", 1)], KEEP | {"kill_pod": True}),
        ("Always", [("i", "created", 0)], KEEP | {"init_to_start": ("i",)}),
        ("Always", [("i", "unknown", 0)], KEEP | {"init_to_start": ("i",), "kills": ["i-0"]}),
        ("Never", [("i", "unknown", 0)], KEEP | {"kill_pod": True}),
        ("Always", [("j", "exited", 0)], KEEP | {"to_start": ("a",)}),
        ("Always", [("i", "exited", 0), ("j", "exited", 3)], KEEP | {"init_to_start": ("j",)}),
        ("Always", [("i", "exited", 0), ("j", "exited", 0)], KEEP | {"to_start": ("a",)}),
        ("Always", [("i", "exited", 0), ("j", "running", 0)], KEEP),
        ("Always", [("i", "exited", 1), ("j", "exited", 0)], KEEP | {"to_start": ("a",)}),
        ("Always", [("a", "running", 0)], KEEP),
        ("Always", [("a", "exited", 1)], KEEP | {"to_start": ("a",)}),
        ("Always", [], KEEP | {"init_to_start": ("i",)}),
    ],
)
def test_init_containers_run_in_order(
    restart_policy: str, records: list[tuple[str, str, int]], expected: dict[str, Any]
) -> None:
    pod = make_pod(init=INITS, restartPolicy=restart_policy)
    have = runtime(*(record(pod, n, state, exit_code=code) for n, state, code in records))
    assert brief(compute_pod_actions(pod, have)) == expected


@pytest.mark.parametrize(
    ("sidecar", "records", "verdicts", "expected"),
    [
        (SIDECAR, [("side", "running")], {}, KEEP | {"init_to_start": ("j",)}),
        (PROBED_SIDECAR, [("side", "running")], {}, KEEP),
        (
            PROBED_SIDECAR,
            [("side", "running")],
            {"startup": {"side-0": True}},
            KEEP | {"init_to_start": ("j",)},
        ),
        (
            PROBED_SIDECAR,
            [("side", "running")],
            {"startup": {"side-0": False}},
            KEEP | {"init_to_start": ("side",), "kills": ["side-0"]},
        ),
        (SIDECAR, [("side", "exited")], {}, KEEP | {"init_to_start": ("side",)}),
        (
            SIDECAR,
            [("side", "exited"), ("a", "running")],
            {},
            KEEP | {"init_to_start": ("side",)},
        ),
        (SIDECAR, [("a", "running")], {}, KEEP | {"init_to_start": ("side",)}),
        (
            SIDECAR,
            [("side", "running"), ("j", "exited"), ("a", "running")],
            {"liveness": {"side-0": False}},
            KEEP | {"init_to_start": ("side",), "kills": ["side-0"]},
        ),
    ],
)
def test_sidecars(
    sidecar: dict[str, Any],
    records: list[tuple[str, str]],
    verdicts: dict[str, Any],
    expected: dict[str, Any],
) -> None:
    pod = make_pod(init=(sidecar, container("j")))
    have = runtime(*(record(pod, name, state) for name, state in records))
    assert brief(compute_pod_actions(pod, have, Verdicts(**verdicts))) == expected


def test_ephemeral_containers_start_once_and_at_any_time() -> None:
    debug = {"name": "debug", "image": "i", "targetContainerName": "a"}
    pod = make_pod(init=(container("i"),), ephemeralContainers=[debug])
    first = compute_pod_actions(pod, runtime(record(pod, "i")))
    assert (first.ephemeral_to_start, first.starts) == (("debug",), ("debug",))
    for state in ("running", "exited"):
        have = runtime(record(pod, "i"), record(pod, "debug", state, exit_code=1))
        assert compute_pod_actions(pod, have).starts == ()


def test_sidecars_do_not_keep_a_finished_pod_alive() -> None:
    pod = make_pod(init=(SIDECAR,), restartPolicy="Never")
    have = runtime(record(pod, "side", "exited", exit_code=1), record(pod, "a", "exited"))
    assert brief(compute_pod_actions(pod, have)) == KEEP | {"kill_pod": True}
