"""A cluster without machines: the real API in process, the real controllers and scheduler, and
nodes whose agent is played by a few lines that set pods running and confirm deletions."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from base.clock import rfc3339, rfc3339_micro
from controlplane.controllers.manager import INFORMER_USER, Manager
from controlplane.scheduler.scheduler import Scheduler
from kubeapi.errors import StatusError
from kubeapi.types import core_v1
from tests.controlplane.inprocess import InProcess, running_api

ROOT_CA = "-----BEGIN CERTIFICATE-----\nof a test\n-----END CERTIFICATE-----\n"
SCHEDULER_USER = "system:kube-scheduler"
CONDITIONS = ("Initialized", "ContainersReady", "Ready")


class LaggingClient:
    """Shows every change only after `lag_s`: the caches of what reads through it are behind."""

    def __init__(self, client: Any, lag_s: float) -> None:
        self._client = client
        self._lag_s = lag_s

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def watch(self, kind: type[Any], namespace: str = "", **options: str) -> Any:
        events: asyncio.Queue[tuple[float, Any]] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        async def read() -> None:
            async for event in self._client.watch(kind, namespace, **options):
                events.put_nowait((loop.time() + self._lag_s, event))

        reader = asyncio.create_task(read())
        try:
            while True:
                due_s, event = await events.get()
                await asyncio.sleep(due_s - loop.time())
                yield event
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)


class World:
    """The API (`api`) and what runs on it."""

    def __init__(self, api: InProcess) -> None:
        self.api = api
        self.clock = api.clock
        self.manager: Manager | None = None
        self.scheduler: Scheduler | None = None
        self.beating: set[str] = set()
        self._agents: list[asyncio.Task[None]] = []
        self._next_ip = 0

    async def start(
        self, *, scheduler: bool = True, agent: bool = True, seed: int = 1, lag_s: float = 0.0
    ) -> None:
        def client_for(user: str) -> Any:
            client = self.api.client(user)
            return LaggingClient(client, lag_s) if lag_s and user == INFORMER_USER else client

        self.manager = Manager(
            client_for,
            self.clock,
            random.Random(seed),
            cluster_cidr="10.244.0.0/16",
            root_ca_pem=ROOT_CA,
        )
        await self.manager.start()
        if scheduler:
            client = self.api.client(SCHEDULER_USER)
            self.scheduler = Scheduler(client, self.clock, random.Random(seed))
            await self.scheduler.start()
        if agent:
            self._agents = [
                asyncio.create_task(run()) for run in (self._play_agent, self._renew_leases)
            ]

    async def stop(self) -> None:
        for part in (self.scheduler, self.manager):
            if part is not None:
                await part.stop()
        self.scheduler = self.manager = None
        for task in self._agents:
            task.cancel()
        await asyncio.gather(*self._agents, return_exceptions=True)
        self._agents.clear()

    async def add_node(self, name: str, labels: dict[str, str] | None = None, **size: str) -> None:
        amounts = {"cpu": "4", "memory": "8Gi", "pods": "110"} | size
        labels = {"kubernetes.io/hostname": name} | (labels or {})
        await self.api.create("v1/nodes", {"metadata": {"name": name, "labels": labels}})
        await self.beat(name, capacity=amounts, allocatable=amounts)
        self.beating.add(name)

    async def beat(self, name: str, ready: str = "True", **status: Any) -> None:
        """What a node's agent tells with a heartbeat."""
        now = rfc3339(self.clock.now_s())
        conditions = [
            {"type": kind, "status": value, "lastHeartbeatTime": now, "lastTransitionTime": now,
             "reason": "Test"}
            for kind, value in (
                ("Ready", ready), ("MemoryPressure", "False"), ("DiskPressure", "False"),
                ("PIDPressure", "False"),
            )
        ]  # fmt: skip
        await self.api.patch(
            "v1/nodes", name, {"status": {"conditions": conditions} | status}, subresource="status"
        )

    async def _renew_leases(self) -> None:
        while True:
            for name in sorted(self.beating):
                await self.renew_lease(name)
            await asyncio.sleep(10)

    async def renew_lease(self, name: str) -> None:
        body = {
            "metadata": {"name": name},
            "spec": {"holderIdentity": name, "renewTime": rfc3339_micro(self.clock.now_s())},
        }
        where = {"namespace": "kube-node-lease"}
        try:
            await self.api.patch("coordination.k8s.io/v1/leases", name, body, **where)
        except StatusError:
            await self.api.create("coordination.k8s.io/v1/leases", body, **where)

    async def until(self, test: Callable[[], Any], limit_s: float = 60.0) -> Any:
        """Wait (on virtual time) for an awaitable test to answer something true."""
        waited_s = 0.0
        while True:
            result = await test()
            if result:
                return result
            if waited_s >= limit_s:
                raise AssertionError(f"not within {limit_s} s: {test}")
            await asyncio.sleep(0.05)
            waited_s += 0.05

    async def events(self, **fields: str) -> list[dict[str, Any]]:
        """Events whose fields are as asked for; `about` is the name of the object."""
        about = fields.pop("about", None)
        return [
            event
            for event in await self.api.list("v1/events")
            if about in (None, event["involvedObject"]["name"])
            and all(event.get(key) == value for key, value in fields.items())
        ]

    async def pods(self, namespace: str = "default", **labels: str) -> list[dict[str, Any]]:
        selector = ",".join(f"{k}={v}" for k, v in labels.items())
        return await self.api.list("v1/pods", namespace=namespace, label_selector=selector)

    # The agent of every node.

    async def _play_agent(self) -> None:
        client = self.api.client()
        listed = await client.list(core_v1.Pod)
        for pod in listed.items:
            await self._play(pod)
        since = listed.resource_version
        async for event in client.watch(core_v1.Pod, resource_version=since):
            if event.type in ("ADDED", "MODIFIED"):
                await self._play(event.object)

    async def _play(self, pod: core_v1.Pod) -> None:
        meta = pod.metadata
        assert meta is not None
        name, namespace = meta.name or "", meta.namespace or ""
        if not (pod.spec and pod.spec.nodeName):
            return
        try:
            if meta.deletionTimestamp:
                await self.api.delete("v1/pods", name, namespace=namespace, grace_period_s=0)
            elif (pod.status.phase if pod.status else "") == "Pending":
                await self.run_pod(name, namespace)
        except StatusError as error:
            if error.code not in (404, 409):
                raise

    async def run_pod(self, name: str, namespace: str = "default") -> None:
        self._next_ip += 1
        ip = f"10.244.{self._next_ip >> 8}.{self._next_ip & 255}"
        now = rfc3339(self.clock.now_s())
        status = {
            "phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "startTime": now,
            "conditions": [
                {"type": kind, "status": "True", "lastTransitionTime": now} for kind in CONDITIONS
            ],
        }  # fmt: skip
        await self.api.patch(
            "v1/pods",
            name,
            {"status": status},
            "application/strategic-merge-patch+json",
            subresource="status",
            namespace=namespace,
        )


@asynccontextmanager
async def running_world(directory: Path, **parts: Any) -> AsyncIterator[World]:
    async with running_api(directory / "store") as api:
        world = World(api)
        await world.start(**parts)
        try:
            yield world
        finally:
            await world.stop()


def deployment(name: str, replicas: int = 2, **spec: Any) -> dict[str, Any]:
    image = spec.pop("image", "example/app:1")
    labels = {"app": name}
    return {
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "c", "image": image}]},
            },
        }
        | spec,
    }
