"""All watches of one store on one stream of etcd's Watch service.

The stream is opened with the first watch. When it breaks it is opened again, at another endpoint
where there is one, and each watch goes on from the first revision it has not heard: etcd sends the
events of a revision in one response (fragments are not asked for), so none is lost or repeated.
Source: etcd `server/etcdserver/api/v3rpc/watch.go`, `client/v3/watch.go`.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import grpc.aio

from base.backoff import Backoff
from controlplane.store import etcdvalues
from controlplane.store.endpoints import REQUIRE_LEADER, Endpoint, Endpoints
from controlplane.store.protocol import Compacted, Lost, Sink, StoreError
from pinnace_wire import etcd_rpc_pb2

log = logging.getLogger("store")

_Requests = asyncio.Queue[etcd_rpc_pb2.WatchRequest]


@dataclass(eq=False)
class EtcdWatcher:
    """One watch. `next_revision` is the first that it has not heard."""

    watch_id: int
    key: bytes
    range_end: bytes
    next_revision: int
    sink: Sink
    lost: Lost | None
    forget: Callable[["EtcdWatcher"], None]

    def cancel(self) -> None:
        self.forget(self)

    def create_request(self) -> etcd_rpc_pb2.WatchRequest:
        create = etcd_rpc_pb2.WatchCreateRequest(
            watch_id=self.watch_id,
            key=self.key,
            range_end=self.range_end,
            start_revision=self.next_revision,
            prev_kv=True,
            progress_notify=True,
        )
        return etcd_rpc_pb2.WatchRequest(create_request=create)

    def hear(self, response: etcd_rpc_pb2.WatchResponse) -> None:
        for revision, events in etcdvalues.revisions(response.events):
            if revision >= self.next_revision:
                self.next_revision = revision + 1
                self._tell(lambda: self.sink(events, revision))  # noqa: B023 - called at once

    def note_progress(self, revision: int) -> None:
        """Nothing else happened up to `revision`."""
        if revision >= self.next_revision:
            self.next_revision = revision + 1
            self._tell(lambda: self.sink([], revision))

    def end(self, error: StoreError) -> None:
        lost = self.lost
        if lost is not None:
            self._tell(lambda: lost(error))

    def _tell(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:
            # As for every callback of the loop: it is reported, and the others hear all the same.
            asyncio.get_running_loop().call_exception_handler(
                {"message": "the sink of a watch raised", "exception": error}
            )


class WatchStream:
    """`note_revision` is called with every revision that a response names."""

    def __init__(self, endpoints: Endpoints, note_revision: Callable[[int], None]) -> None:
        self._endpoints = endpoints
        self._note_revision = note_revision
        self._watchers: dict[int, EtcdWatcher] = {}
        self._last_id = 0
        self._requests: _Requests | None = None
        """What is to be sent on the stream that is open; bounded by the watches there are."""
        self._task: asyncio.Task[None] | None = None

    def watch(
        self, key: bytes, range_end: bytes, start_revision: int, sink: Sink, lost: Lost | None
    ) -> EtcdWatcher:
        self._last_id += 1
        watcher = EtcdWatcher(
            self._last_id, key, range_end, start_revision, sink, lost, self._forget
        )
        self._watchers[watcher.watch_id] = watcher
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="etcd watch stream")
        elif self._requests is not None:
            self._requests.put_nowait(watcher.create_request())
        return watcher

    def _forget(self, watcher: EtcdWatcher) -> None:
        if self._watchers.pop(watcher.watch_id, None) is not None and self._requests is not None:
            cancel = etcd_rpc_pb2.WatchCancelRequest(watch_id=watcher.watch_id)
            self._requests.put_nowait(etcd_rpc_pb2.WatchRequest(cancel_request=cancel))

    async def _run(self) -> None:
        backoff = self._endpoints.new_backoff()
        while True:
            endpoint = self._endpoints.current
            try:
                await self._follow(endpoint, backoff)
                why = "ended by the store"
            except grpc.aio.AioRpcError as error:
                why = f"{error.code().name}: {error.details()}"
            log.warning("the watch stream to %s broke: %s", endpoint.url, why)
            self._endpoints.move_on(endpoint)
            await self._endpoints.clock.sleep(backoff.next_delay_s())

    async def _follow(self, endpoint: Endpoint, backoff: Backoff) -> None:
        """One stream, from its opening to its end."""
        self._endpoints.metrics.watch_streams.inc()
        requests: _Requests = asyncio.Queue()
        for watcher in self._watchers.values():
            requests.put_nowait(watcher.create_request())
        self._requests = requests
        call = endpoint.watch.Watch(metadata=REQUIRE_LEADER)
        sending = asyncio.create_task(_send_all(requests, call), name="etcd watch requests")
        try:
            async for response in call:
                backoff.reset()
                self._take(response)
        finally:
            self._requests = None
            call.cancel()
            sending.cancel()
            await asyncio.gather(sending, call.code(), return_exceptions=True)

    def _take(self, response: etcd_rpc_pb2.WatchResponse) -> None:
        self._note_revision(response.header.revision)
        watcher = self._watchers.get(response.watch_id)
        if watcher is None:
            return
        if response.canceled:
            del self._watchers[response.watch_id]
            watcher.end(_why_canceled(response))
        elif response.events:
            watcher.hear(response)
        elif not response.created:
            watcher.note_progress(response.header.revision)

    async def close(self) -> None:
        self._watchers.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


def _why_canceled(response: etcd_rpc_pb2.WatchResponse) -> StoreError:
    if response.compact_revision:
        return Compacted(response.compact_revision)
    return StoreError(response.cancel_reason or "the store ended the watch")


async def _send_all(
    requests: _Requests,
    call: grpc.aio.StreamStreamCall[etcd_rpc_pb2.WatchRequest, etcd_rpc_pb2.WatchResponse],
) -> None:
    """Until the stream breaks, which its reader hears of as well."""
    with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
        while True:
            await call.write(await requests.get())
