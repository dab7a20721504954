"""containerd itself calls the plugin: sandboxes on a node of throw-away namespaces."""

import asyncio
from pathlib import Path

import pytest

from base.clock import SystemClock
from cni.install import install
from cni.server import CniServer
from nodeagent.cri import CriClient
from pinnace_wire import cri_pb2 as pb
from tests.cni.netlab import Lab, in_thread
from tests.cni.test_cni_server import connect, ports, who_calls
from tests.nodeagent.realcontainerd import RealContainerd, real_containerd

pytestmark = [pytest.mark.realtime, pytest.mark.needs("root", "iptables", "containerd", "busybox")]


def sandbox(name: str, logs: Path) -> pb.PodSandboxConfig:
    metadata = pb.PodSandboxMetadata(name=name, uid=name, namespace="default")
    return pb.PodSandboxConfig(metadata=metadata, log_directory=str(logs))


async def network_ready(cri: CriClient) -> None:
    """containerd looks for a new configuration file when told that the folder changed."""
    async with asyncio.timeout(10):
        while True:
            conditions = {c.type: c.status for c in (await cri.status()).conditions}
            if conditions["NetworkReady"]:
                return
            await asyncio.sleep(0.02)


async def test_sandboxes_of_containerd_come_and_go(node: Lab, tmp_path: Path) -> None:
    node.outside()
    state, socket = tmp_path / "cni-state", tmp_path / "cni.sock"

    def server() -> CniServer:
        return CniServer(socket, state, SystemClock())

    async with real_containerd(tmp_path / "c") as containerd:
        cri = CriClient(containerd.endpoint)
        first = server()
        try:
            await first.start()
            await first.set_pod_cidr("10.244.3.0/24")
            install(containerd.cni_bin, containerd.cni_conf, socket, state)
            await network_ready(cri)
            made = [await cri.run_sandbox(sandbox("one", tmp_path))]
            made += await asyncio.gather(
                *(cri.run_sandbox(sandbox(f"many{n}", tmp_path)) for n in range(4))
            )
            statuses = [await cri.sandbox_status(name) for name in made]
            addresses = {status.network.ip for status in statuses}
            assert addresses == {f"10.244.3.{n}" for n in range(2, 7)}
            assert len(ports()) == 5
            # A sandbox that is asked for while the agent restarts waits for it.
            await first.stop()
            late = asyncio.create_task(cri.run_sandbox(sandbox("late", tmp_path)))
            # One that is stopped meanwhile leaves a tombstone.
            await cri.stop_sandbox(made[0])
            await cri.remove_sandbox(made[0])
            assert len(list((state / "tombstones").iterdir())) == 1
            second = server()
            await second.start()
            try:
                await second.set_pod_cidr("10.244.3.0/24")
                made[0] = await late
                assert (await cri.sandbox_status(made[0])).network.ip == "10.244.3.7"
                live = {s.id for s in await cri.list_sandboxes()}
                assert live == set(made)
                assert await second.reconcile(live) == []
                for name in made:
                    await cri.stop_sandbox(name)
                    await cri.remove_sandbox(name)
                assert ports() == set()
                assert list((state / "addresses").iterdir()) == []
            finally:
                await second.stop()
        finally:
            await first.stop()
            await cri.close()


async def test_a_sandbox_reaches_the_node_and_back(node: Lab, tmp_path: Path) -> None:
    node.outside()
    state, socket = tmp_path / "cni-state", tmp_path / "cni.sock"
    server = CniServer(socket, state, SystemClock())
    async with real_containerd(tmp_path / "c") as containerd:
        await server.start()
        cri = CriClient(containerd.endpoint)
        try:
            await server.set_pod_cidr("10.244.3.0/24")
            await _sandbox_reaches(containerd, cri, state, socket, tmp_path)
        finally:
            await cri.close()
            await server.stop()


async def _sandbox_reaches(
    containerd: RealContainerd, cri: CriClient, state: Path, socket: Path, logs: Path
) -> None:
    install(containerd.cni_bin, containerd.cni_conf, socket, state)
    await network_ready(cri)
    name = await cri.run_sandbox(sandbox("one", logs))
    lease = next(iter((state / "addresses").iterdir()))
    netns = next(part for part in lease.read_text().split('"') if part.startswith("/"))

    class Inside:
        def run(self, function, *arguments):  # type: ignore[no-untyped-def]
            from cni.server.namespaces import in_namespace

            with in_namespace(netns):
                return function(*arguments)

    async with who_calls(None) as port:
        assert await connect(Inside(), "10.244.3.1", port) == b"10.244.3.2"  # type: ignore[arg-type]
    async with who_calls(Inside()) as port:  # type: ignore[arg-type]
        assert await connect(None, "10.244.3.2", port) == b"10.244.3.1"
        assert await connect(Inside(), "127.0.0.1", port) == b"127.0.0.1"  # type: ignore[arg-type]
    await cri.stop_sandbox(name)
    await cri.remove_sandbox(name)
    assert in_thread(ports) == set()
