"""The endpoints of an etcd cluster: a channel to each, and calls that find one that answers.

A call is repeated only where that is safe. A read always is. A write is where it certainly never
reached a store; when its fate is unknown the caller is told so, since a second try could undo
what somebody did in between. Source of what may be repeated: etcd `client/v3/retry.go`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import grpc
import grpc.aio

from base.backoff import Backoff
from base.clock import Clock
from controlplane.store.etcdmetrics import EtcdMetrics
from controlplane.store.protocol import Compacted, StoreError, TooLarge
from pinnace_wire import etcd_rpc_pb2_grpc
from raftstore.urls import Address, address_of

ATTEMPT_S: Final = 5.0
"""How long one endpoint may take: several election timeouts of etcd's default."""
CALL_S: Final = 15.0
"""How long a call takes at most, over all endpoints."""
REQUIRE_LEADER: Final = (("hasleader", "true"),)
"""A member that has lost its cluster refuses instead of answering from the past (etcd
`api/v3rpc/rpctypes/metadatafields.go`)."""

_OPTIONS: Final = (
    # A page of a range is one message, and so is everything that one transaction changed.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # As kube-apiserver has them; etcd takes more than a ping in 5 s for an attack.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.enable_http_proxy", 0),
)

_UNANSWERED: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
    }
)
"""Codes that say that this endpoint did not answer; another one may."""
_NEVER_SENT: Final = (
    "failed to connect to all addresses",
    "DNS resolution failed",
    "etcdserver: no leader",
)
"""What is said of calls that were refused before anybody could act on them."""

_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Servers:
    """What `--etcd-servers` and the files beside it say. URLs are `scheme://host:port`."""

    urls: tuple[str, ...]
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


def parse_servers(text: str) -> tuple[str, ...]:
    """URLs separated by commas. Raises ValueError with what is wrong with which."""
    urls = tuple(part.strip() for part in text.split(","))
    for url in urls:
        address = address_of(url)
        if not address.is_tls and not address.is_loopback:
            raise ValueError(f"{url}: plain http is for addresses on loopback; others need https")
    return urls


class Endpoint:
    """One member's services. They are untyped: what goes in and out is said where it is used."""

    def __init__(self, url: str, channel: grpc.aio.Channel) -> None:
        self.url = url
        self.channel = channel
        self.kv: Any = etcd_rpc_pb2_grpc.KVStub(channel)  # type: ignore[no-untyped-call]
        self.watch: Any = etcd_rpc_pb2_grpc.WatchStub(channel)  # type: ignore[no-untyped-call]
        self.lease: Any = etcd_rpc_pb2_grpc.LeaseStub(channel)  # type: ignore[no-untyped-call]


class Endpoints:
    """All of them; the one that answered last is asked next."""

    def __init__(self, servers: Servers, clock: Clock, backoff: Callable[[], Backoff]) -> None:
        """Raises StoreError where a file cannot be read."""
        try:
            self._all = [Endpoint(url, _channel(address_of(url), servers)) for url in servers.urls]
        except OSError as error:
            raise StoreError(str(error)) from error
        self.clock = clock
        self.new_backoff = backoff
        self.current = self._all[0]
        self.metrics = EtcdMetrics()

    def move_on(self, failed: Endpoint) -> None:
        """`failed` did not answer: the next one is asked from now on."""
        if failed is self.current:
            self.current = self._all[(self._all.index(failed) + 1) % len(self._all)]

    async def read(
        self, operation: str, call: Callable[[Endpoint, float], Awaitable[_Answer]]
    ) -> _Answer:
        """What `call(endpoint, deadline in seconds)` answers; repeated until one does."""
        return await self._call(operation, call, lambda error: error.code() in _UNANSWERED)

    async def write(
        self, operation: str, call: Callable[[Endpoint, float], Awaitable[_Answer]]
    ) -> _Answer:
        """The same for what must not happen twice."""
        return await self._call(operation, call, _surely_not_done)

    async def ask_once(
        self,
        operation: str,
        call: Callable[[Endpoint, float], Awaitable[_Answer]],
        deadline_s: float,
    ) -> _Answer:
        """The same without a second try."""
        started_s = self.clock.monotonic_s()
        endpoint = self.current
        try:
            answer = await call(endpoint, deadline_s)
        except grpc.aio.AioRpcError as error:
            self.metrics.errors.labels(operation).inc()
            if error.code() in _UNANSWERED:
                self.move_on(endpoint)
            raise
        except grpc.aio.UsageError as error:
            raise StoreError("the store is closed") from error
        finally:
            self.metrics.requests.labels(operation).inc()
            self.metrics.duration_s.labels(operation).observe(self.clock.monotonic_s() - started_s)
        return answer

    async def _call(
        self,
        operation: str,
        call: Callable[[Endpoint, float], Awaitable[_Answer]],
        may_repeat: Callable[[grpc.aio.AioRpcError], bool],
    ) -> _Answer:
        ends_s = self.clock.monotonic_s() + CALL_S
        backoff = self.new_backoff()
        tries = 0
        while True:
            left_s = ends_s - self.clock.monotonic_s()
            try:
                return await self.ask_once(operation, call, min(ATTEMPT_S, left_s))
            except grpc.aio.AioRpcError as error:
                tries += 1
                delay_s = 0.0 if tries % len(self._all) else backoff.next_delay_s()
                left_s = ends_s - self.clock.monotonic_s()
                if not may_repeat(error) or left_s < delay_s + 0.01:
                    raise store_error(error) from error
                await self.clock.sleep(delay_s)

    async def close(self) -> None:
        for endpoint in self._all:
            await endpoint.channel.close()


def store_error(error: grpc.aio.AioRpcError) -> StoreError:
    """What the store refused with, in its own words; else what gRPC says of the call."""
    code, details = error.code(), error.details() or ""
    if code is grpc.StatusCode.OUT_OF_RANGE and "has been compacted" in details:
        return Compacted(0)
    if "request is too large" in details or "larger than max" in details:
        return TooLarge(details)
    if details.startswith("etcdserver: "):
        return StoreError(details)
    return StoreError(f"{code.name}: {details}")


def _surely_not_done(error: grpc.aio.AioRpcError) -> bool:
    details = error.details() or ""
    return error.code() is grpc.StatusCode.UNAVAILABLE and details.startswith(_NEVER_SENT)


def _channel(address: Address, servers: Servers) -> grpc.aio.Channel:
    if not address.is_tls:
        return grpc.aio.insecure_channel(address.target, options=_OPTIONS)
    credentials = grpc.ssl_channel_credentials(
        _pem(servers.ca_file), _pem(servers.key_file), _pem(servers.cert_file)
    )
    return grpc.aio.secure_channel(address.target, credentials, options=_OPTIONS)


def _pem(path: str) -> bytes | None:
    return Path(path).read_bytes() if path else None
