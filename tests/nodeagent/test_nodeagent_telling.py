"""What the agent tells the API: status patches, events, and the node's own status."""

import asyncio
import random
from typing import Any

import msgspec
import pytest
from podmaker import container, make_pod, record

from base.clock import LoopClock
from kubeapi.errors import StatusError, not_found
from kubeapi.types import core_v1
from nodeagent.events import BURST, EventRecorder
from nodeagent.node.facts import MachineFacts, Pressure, huge_pages, os_image, parse_meminfo
from nodeagent.node.status import NodeFacts, allocatable, build_status, capacity
from nodeagent.pods.actions import Kill, KillReason
from nodeagent.pods.killing import container_grace_s, deletion_grace_s
from nodeagent.pods.status_writer import StatusWriter, status_patch
from pinnace_wire import cri_pb2 as pb

READY = {"type": "Ready", "status": "True"}
UNREADY = {"type": "Ready", "status": "False", "reason": "R", "message": "m"}


def status(**fields: Any) -> core_v1.PodStatus:
    return msgspec.convert(fields, core_v1.PodStatus)


def test_nothing_is_sent_where_nothing_changed() -> None:
    pod = make_pod(status={"phase": "Running", "conditions": [READY]})
    assert status_patch(pod, status(phase="Running", conditions=[READY])) is None


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ({}, {"phase": "Pending"}, {"phase": "Pending"}),
        ({"reason": "x"}, {}, {"reason": None}),
        (
            {"podIPs": [{"ip": "1"}]},
            {"podIPs": [{"ip": "2"}]},
            {"podIPs": [{"ip": "2"}, {"$patch": "replace"}]},
        ),
        (
            {"conditions": [UNREADY]},
            {"conditions": [READY]},
            {"conditions": [READY | {"reason": None, "message": None}]},
        ),
    ],
)
def test_only_what_changed_is_sent(
    old: dict[str, Any], new: dict[str, Any], changed: dict[str, Any]
) -> None:
    patch = status_patch(make_pod(status=old), status(**new))
    assert patch == {"metadata": {"uid": "uid-p"}, "status": changed}


class Api:
    """A client that remembers what it was asked, answers in 1 s, and fails when told to."""

    def __init__(self, *failures: StatusError) -> None:
        self.asked: list[tuple[str, Any]] = []
        self._failures = list(failures)

    async def patch(self, kind: type[Any], name: str, patch: Any, **_: Any) -> Any:
        await self._answer(("patch", patch))
        stored = patch.get("status", {})
        return make_pod(meta={"resourceVersion": str(len(self.asked))}, status=stored)

    async def create(self, obj: Any, **_: Any) -> Any:
        await self._answer(("create", obj))
        return obj

    async def _answer(self, asked: tuple[str, Any]) -> None:
        await asyncio.sleep(1.0)
        self.asked.append(asked)
        if self._failures:
            raise self._failures.pop(0)


def phases(api: Api) -> list[str]:
    return [patch["status"]["phase"] for _, patch in api.asked]


async def test_statuses_that_come_while_one_is_written_are_joined() -> None:
    api = Api()
    writer = StatusWriter(api, LoopClock(), random.Random(1))  # type: ignore[arg-type]
    pod = make_pod(meta={"resourceVersion": "0"})
    writer.submit(pod, status(phase="Pending"))
    await asyncio.sleep(0.1)
    for phase in ("Running", "Failed", "Succeeded"):
        writer.submit(pod, status(phase=phase))
    await writer.flushed("uid-p")
    assert phases(api) == ["Pending", "Succeeded"]
    writer.submit(pod, status(phase="Succeeded"))
    assert len(api.asked) == 2


async def test_a_status_is_written_again_until_the_api_takes_it() -> None:
    away = StatusError(503, "ServiceUnavailable", "away")
    api = Api(away, away)
    writer = StatusWriter(api, LoopClock(), random.Random(1))  # type: ignore[arg-type]
    writer.submit(make_pod(), status(phase="Running"))
    await writer.flushed("uid-p")
    assert phases(api) == ["Running"] * 3


async def test_a_conflict_is_tried_again() -> None:
    api = Api(StatusError(409, "Conflict", "somebody else wrote"))
    writer = StatusWriter(api, LoopClock(), random.Random(1))  # type: ignore[arg-type]
    writer.submit(make_pod(), status(phase="Running"))
    await writer.flushed("uid-p")
    assert phases(api) == ["Running", "Running"]


async def test_a_pod_that_is_gone_gets_no_status() -> None:
    api = Api(not_found("pods", "p"))
    writer = StatusWriter(api, LoopClock(), random.Random(1))  # type: ignore[arg-type]
    writer.submit(make_pod(), status(phase="Running"))
    await writer.flushed("uid-p")
    assert len(api.asked) == 1


async def test_equal_events_are_counted_and_none_floods() -> None:
    api = Api()
    recorder = EventRecorder(api, "node", LoopClock())  # type: ignore[arg-type]
    sending = asyncio.create_task(recorder.run())
    for _ in range(3):
        recorder.pod(make_pod(), "Warning", "BackOff", "again", "a")
    recorder.pod(make_pod(), "Normal", "Started", "Container started", "a")
    await asyncio.sleep(10)
    verbs = [(verb, obj["count"] if verb == "patch" else obj.reason) for verb, obj in api.asked]
    assert verbs == [("create", "BackOff"), ("patch", 2), ("patch", 3), ("create", "Started")]
    first = api.asked[0][1]
    assert first.involvedObject.fieldPath == "spec.containers{a}"
    assert first.source.component == "kubelet"
    for number in range(100):
        recorder.pod(make_pod(), "Normal", "Noise", str(number))
    await asyncio.sleep(200)
    assert len(api.asked) == BURST
    sending.cancel()


@pytest.mark.parametrize(
    ("spec", "meta", "reason", "grace_s"),
    [
        ({}, {}, None, 30),
        ({"terminationGracePeriodSeconds": 5}, {}, None, 5),
        ({"terminationGracePeriodSeconds": 5}, {}, KillReason.LIVENESS, 7),
        ({}, {"deletionGracePeriodSeconds": 3}, KillReason.LIVENESS, 3),
    ],
)
def test_grace(
    spec: dict[str, Any], meta: dict[str, Any], reason: KillReason | None, grace_s: int
) -> None:
    probe = {"terminationGracePeriodSeconds": 7}
    pod = make_pod(container(livenessProbe=probe), meta=meta, **spec)
    kill = Kill(record(pod), "", reason) if reason is not None else None
    assert container_grace_s(pod, record(pod), kill) == grace_s


def test_a_deletion_gives_at_least_a_second() -> None:
    assert deletion_grace_s(make_pod(meta={"deletionGracePeriodSeconds": 0})) == 1
    assert deletion_grace_s(make_pod(terminationGracePeriodSeconds=0)) == 1
    assert deletion_grace_s(make_pod()) == 30


MACHINE = MachineFacts(
    architecture="amd64",
    kernel="6.1",
    os_image="Debian",
    machine_id="m",
    system_uuid="",
    boot_id="b",
    cpus=2,
    memory_bytes=4 << 30,
    disk_bytes=100 << 30,
    swap_bytes=0,
    huge_pages={"hugepages-2Mi": 8 << 20},
)
PLENTY = Pressure(2 << 30, 50 << 30, 100 << 30, 900, 1000, 100, 32768)


def node_facts(**fields: Any) -> NodeFacts:
    given: dict[str, Any] = {
        "name": "n",
        "ips": ("192.0.2.7",),
        "machine": MACHINE,
        "pressure": PLENTY,
        "max_pods": 110,
        "runtime_version": "containerd://1.6.20",
    }
    return NodeFacts(**(given | fields))


def node_conditions(found: core_v1.NodeStatus) -> dict[str, tuple[str | None, str | None]]:
    return {c.type or "": (c.status, c.reason) for c in found.conditions or ()}


def test_a_node_that_is_well() -> None:
    found = build_status(node_facts(), core_v1.NodeStatus(), 1_767_225_600.0)
    assert node_conditions(found) == {
        "MemoryPressure": ("False", "KubeletHasSufficientMemory"),
        "DiskPressure": ("False", "KubeletHasNoDiskPressure"),
        "PIDPressure": ("False", "KubeletHasSufficientPID"),
        "Ready": ("True", "KubeletReady"),
    }
    assert [(a.type, a.address) for a in found.addresses or ()] == [
        ("InternalIP", "192.0.2.7"),
        ("Hostname", "n"),
    ]
    assert found.nodeInfo is not None
    assert found.nodeInfo.kubeletVersion == "v1.36.2+pinnace.0.1.0"


def test_a_node_in_need() -> None:
    pressure = Pressure(1 << 20, 5 << 30, 100 << 30, 900, 1000, 32_000, 32_768)
    problem = "container runtime network not ready: NetworkReady=false"
    facts = node_facts(pressure=pressure, problems=(problem,))
    found = build_status(facts, core_v1.NodeStatus(), 0.0)
    assert node_conditions(found) == {
        "MemoryPressure": ("True", "KubeletHasInsufficientMemory"),
        "DiskPressure": ("True", "KubeletHasDiskPressure"),
        "PIDPressure": ("True", "KubeletHasInsufficientPID"),
        "Ready": ("False", "KubeletNotReady"),
    }
    assert (found.conditions or [])[-1].message == problem


def test_heartbeats_move_and_transitions_stay() -> None:
    first = build_status(node_facts(), core_v1.NodeStatus(), 0.0)
    second = build_status(node_facts(), first, 60.0)
    ready = (second.conditions or [])[-1]
    assert ready.lastHeartbeatTime == "1970-01-01T00:01:00Z"
    assert ready.lastTransitionTime == "1970-01-01T00:00:00Z"


def test_what_a_node_has_and_what_it_gives_away() -> None:
    assert capacity(MACHINE, 110) == {
        "cpu": "2",
        "memory": str(4 << 20) + "Ki",
        "ephemeral-storage": str(100 << 20) + "Ki",
        "pods": "110",
        "hugepages-2Mi": str(8 << 20),
    }
    assert allocatable(MACHINE, 110)["memory"] == f"{(4 << 20) - (108 << 10)}Ki"


def test_images_are_listed_by_size() -> None:
    images = tuple(pb.Image(id=f"i{n}", size=n, repo_tags=[f"t{n}"]) for n in range(60))
    found = build_status(node_facts(images=images), core_v1.NodeStatus(), 0.0).images or []
    assert (len(found), found[0].names, found[0].sizeBytes) == (50, ["t59"], 59)


def test_facts_are_read(tmp_path: Any) -> None:
    assert parse_meminfo("MemTotal:  4 kB\nHugePages_Total:  3\n") == {"MemTotal": 4096}
    assert os_image('NAME="x"\nPRETTY_NAME="Debian 12"\n') == "Debian 12"
    pages = tmp_path / "hugepages-1048576kB"
    pages.mkdir()
    (pages / "nr_hugepages").write_text("2\n")
    assert huge_pages(tmp_path) == {"hugepages-1Gi": 2 << 30}
