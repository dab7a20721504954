"""One member as a process runs it: node, peers, client API, pages and chores, put together, started
in order and stopped in the other. The control plane opens its embedded member the same way."""

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from logging import getLogger
from pathlib import Path
from typing import Any, Final

import grpc
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from base.clock import Clock
from base.looplag import LoopLag
from raftstore.core import NOBODY
from raftstore.daemon.autocompaction import compact_for_ever
from raftstore.daemon.flags import Flags, TlsFiles
from raftstore.daemon.joining import Fetch, JoinError, Start, first_start, where_others_are
from raftstore.disk import DiskError, Storage, SystemFiles
from raftstore.errors import ClusterError, NodeError
from raftstore.mvcc import Compact, MvccError, PublishMember
from raftstore.node import Node
from raftstore.node.member import Options
from raftstore.peers.grpc_server import ListenError, serve_peers
from raftstore.peers.grpc_transport import GrpcTransport, fetch_members
from raftstore.peers.messages import Cluster
from raftstore.peers.transport import Receiver
from raftstore.server import ServerOptions, serve
from raftstore.urls import address_of

log = getLogger("raftstore")

RETRY_S: Final = 0.2


class StartError(Exception):
    """Why the store cannot run or go on, in one line for its operator."""


class RunningStore:
    """A member at work. Made by `open_store`."""

    def __init__(self, node: Node, flags: Flags, clock: Clock) -> None:
        self.node = node
        self.metrics = CollectorRegistry()
        self._flags = flags
        self._clock = clock
        self._stops: list[Callable[[], Awaitable[None]]] = []
        self._chores: list[asyncio.Task[None]] = []
        self._published = asyncio.Event()

    async def ready(self) -> str:
        """Waits until the cluster has a leader and knows where this member's clients go. Returns
        what there is to say about it."""
        await self._published.wait()
        node, flags = self.node, self._flags
        return (
            f"ready: member {node.member_id:x} ({flags.name}) of cluster {node.cluster_id:x}, "
            f"serving clients at {','.join(flags.listen_client_urls)}"
        )

    async def failed(self) -> str:
        """Waits until the member can go on no longer; returns why."""
        await self.node.stopped.wait()
        return str(self.node.failure or "the store was closed")

    async def close(self) -> None:
        """Leave the lead to another one, finish what was begun, let the directory go."""
        for chore in self._chores:
            chore.cancel()
        await asyncio.gather(*self._chores, return_exceptions=True)
        await self._hand_over()
        while self._stops:
            await self._stops.pop()()
        await self.node.close()

    # -- its start

    async def start(self) -> None:
        """Raises StartError; whatever had started by then is stopped again."""
        try:
            await self._listen()
        except (OSError, ListenError) as error:
            await self.close()
            raise StartError(str(error)) from error
        except BaseException:
            await self.close()
            raise
        self._begin(self._publish())
        compactable = _Compactable(self.node)
        self._begin(compact_for_ever(compactable, self._clock, self._flags.auto_compaction))
        if self._flags.corrupt_check_s:
            self._begin(self._compare_members())

    async def _listen(self) -> None:
        flags, node = self._flags, self.node
        peers = await serve_peers(
            node,
            node.cluster_id,
            node.member_id,
            [
                (address_of(url).target, _server_credentials(flags.peer_tls, url))
                for url in flags.listen_peer_urls
            ],
        )
        self._stops.append(partial(peers.stop, None))
        if flags.listen_metrics_urls:
            await self._serve_pages()
        options = ServerOptions(
            flags.progress_notify_s,
            flags.election_ms / 1000,
            flags.request_size_max_bytes,
            flags.txn_operations_max,
        )
        for urls, credentials in self._client_listeners():
            server = await serve(node, urls, credentials, options)
            self._stops.append(server.stop)

    def _client_listeners(self) -> list[tuple[list[str], grpc.ServerCredentials | None]]:
        """Addresses with TLS, and those without."""
        listeners = []
        for is_tls in (True, False):
            urls = [u for u in self._flags.listen_client_urls if address_of(u).is_tls is is_tls]
            if urls:
                targets = [address_of(url).target for url in urls]
                listeners.append((targets, _server_credentials(self._flags.client_tls, urls[0])))
        return listeners

    async def _serve_pages(self) -> None:
        # An HTTP server takes 28 MB and a fifth of the time to start.
        from raftstore.server.pages import Pages, PagesServer

        pages = PagesServer(Pages(self.node, self.metrics))
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.metrics)
        lag = LoopLag(self._clock, self.metrics)
        lag.start()

        async def stop() -> None:
            lag.stop()
            await pages.stop()

        self._stops.append(stop)
        for url in self._flags.listen_metrics_urls:
            address = address_of(url)
            context = _tls_context(self._flags.client_tls) if address.is_tls else None
            await pages.listen(address.host, address.port, context)

    # -- its chores

    def _begin(self, chore: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(chore)
        task.add_done_callback(_chore_ended)
        self._chores.append(task)

    async def _publish(self) -> None:
        """Until the log says what this member is called and where clients reach it."""
        node, flags = self.node, self._flags
        wanted = flags.name, flags.advertise_client_urls
        while True:
            record = node.state.members.get(node.member_id)
            if record and node.leader and (record.name, record.client_urls) == wanted:
                self._published.set()
                return
            try:
                if record and node.leader:
                    await node.propose(PublishMember(node.member_id, *wanted))
                    continue
            except (MvccError, NodeError) as error:
                log.warning("this member's name is not in the log yet: %s", error)
            await self._clock.sleep(RETRY_S)

    async def _compare_members(self) -> None:
        """Members that applied the same log hold the same: the leader looks whether they do."""
        while True:
            await self._clock.sleep(self._flags.corrupt_check_s)
            if not self.node.leader_term:
                continue
            try:
                for member_id in await self.node.check_consistency():
                    log.error("member %x holds other keys than most: CORRUPT alarm", member_id)
            except (MvccError, NodeError) as error:
                log.warning("members could not be compared: %s", error)

    async def _hand_over(self) -> None:
        """So that nobody waits for an election when this member leaves: no longer than for one."""
        to = _successor(self.node)
        if to == NOBODY:
            return
        try:
            async with asyncio.timeout(self._flags.election_ms / 1000):
                await self.node.transfer_leadership(to)
            log.info("member %x leads now", to)
        except (ClusterError, NodeError, TimeoutError) as error:
            log.warning("leadership could not be handed over to %x: %s", to, error)


async def open_store(flags: Flags, clock: Clock, rng: random.Random) -> RunningStore:
    """Open the member in `flags.data_dir`, or make it as the initial-* flags say, and serve.
    Raises StartError, FlagError."""
    credentials = _channel_credentials(flags.peer_tls)
    fetch = partial(_fetch, credentials=credentials)
    start = await _first_start(flags, fetch)
    options = Options(
        tick_s=flags.heartbeat_ms / 1000,
        election_ticks=flags.election_ms // flags.heartbeat_ms,
        request_timeout_s=5.0 + 2 * flags.election_ms / 1000,
        quota_bytes=max(0, flags.quota_bytes),
        snapshot_entries=flags.snapshot_count,
        request_size_max_bytes=flags.request_size_max_bytes,
    )
    transport = _Transport(credentials)
    try:
        node = await Node.open(
            flags.data_dir, clock, rng, options,
            founding=start.founding if start else None, transport=transport,
        )  # fmt: skip
    except DiskError as error:
        raise StartError(str(error)) from error
    if node.member_id not in node.members_of_log():
        node.meet(start.peers if start else await where_others_are(flags, fetch))
    store = RunningStore(node, flags, clock)
    await store.start()
    return store


async def _fetch(url: str, credentials: grpc.ChannelCredentials | None) -> Cluster:
    try:
        return await fetch_members(url, credentials)
    except ValueError as error:
        raise NodeError(str(error)) from error


async def _first_start(flags: Flags, fetch: Fetch) -> Start | None:
    """None: the directory is made, and the initial-* flags mean nothing any more."""
    try:
        if Storage.is_made(SystemFiles(), flags.data_dir):
            return None
    except OSError as error:
        raise StartError(f"{flags.data_dir}: {error.strerror}") from error

    try:
        return await first_start(flags, fetch)
    except JoinError as error:
        raise StartError(str(error)) from error


class _Transport(GrpcTransport):
    """Learns whose it is from the node, which knows when it has read its directory."""

    def __init__(self, credentials: grpc.ChannelCredentials | None) -> None:
        super().__init__(0, 0, credentials)

    def start(self, receiver: Receiver) -> None:
        assert isinstance(receiver, Node)
        self.cluster_id, self.member_id = receiver.cluster_id, receiver.member_id
        super().start(receiver)


class _Compactable:
    """A node as auto compaction sees it."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def leads(self) -> bool:
        return self._node.leader_term != 0

    @property
    def revision(self) -> int:
        return self._node.state.keyspace.revision

    async def compact(self, revision: int) -> None:
        await self._node.propose(Compact(revision))


def _successor(node: Node) -> int:
    """The voter that is nearest to the leader's log, or NOBODY."""
    if not node.leader_term:
        return NOBODY
    raft = node.member.raft
    others = [
        (progress.match_index, peer)
        for peer, progress in raft.progress.items()
        if peer in raft.membership.voters and peer != node.member_id and progress.recent_active
    ]
    return max(others)[1] if others else NOBODY


def _chore_ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a chore of the store has failed", exc_info=error)


# -- certificates


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise StartError(f"{path}: {error.strerror}") from error


def _server_credentials(files: TlsFiles, url: str) -> grpc.ServerCredentials | None:
    if not address_of(url).is_tls:
        return None
    return grpc.ssl_server_credentials(
        [(_read(files.key_file), _read(files.cert_file))],
        root_certificates=_read(files.trusted_ca_file) if files.trusted_ca_file else None,
        require_client_auth=files.require_client_cert,
    )


def _channel_credentials(files: TlsFiles) -> grpc.ChannelCredentials | None:
    """What this member shows to others, and whose certificates it believes."""
    if not files.trusted_ca_file:
        return None
    return grpc.ssl_channel_credentials(
        _read(files.trusted_ca_file), _read(files.key_file), _read(files.cert_file)
    )


def _tls_context(files: TlsFiles) -> ssl.SSLContext:
    from base import tls

    cert, key = Path(files.cert_file), Path(files.key_file)
    # Without a CA nobody's certificate is asked for; the context wants one all the same.
    ca = Path(files.trusted_ca_file or files.cert_file)
    try:
        return tls.server_context(cert, key, ca, require=files.require_client_cert)
    except (OSError, ssl.SSLError) as error:
        raise StartError(f"{cert}, {key} or {ca}: {error}") from error
