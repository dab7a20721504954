"""The agent as a whole: its parts made, joined, started and stopped.

Everything runs on one event loop. Stopping leaves containers running: the next agent finds them
by their labels.
"""

import asyncio
import contextlib
import json
import logging
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

from base.clock import Clock
from cni.server import CniServer
from kubeapi.grpc_client import GrpcClient, open_channel
from kubeapi.informer import Informer
from kubeapi.types import core_v1
from nodeagent.cgroups import CgroupError, CgroupManager, find_hierarchies
from nodeagent.cri import CriClient, RuntimeServiceError
from nodeagent.events import EventRecorder
from nodeagent.flags import Flags
from nodeagent.logrotation import LogRotator
from nodeagent.lookup import PodLookup
from nodeagent.node.facts import default_route_ip, read_machine, read_pressure
from nodeagent.node.registrar import Registrar
from nodeagent.node.runtime_health import RuntimeHealth, wait_for_runtime
from nodeagent.node.status import NodeFacts, allocatable
from nodeagent.podnetwork import PodNetwork
from nodeagent.pods import fields
from nodeagent.pods.container_config import Machine
from nodeagent.pods.dns import ClusterDns
from nodeagent.pods.manager import PodManager
from nodeagent.pods.settings import Settings
from nodeagent.runtime_events import RuntimeEvents
from nodeagent.runtime_reader import RuntimeReader
from nodeagent.streams import SessionServer
from nodeagent.tunnel import Tunnel
from nodeagent.wiring import Basics, make_tools
from pinnace_wire import cri_pb2 as pb

log = logging.getLogger(__name__)

RUNTIME_WAIT_S = 60.0
RECONCILE_PERIOD_S = 300.0
IMAGES_PERIOD_S = 60.0
NETWORK_RETRY_S = 5.0


class StartError(Exception):
    """The agent cannot start; one line that says what to do."""


class Agent:
    """Made by `start`; `run` returns only by failure or cancellation."""

    def __init__(self, flags: Flags, clock: Clock, rng: random.Random) -> None:
        self._flags = flags
        self._clock = clock
        self._rng = rng

    async def run(self) -> None:
        """Join the parts and run them until cancelled. Raises StartError before that."""
        flags, clock, rng = self._flags, self._clock, self._rng
        _require_files(flags)
        cgroups = _prepare_cgroups(flags)
        for folder in (flags.root_dir, flags.pod_logs_dir):
            _make_folder(folder)
        async with contextlib.AsyncExitStack() as stack:
            cri = CriClient(flags.runtime_endpoint)
            stack.push_async_callback(cri.close)
            runtime_version = await _meet_runtime(cri, clock)
            channel = open_channel(flags.server, flags.ca_file, flags.cert_file, flags.key_file)
            client = GrpcClient(channel)
            stack.push_async_callback(client.close)
            parts = _Parts(flags, clock, rng, client, cri, cgroups, runtime_version)
            await parts.start_network(stack)
            stack.push_async_callback(parts.close)
            lookup = PodLookup(parts.manager, parts.reader, cri)
            sessions = SessionServer(lookup, clock)
            tunnel = Tunnel(channel, flags.node_name, sessions, clock, rng)
            async with asyncio.TaskGroup() as group:
                for name, part in parts.loops().items():
                    group.create_task(_coroutine(part), name=name)
                # Before its pods are known, a question about one would be answered wrongly.
                await parts.pods_known()
                group.create_task(tunnel.run(), name="tunnel")


class _Parts:
    """The agent's parts, wired."""

    def __init__(
        self,
        flags: Flags,
        clock: Clock,
        rng: random.Random,
        client: GrpcClient,
        cri: CriClient,
        cgroups: CgroupManager,
        runtime_version: str,
    ) -> None:
        self._flags = flags
        self._clock = clock
        self._runtime_version = runtime_version
        self._cri = cri
        self._machine = read_machine(flags.root_dir)
        self._ips = flags.node_ips or (default_route_ip(),)
        name = flags.node_name
        self.reader = RuntimeReader(cri)
        self._recorder = EventRecorder(client, name, clock)
        self._health = RuntimeHealth(cri, clock, self._health_changed)
        self._registrar = Registrar(client, self._machine, name, self._facts, clock, rng)
        self._pods: Informer[core_v1.Pod] = Informer(
            client, core_v1.Pod, field_selector=f"spec.nodeName={name}", rng=rng
        )
        self._services: Informer[core_v1.Service] = Informer(client, core_v1.Service, rng=rng)
        self._node: Informer[core_v1.Node] = Informer(
            client, core_v1.Node, field_selector=f"metadata.name={name}", rng=rng
        )
        self._images: tuple[pb.Image, ...] = ()
        self._node_changed = asyncio.Event()
        self._node.add_handler(lambda old, new: self._node_changed.set())
        basics = Basics(flags, clock, rng, client, cri, cgroups, self._recorder)
        self.manager = PodManager(
            lambda manager: make_tools(
                basics,
                self._settings(cgroups),
                self.reader,
                self._services,
                manager.wake,
                lambda: self._health.network_problem,
            )
        )
        self._pods.add_handler(self.manager.on_change)
        self._events = RuntimeEvents(cri, self.reader, self.manager.wake, clock, rng)
        state_dir = flags.data_dir / "cni"
        self._cni = CniServer(flags.cni_socket, state_dir, clock, cluster_cidr=flags.cluster_cidr)
        self._network = PodNetwork(flags, self._cni, self.reader)

    def loops(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """What runs for the agent's life, by name."""
        return {
            "events": self._recorder.run,
            "runtime health": self._health.run,
            "node": self._registrar.run,
            "runtime events": self._events.run,
            "pods": self._run_pods,
            "services": self._services.run,
            "own node": self._node.run,
            "pod network": self._run_network,
            "images": self._run_images,
            "log rotation": LogRotator(self.reader, self._cri, self._clock).run,
        }

    async def start_network(self, stack: contextlib.AsyncExitStack) -> None:
        try:
            await self._cni.start()
        except OSError as error:
            why = error.strerror or error
            raise StartError(
                f"cannot serve the pod network on {self._flags.cni_socket}: {why}"
            ) from None
        stack.push_async_callback(self._cni.stop)

    async def close(self) -> None:
        await self.manager.close()

    def _settings(self, cgroups: CgroupManager) -> Settings:
        flags = self._flags
        resources = allocatable(self._machine, flags.max_pods)
        return Settings(
            fields.NodeFacts(flags.node_name, self._ips, resources),
            Machine(self._machine.memory_bytes, cgroups.unified),
            flags.pod_logs_dir,
            ClusterDns(flags.cluster_dns, flags.cluster_domain),
        )

    def _facts(self) -> NodeFacts:
        return NodeFacts(
            name=self._flags.node_name,
            ips=self._ips,
            machine=self._machine,
            pressure=read_pressure(self._flags.root_dir),
            max_pods=self._flags.max_pods,
            runtime_version=self._runtime_version,
            problems=self._health.problems,
            images=self._images,
        )

    def _health_changed(self) -> None:
        self._registrar.hurry()
        self.manager.wake_all()

    async def _run_pods(self) -> None:
        """Follow this node's pods; what the runtime has beside them is ended."""
        # First what runs here: a pod that the watch brings is then known to be new or not.
        await self._read_runtime()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pods.run(), name="informer of pods")
            await self._pods.synced.wait()
            while True:
                try:
                    await self.manager.reconcile()
                    await self._network.reconcile()
                except Exception:
                    # What could not be cleaned up now is found again the next time.
                    log.exception("cleaning up what no pod accounts for failed")
                await self._clock.sleep(RECONCILE_PERIOD_S)

    async def pods_known(self) -> None:
        await self._pods.synced.wait()

    async def _read_runtime(self) -> None:
        while True:
            try:
                await self.reader.read_all()
            except RuntimeServiceError as error:
                log.warning("cannot read what runs here: %s", error)
                await self._clock.sleep(1.0)
            else:
                return

    async def _run_images(self) -> None:
        """The scheduler prefers nodes that have a pod's images: tell which are here."""
        while True:
            try:
                images = tuple(await self._cri.list_images())
            except RuntimeServiceError as error:
                log.warning("cannot list images: %s", error)
            else:
                if {i.id for i in images} != {i.id for i in self._images}:
                    self._images = images
                    self._registrar.hurry()
            await self._clock.sleep(IMAGES_PERIOD_S)

    async def _run_network(self) -> None:
        while True:
            await self._node_changed.wait()
            self._node_changed.clear()
            node = self._node.get(self._flags.node_name)
            if node is None:
                continue
            try:
                if await self._network.follow(node):
                    await self._health.look()
                    self._health_changed()
            except (OSError, ValueError, RuntimeError) as error:
                log.error("the pod network cannot be set up: %s", error)
                await self._clock.sleep(NETWORK_RETRY_S)
                self._node_changed.set()


async def _coroutine(part: Callable[[], Awaitable[None]]) -> None:
    await part()


def _require_files(flags: Flags) -> None:
    for path in (flags.ca_file, flags.cert_file, flags.key_file):
        try:
            path.read_bytes()
        except OSError as error:
            raise StartError(f"cannot read {path}: {error.strerror}") from None


def _make_folder(folder: Path) -> None:
    """Closed to other users of the machine: pods' Secrets and logs lie below. Containers do not
    mind; what they see of it is mounted."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        folder.chmod(0o750)
    except OSError as error:
        raise StartError(f"cannot make {folder}: {error.strerror}") from None


def _prepare_cgroups(flags: Flags) -> CgroupManager:
    try:
        cgroups = CgroupManager(
            flags.cgroup_root, find_hierarchies(Path("/proc/self/mounts").read_text())
        )
        cgroups.prepare()
    except (CgroupError, OSError) as error:
        raise StartError(str(error)) from None
    return cgroups


async def _meet_runtime(cri: CriClient, clock: Clock) -> str:
    """Wait for containerd, and see that it is one we can work with."""
    try:
        version = await wait_for_runtime(cri, clock, RUNTIME_WAIT_S)
        info = await cri.verbose_status()
    except RuntimeServiceError as error:
        raise StartError(f"no container runtime at {cri.endpoint}: {error.details}") from None
    if uses_systemd_cgroups(info.get("config", "")):
        raise StartError(
            "containerd is configured with SystemdCgroup = true, which this agent does not "
            "support: set it to false for the runtime that pods use"
        )
    return version


def uses_systemd_cgroups(config: str) -> bool:
    """Whether containerd's CRI configuration (JSON) chooses the systemd cgroup driver."""
    try:
        parsed = json.loads(config or "{}")
    except json.JSONDecodeError:
        return False
    containerd = parsed.get("containerd") or {}
    runtime = (containerd.get("runtimes") or {}).get(containerd.get("defaultRuntimeName")) or {}
    options = runtime.get("options") or {}
    return bool(options.get("SystemdCgroup") or parsed.get("systemdCgroup"))
