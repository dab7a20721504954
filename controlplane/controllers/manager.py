"""All controllers of one control plane: made, started once their caches are filled, and watched.

Each writes through a client of its own Kubernetes identity; they share one watch per kind.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Protocol

from base.clock import Clock
from controlplane.controllers.deployment import DeploymentController
from controlplane.controllers.endpoints import EndpointsController
from controlplane.controllers.endpointslice import EndpointSliceController
from controlplane.controllers.garbage_collector import GarbageCollector
from controlplane.controllers.namespace import NamespaceController
from controlplane.controllers.node_ipam import NodeIpamController
from controlplane.controllers.node_lifecycle import NodeLifecycleController
from controlplane.controllers.pod_gc import PodGarbageCollector
from controlplane.controllers.reconciler import ADDS, DEPTH, RETRIES, WORK_S, ControlLoop
from controlplane.controllers.recorder import DROPPED, EventRecorder
from controlplane.controllers.replicaset import ReplicaSetController
from controlplane.controllers.root_ca import RootCaPublisher
from controlplane.controllers.serviceaccount import ServiceAccountController
from controlplane.controllers.supervise import cancel, keep_running, wait_synced
from controlplane.controllers.taint_eviction import TaintEvictionController
from kubeapi.client import Client
from kubeapi.informer import SharedInformers

log = logging.getLogger(__name__)

METRICS = (ADDS, RETRIES, DEPTH, WORK_S, DROPPED)
INFORMER_USER = "system:kube-controller-manager"


class Controller(Protocol):
    """What the manager needs of a controller."""

    @property
    def loop(self) -> ControlLoop: ...


def service_account(name: str) -> str:
    """The user that a controller acts as."""
    return f"system:serviceaccount:kube-system:{name}"


class Manager:
    """`client_for(user_name)` gives a client that acts as that user."""

    def __init__(
        self,
        client_for: Callable[[str], Client],
        clock: Clock,
        rng: random.Random,
        *,
        cluster_cidr: str,
        root_ca_pem: str,
    ) -> None:
        self._client_for = client_for
        self._clock = clock
        self._rng = rng
        self._cluster_cidr = cluster_cidr
        self._root_ca_pem = root_ca_pem
        self._recorders: list[EventRecorder] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.informers = SharedInformers(client_for(INFORMER_USER), rng)
        self._controllers = self._make_controllers()

    def _make_controllers(self) -> list[Controller]:
        informers, clock, rng = self.informers, self._clock, self._rng
        client = self._client
        recorded = [
            made(client(made.name), informers, self._recorder(made.name), clock, rng)
            for made in (
                DeploymentController,
                ReplicaSetController,
                EndpointSliceController,
                EndpointsController,
                NodeLifecycleController,
            )
        ]
        plain = [
            made(client(made.name), informers, clock, rng)
            for made in (
                NamespaceController,
                ServiceAccountController,
                PodGarbageCollector,
                GarbageCollector,
            )
        ]
        # Kubernetes' taint eviction acts as the node controller, under a name of its own.
        nodes = NodeLifecycleController.name
        eviction = self._recorder(TaintEvictionController.name, user=nodes)
        special: list[Controller] = [
            RootCaPublisher(
                client(RootCaPublisher.name), informers, clock, rng, root_ca_pem=self._root_ca_pem
            ),
            NodeIpamController(
                client(nodes),
                informers,
                self._recorder("cidrAllocator", user=nodes),
                clock,
                rng,
                cluster_cidr=self._cluster_cidr,
            ),
            TaintEvictionController(client(nodes), informers, eviction, clock, rng),
        ]
        return [*recorded, *plain, *special]

    def _client(self, name: str) -> Client:
        return self._client_for(service_account(name))

    def _recorder(self, component: str, user: str = "") -> EventRecorder:
        recorder = EventRecorder(self._client(user or component), self._clock, component)
        self._recorders.append(recorder)
        return recorder

    async def start(self) -> None:
        """Start the watches; the controllers follow as soon as every cache is filled."""
        self.informers.start()
        for recorder in self._recorders:
            self._spawn("event recorder", recorder.run)
        self._tasks.append(asyncio.create_task(self._start_controllers()))

    async def _start_controllers(self) -> None:
        # A controller that acted on half a cache would take what it does not see for missing.
        await wait_synced(self.informers)
        log.info("caches filled, starting %d controllers", len(self._controllers))
        for controller in self._controllers:
            self._spawn(controller.loop.name, controller.loop.run)

    def _spawn(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        supervised = keep_running(name, run, self._clock, self._rng)
        self._tasks.append(asyncio.create_task(supervised, name=name))

    async def stop(self) -> None:
        """Nothing of ours runs any more when this returns; start a new Manager to go on."""
        await cancel(self._tasks)
        await self.informers.stop()
