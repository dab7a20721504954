"""The Store protocol over any etcd v3 endpoint: etcd itself, or `pinnace raftstore`.

Reads are linearizable. A write whose fate is unknown raises StoreError and is not tried again;
the watch tells what became of it.
"""

import asyncio
import random
from collections.abc import Sequence
from typing import Any, Final

import grpc.aio
from prometheus_client.registry import Collector

from base.backoff import Backoff
from base.clock import Clock
from controlplane.store import etcdvalues
from controlplane.store.election import Election
from controlplane.store.endpoints import REQUIRE_LEADER, Endpoint, Endpoints, Servers, store_error
from controlplane.store.etcdwatch import WatchStream
from controlplane.store.protocol import (
    Compare,
    KeyValue,
    Leadership,
    Lost,
    Op,
    RangeResult,
    Sink,
    Store,
    StoreError,
    TxnResult,
    Watcher,
)
from pinnace_wire import etcd_rpc_pb2

PAGE_KEYS: Final = 10_000
CHECK_S: Final = 2.0
"""kube-apiserver `--etcd-healthcheck-timeout`."""
CHECK_KEY: Final = b"health"
"""The key that etcd's own health check reads; it need not exist."""
_SLICE_KEYS: Final = 2000


class EtcdStore(Store):
    """`lease_ttl_s` is how long a leader that is gone keeps others from leading."""

    def __init__(
        self, servers: Servers, clock: Clock, rng: random.Random, lease_ttl_s: int = 15
    ) -> None:
        """Connects when it is first used. Raises StoreError where a TLS file cannot be read."""
        self._endpoints = Endpoints(servers, clock, lambda: Backoff(0.05, 1.0, rng=rng))
        self._revision = 0
        self._watches = WatchStream(self._endpoints, self._note)
        self._look_now: asyncio.Future[int] | None = None
        self._next_look: asyncio.Future[int] | None = None
        self._clock = clock
        self._rng = rng
        self._lease_ttl_s = lease_ttl_s

    @property
    def revision(self) -> int:
        return self._revision

    @property
    def metrics(self) -> Collector:
        return self._endpoints.metrics

    def _note(self, revision: int) -> None:
        self._revision = max(self._revision, revision)

    async def txn(
        self, compares: Sequence[Compare], success: Sequence[Op], failure: Sequence[Op] = ()
    ) -> TxnResult:
        request = etcdvalues.txn_request(compares, success, failure)
        only_reads = all(op.kind == "range" for op in (*success, *failure))
        ask = self._endpoints.read if only_reads else self._endpoints.write
        result = etcdvalues.txn_result(await ask("txn", lambda e, s: _send(e.kv.Txn, request, s)))
        self._note(result.revision)
        return result

    async def range(
        self,
        key: bytes,
        range_end: bytes = b"",
        *,
        limit: int = 0,
        revision: int = 0,
        keys_only: bool = False,
        count_only: bool = False,
    ) -> RangeResult:
        """Without a limit in pages, all of one revision."""
        request = etcd_rpc_pb2.RangeRequest(
            key=key, range_end=range_end, limit=limit or PAGE_KEYS, revision=revision,
            keys_only=keys_only, count_only=count_only,
        )  # fmt: skip
        page = await self._page(request)
        now, count = page.header.revision, page.count
        kvs = await _key_values(page)
        while page.more and not limit:
            request.key = kvs[-1].key + b"\0"
            request.revision = revision or now
            page = await self._page(request)
            kvs += await _key_values(page)
        return RangeResult(kvs, now, count, page.more)

    async def _page(self, request: etcd_rpc_pb2.RangeRequest) -> etcd_rpc_pb2.RangeResponse:
        page: etcd_rpc_pb2.RangeResponse = await self._endpoints.read(
            "range", lambda e, s: _send(e.kv.Range, request, s)
        )
        self._note(page.header.revision)
        return page

    def watch(
        self,
        key: bytes,
        range_end: bytes,
        start_revision: int,
        sink: Sink,
        lost: Lost | None = None,
    ) -> Watcher:
        """From now on means: what is written after the latest revision that was heard of."""
        start_revision = start_revision or self._revision + 1
        return self._watches.watch(key, range_end, start_revision, sink, lost)

    async def latest_revision(self) -> int:
        """Who asks while a question is on its way shares the next one."""
        if self._next_look is None:
            self._next_look = asyncio.ensure_future(self._look(self._look_now))
        return await asyncio.shield(self._next_look)

    async def _look(self, before: "asyncio.Future[int] | None") -> int:
        if before is not None:
            await asyncio.wait({before})
        self._look_now, self._next_look = self._next_look, None
        request = etcd_rpc_pb2.RangeRequest(key=CHECK_KEY, count_only=True)
        return (await self._page(request)).header.revision

    async def compact(self, revision: int) -> None:
        request = etcd_rpc_pb2.CompactionRequest(revision=revision)
        await self._endpoints.write("compact", lambda e, s: _send(e.kv.Compact, request, s))

    async def lease_grant(self, ttl_s: int, lease_id: int = 0) -> int:
        request = etcd_rpc_pb2.LeaseGrantRequest(TTL=ttl_s, ID=lease_id)
        # One that nobody got to know expires by itself; one with a given id would be refused.
        ask = self._endpoints.write if lease_id else self._endpoints.read
        answer: etcd_rpc_pb2.LeaseGrantResponse = await ask(
            "lease_grant", lambda e, s: _send(e.lease.LeaseGrant, request, s)
        )
        return answer.ID

    async def lease_keepalive(self, lease_id: int) -> int:
        request = etcd_rpc_pb2.LeaseKeepAliveRequest(ID=lease_id)

        async def renew(endpoint: Endpoint, deadline_s: float) -> int:
            call = endpoint.lease.LeaseKeepAlive(timeout=deadline_s, metadata=REQUIRE_LEADER)
            await call.write(request)
            await call.done_writing()
            ttl_s = 0
            async for answer in call:
                ttl_s = answer.TTL
            return ttl_s

        return await self._endpoints.read("lease_keepalive", renew)

    async def lease_revoke(self, lease_id: int) -> None:
        request = etcd_rpc_pb2.LeaseRevokeRequest(ID=lease_id)
        await self._endpoints.write(
            "lease_revoke", lambda e, s: _send(e.lease.LeaseRevoke, request, s)
        )

    async def lead(self, name: str, identity: str) -> Leadership:
        """By an election on a lease."""
        election = Election(self, name, identity, self._clock, self._rng, self._lease_ttl_s)
        return await election.win()

    async def check(self) -> str:
        request = etcd_rpc_pb2.RangeRequest(key=CHECK_KEY, count_only=True)
        try:
            await self._endpoints.ask_once(
                "check", lambda e, s: _send(e.kv.Range, request, s), CHECK_S
            )
        except grpc.aio.AioRpcError as error:
            return str(store_error(error))
        except StoreError as error:
            return str(error)
        return ""

    async def failed(self) -> str:
        await asyncio.get_running_loop().create_future()
        raise AssertionError("nobody completes this future")

    async def close(self) -> None:
        await self._watches.close()
        await self._endpoints.close()


async def _send(method: Any, request: object, deadline_s: float) -> Any:
    """One unary call of a service, whose stubs are untyped."""
    return await method(request, timeout=deadline_s, metadata=REQUIRE_LEADER)


async def _key_values(page: etcd_rpc_pb2.RangeResponse) -> list[KeyValue]:
    """Made in slices, so that others get their turn."""
    kvs: list[KeyValue] = []
    for first in range(0, len(page.kvs), _SLICE_KEYS):
        if first:
            await asyncio.sleep(0)
        kvs += [etcdvalues.key_value(kv) for kv in page.kvs[first : first + _SLICE_KEYS]]
    return kvs
