"""What outlives the agent: containers run on over its end, and the next one finds its way."""

import asyncio
import random
import signal
from pathlib import Path
from typing import Any

import pytest
from realcontainerd import BUSYBOX
from realnode import NODE, RealNode, is_ready, real_node, until

from kubeapi.types import coordination_v1, core_v1
from nodeagent.cri import CriClient
from pinnace_wire import cri_pb2 as pb

pytestmark = [pytest.mark.realtime, pytest.mark.needs("root", "containerd", "busybox", "iptables")]


def sleeper(**fields: Any) -> dict[str, Any]:
    container = {"name": "a", "image": BUSYBOX, "command": ["sleep", "1000"]} | fields
    return {"containers": [container], "terminationGracePeriodSeconds": 0}


def ids(pod: core_v1.Pod) -> list[tuple[str | None, int | None]]:
    statuses = (pod.status.containerStatuses if pod.status else None) or ()
    return [(s.containerID, s.restartCount) for s in statuses]


async def renewed(node: RealNode) -> None:
    """Wait for the next renewal of the node's Lease: by then the agent is at work."""

    async def renew_time() -> str | None:
        lease = await node.client.get(coordination_v1.Lease, NODE, "kube-node-lease")
        return lease.spec.renewTime if lease.spec else None

    before = await renew_time()

    async def has_changed() -> bool:
        return await renew_time() != before

    await until(has_changed, 20)


async def test_an_agent_that_dies_leaves_its_containers_and_adopts_them(tmp_path: Path) -> None:
    async with real_node(tmp_path) as node:
        for name in ("stays", "deleted", "crashes"):
            await node.pod(name, sleeper())
        before = {name: await node.ready(name) for name in ("stays", "deleted", "crashes")}
        await node.stop_agent(signal.SIGKILL)

        # While nobody watches: one pod is deleted, one container dies, one pod comes.
        await node.client.delete(core_v1.Pod, "deleted", "default", grace_period_s=0)
        node.containerd.ctr("task", "kill", "-s", "KILL", _container(before["crashes"]))
        await node.pod("new", sleeper())
        stale = node.data_dir / "node" / "pods" / "0000-left-behind"
        (stale / "volumes").mkdir(parents=True)
        stale_log = node.data_dir / "log" / "pods" / "default_gone_0000-left-behind"
        (stale_log / "a").mkdir(parents=True)

        node.start_agent()
        await node.ready("new")
        crashed = await node.until("crashes", lambda p: ids(p)[0][1] == 1 and is_ready(p))
        assert ids(crashed) != ids(before["crashes"])
        assert ids(await node.client.get(core_v1.Pod, "stays", "default")) == ids(before["stays"])
        deleted = _container(before["deleted"])
        await until(lambda: deleted not in node.containerd.ctr("c", "ls"))
        await until(lambda: not stale.exists())
        await until(lambda: not stale_log.exists())


async def test_killed_again_and_again_the_agent_still_gets_there(tmp_path: Path) -> None:
    """kill -9 at any moment of starting and of ending pods; nothing is left, nothing runs twice."""
    moments = random.Random(11)

    async def kill_a_few_times(node: RealNode) -> None:
        for _ in range(3):
            await asyncio.sleep(moments.uniform(0.05, 0.8))
            await node.stop_agent(signal.SIGKILL)
            node.start_agent()

    async with real_node(tmp_path) as node:
        await node.pod("stays", sleeper())
        stays = await node.ready("stays")
        names = [f"pod-{number}" for number in range(5)]
        await asyncio.gather(*(node.pod(name, sleeper()) for name in names))
        await kill_a_few_times(node)
        await asyncio.gather(*(node.ready(name) for name in names))
        running = node.containerd.ctr("task", "ls").count("RUNNING")
        assert running == 2 * (len(names) + 1), "a sandbox and a container for each pod"

        await asyncio.gather(
            *(
                node.delete(name, grace)
                for name, grace in zip(names, (0, 1, None, 0, 1), strict=True)
            )
        )
        await kill_a_few_times(node)
        await asyncio.gather(*(node.gone(name) for name in names))
        await until(lambda: node.containerd.ctr("task", "ls").count("RUNNING") == 2)
        for folder in ("node/pods", "log/pods", "cni/addresses"):
            await until(lambda where=folder: len(list((node.data_dir / where).iterdir())) == 1)
        assert ids(await node.client.get(core_v1.Pod, "stays", "default")) == ids(stays)


async def test_sigterm_ends_the_agent_at_once_and_cleanly(tmp_path: Path) -> None:
    async with real_node(tmp_path) as node:
        pod = await _with_one_pod(node)
        async with asyncio.timeout(2):
            assert await node.stop_agent() == 0
        assert _container(pod) in node.containerd.ctr("task", "ls")
        assert "Traceback" not in node.agent_log.read_text()
        node.start_agent()
        await renewed(node)
        again = await node.client.get(core_v1.Pod, "one", "default")
        assert ids(again) == ids(pod)


async def test_pods_go_on_while_the_control_plane_is_away(tmp_path: Path) -> None:
    async with real_node(tmp_path) as node:
        before = await _with_one_pod(node)
        await node.stop_control_plane()
        node.containerd.ctr("task", "kill", "-s", "KILL", _container(before))
        cri = CriClient(node.containerd.endpoint)
        try:

            async def runs_again() -> bool:
                found = await cri.list_containers()
                return any(c.state == pb.CONTAINER_RUNNING for c in found)

            await until(runs_again)
        finally:
            await cri.close()
        await node.start_control_plane()
        again = await node.until("one", lambda p: ids(p)[0][1] == 1 and is_ready(p))
        assert ids(again) != ids(before)
        await node.delete("one")
        await node.gone("one")


async def test_containerd_may_restart_under_its_pods(tmp_path: Path) -> None:
    async with real_node(tmp_path) as node:
        before = await _with_one_pod(node)
        node.containerd.process.kill()

        async def node_ready() -> bool:
            found = await node.client.get(core_v1.Node, NODE)
            conditions = (found.status.conditions if found.status else None) or ()
            return any(c.type == "Ready" and c.status == "True" for c in conditions)

        async def node_unready() -> bool:
            return not await node_ready()

        await until(node_unready, 20)
        node.containerd.start_again()
        await until(node_ready, 20)
        assert ids(await node.client.get(core_v1.Pod, "one", "default")) == ids(before)
        # Exits are heard of again.
        node.containerd.ctr("task", "kill", "-s", "KILL", _container(before))
        await node.until("one", lambda p: ids(p)[0][1] == 1 and is_ready(p))


async def test_a_node_says_what_it_is(tmp_path: Path) -> None:
    async with real_node(tmp_path) as node:
        await _with_one_pod(node)
        found = await node.client.get(core_v1.Node, NODE)
        status = found.status
        assert status is not None
        assert found.metadata is not None
        assert (found.metadata.labels or {})["kubernetes.io/hostname"] == NODE
        assert set(status.capacity or ()) >= {"cpu", "memory", "ephemeral-storage", "pods"}
        conditions = {c.type: (c.status, c.reason) for c in status.conditions or ()}
        assert conditions["Ready"] == ("True", "KubeletReady")
        assert conditions["MemoryPressure"] == ("False", "KubeletHasSufficientMemory")
        assert status.nodeInfo is not None
        assert (status.nodeInfo.containerRuntimeVersion or "").startswith("containerd://")
        lease = await node.client.get(coordination_v1.Lease, NODE, "kube-node-lease")
        assert lease.spec is not None
        assert (lease.spec.holderIdentity, lease.spec.leaseDurationSeconds) == (NODE, 40)


async def test_the_agent_says_in_one_line_why_it_cannot_start(tmp_path: Path) -> None:
    async with real_node(tmp_path) as node:
        await node.stop_agent()
        node.flags.append("--ca-file=/nowhere/ca.crt")
        node.agent_log.write_text("")
        node.start_agent()
        assert node.agent is not None
        assert await asyncio.to_thread(node.agent.wait, 10) == 1
        said = node.agent_log.read_text()
        assert said == (
            "pinnace nodeagent: cannot read /nowhere/ca.crt: No such file or directory\n"
        )
        node.flags.pop()
        node.start_agent()


async def _with_one_pod(node: RealNode) -> core_v1.Pod:
    await node.pod("one", sleeper())
    return await node.ready("one")


def _container(pod: core_v1.Pod) -> str:
    return (ids(pod)[0][0] or "").removeprefix("containerd://")
