"""The control plane's parts, put together, started in order and stopped in the other."""

import asyncio
import ipaddress
import logging
import random
import socket
from collections.abc import Awaitable, Callable, Sequence

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from base import pki, tls
from base.clock import Clock, rfc3339
from base.kubeconfig import ensure_kubeconfig
from base.looplag import LoopLag
from controlplane import bootstrap
from controlplane.auth.rbac import Authorizer
from controlplane.auth.user import AUTHENTICATED_GROUP, User, service_account_user
from controlplane.compaction import Compactor
from controlplane.controllers.manager import METRICS as CONTROLLER_METRICS
from controlplane.controllers.manager import Manager
from controlplane.controllers.supervise import keep_running
from controlplane.flags import Flags
from controlplane.grpc import server as grpc_server
from controlplane.grpc.tunnel import NodeTunnels
from controlplane.leading import Leading, Part
from controlplane.registry.api import Api
from controlplane.registry.backing import Backing
from controlplane.registry.event_leases import EventLeases
from controlplane.registry.local_client import LocalClient
from controlplane.registry.operations import Operations
from controlplane.registry.registry import Registry
from controlplane.registry.service_addresses import ServiceAddresses
from controlplane.registry.watchers import Change
from controlplane.rest.about import About
from controlplane.rest.server import RestServer
from controlplane.scheduler.scheduler import METRICS as SCHEDULER_METRICS
from controlplane.scheduler.scheduler import Scheduler
from controlplane.serving import Serving
from controlplane.store import Store, StoreError
from controlplane.store.opening import open_store
from kubeapi.errors import StatusError

log = logging.getLogger("controlplane")

STORE_PAUSE_S = 1.0
RBAC_RESOURCES = ("clusterroles", "clusterrolebindings", "roles", "rolebindings")
RBAC_GROUP = "rbac.authorization.k8s.io"


class StartError(Exception):
    """Why the control plane cannot run, in one line for its operator."""


class ControlPlane:
    """One control plane. `start` returns once it is ready to serve."""

    def __init__(self, flags: Flags, clock: Clock, rng: random.Random) -> None:
        self._flags = flags
        self._clock = clock
        self._rng = rng
        self._stops: list[Callable[[], Awaitable[None]]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._metrics = CollectorRegistry()
        self._ready = False
        self._store: Store | None = None
        self.api: Api | None = None

    async def start(self) -> None:
        """Raises StartError; whatever had started by then is stopped again."""
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        started_s = self._clock.monotonic_s()
        self._ensure_pki()
        store = await self._open_store()
        api = await self._open_api(store)
        self.api = api
        tunnels = NodeTunnels()
        await self._listen(store, api, tunnels)
        await self._serve(store, api)
        self._lead(store, api)
        lag = LoopLag(self._clock, self._metrics)
        lag.start()

        async def stop_measuring() -> None:
            lag.stop()

        self._stops.append(stop_measuring)
        self._ready = True
        took_s = self._clock.monotonic_s() - started_s
        log.info("ready after %.2f s on %s:%d", took_s, self._flags.advertise_address,
                 self._flags.secure_port)  # fmt: skip

    def _ensure_pki(self) -> None:
        flags = self._flags
        hosts = pki.api_hosts([socket.gethostname(), flags.advertise_address], flags.service_ip)
        try:
            made = pki.ensure_pki(flags.pki_dir, pki.server_and_admin(hosts), self._clock.now_s())
            for name, why in made.items():
                log.info("certificate %s made: %s", name, why)
            server = f"https://{flags.advertise_address}:{flags.secure_port}"
            ensure_kubeconfig(flags.data_dir / "admin.kubeconfig", server, flags.pki_dir)
        except (OSError, ValueError) as error:
            raise StartError(f"cannot set up certificates in {flags.pki_dir}: {error}") from error
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._metrics)

    async def _open_store(self) -> Store:
        path = self._flags.data_dir / "store"
        try:
            store = await open_store(self._flags.store, path, self._clock, self._rng)
        except (OSError, StoreError) as error:
            raise StartError(f"cannot open the store in {path}: {error}") from error
        self._stops.append(store.close)
        for collector in (store.metrics, *CONTROLLER_METRICS, *SCHEDULER_METRICS):
            self._metrics.register(collector)
        self._store = store
        return store

    async def _open_api(self, store: Store) -> Api:
        leases = EventLeases(store, self._clock, self._flags.event_ttl_s)
        registry = Registry(store, leases)
        await self._until_answered(registry.open)

        async def close() -> None:
            registry.close()

        self._stops.append(close)
        addresses = ServiceAddresses(
            registry, self._rng, self._flags.service_cidr, self._flags.node_ports
        )
        addresses.start()
        backing = Backing(registry, authorizer_over(registry), addresses, self._clock, self._rng)
        api = Api(backing)
        flags = self._flags
        await self._until_answered(lambda: bootstrap.ensure_objects(api))
        await self._until_answered(
            lambda: bootstrap.ensure_api_service(api, flags.service_ip, flags.secure_port)
        )
        return api

    async def _until_answered(self, work: Callable[[], Awaitable[None]]) -> None:
        """A store of several members, or on other machines, may come up after us."""
        while True:
            try:
                return await work()
            except StoreError as error:
                log.warning("waiting for the store: %s", error)
            except StatusError as error:
                if error.code != 503:
                    raise
                log.warning("waiting for the store: %s", error)
            await self._clock.sleep(STORE_PAUSE_S)

    async def _listen(self, store: Store, api: Api, tunnels: NodeTunnels) -> None:
        flags = self._flags
        cert, key, ca = (flags.pki_dir / n for n in ("apiserver.crt", "apiserver.key", "ca.crt"))
        about = About(
            f"{flags.advertise_address}:{flags.secure_port}",
            {"ping": _answers, "etcd": store.check, "start": self._check_started},
            self._metrics,
            rfc3339(self._clock.now_s()),
        )
        rest = RestServer(api, tunnels, about)
        context = tls.server_context(cert, key, ca, require=False)
        try:
            await rest.start(flags.bind_address, flags.secure_port, context)
            self._stops.append(rest.stop)
            door = await grpc_server.start(
                f"{flags.bind_address}:{flags.grpc_port}", cert, key, ca, Operations(api), tunnels
            )
        except OSError as error:
            raise StartError(f"cannot listen: {error}") from error
        self._stops.append(door.stop)

    async def _check_started(self) -> str:
        return "" if self._ready else "still starting"

    async def _serve(self, store: Store, api: Api) -> None:
        """From now on this is one of the endpoints of the API."""
        flags = self._flags
        if ipaddress.ip_address(flags.advertise_address).is_loopback:
            log.warning("pods cannot reach the API: its address is %s", flags.advertise_address)
        serving = Serving(store, api, self._clock, flags.advertise_address, flags.secure_port)
        self._stops.append(serving.stop)
        await self._until_answered(serving.reconcile)
        run = keep_running("endpoints of the API", serving.run, self._clock, self._rng)
        self._tasks.append(asyncio.create_task(run, name="endpoints of the API"))

    def _lead(self, store: Store, api: Api) -> None:
        """Controllers and scheduler run in whichever control plane leads."""
        identity = f"{socket.gethostname()}_{self._rng.getrandbits(64):016x}"
        leading = Leading(store, api, identity, self._leaders_parts)
        self._metrics.register(leading.metric)
        run = keep_running("leader", leading.run, self._clock, self._rng)
        self._tasks.append(asyncio.create_task(run, name="leader"))

    def _leaders_parts(self, api: Api) -> Sequence[Part]:
        def client_for(user_name: str) -> LocalClient:
            return LocalClient(api, system_user(user_name))

        ca_pem = (self._flags.pki_dir / "ca.crt").read_text()
        manager = Manager(
            client_for, self._clock, self._rng,
            cluster_cidr=self._flags.cluster_cidr, root_ca_pem=ca_pem,
        )  # fmt: skip
        scheduler = Scheduler(client_for("system:kube-scheduler"), self._clock, self._rng)
        return manager, scheduler, Compactor(api.registry, self._clock)

    async def failed(self) -> str:
        """Waits until the store can go on no longer; returns why."""
        assert self._store is not None
        return await self._store.failed()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        while self._stops:
            await self._stops.pop()()


async def _answers() -> str:
    return ""


def authorizer_over(registry: Registry) -> Authorizer:
    """RBAC over the caches of its four kinds, kept current by their changes."""
    authorizer = Authorizer()

    def on_change(change: Change) -> None:
        if change.deleted:
            authorizer.delete_object(change.stored.obj)
        else:
            authorizer.set_object(change.stored.obj)

    for resource in RBAC_RESOURCES:
        cache = registry.cache_named(RBAC_GROUP, resource)
        for stored in cache.values():
            authorizer.set_object(stored.obj)
        cache.on_change(on_change)
    return authorizer


def system_user(name: str) -> User:
    prefix = "system:serviceaccount:"
    if name.startswith(prefix):
        namespace, _, account = name.removeprefix(prefix).partition(":")
        return service_account_user(namespace, account)
    return User(name, (AUTHENTICATED_GROUP,))
