"""The client protocol over gRPC: for agents, proxies, and controllers in processes of their own.

Every unary call has a deadline; a watch has none, and keepalive finds a server that is gone.
gRPC reconnects by itself, and a call made meanwhile fails at once: the caller's own back-off
decides about the next. Failures are the `StatusError`s that the server raised.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import grpc
import grpc.aio
import msgspec

from kubeapi import codec
from kubeapi.client import Listed, PatchType, WatchEvent
from kubeapi.errors import StatusError, unavailable
from kubeapi.resources import resource_of
from kubeapi.types import core_v1, meta_v1
from pinnace_wire import resources_pb2 as pb
from pinnace_wire.resources_pb2_grpc import ResourcesStub

T = TypeVar("T")

STATUS_TRAILER: Final = "pinnace-status-bin"
CALL_TIMEOUT_S: Final = 30.0
OPTIONS: Final = (
    # A list of a whole kind is one message.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_metadata_size", 256 * 1024),
    ("grpc.absolute_max_metadata_size", 256 * 1024),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)
# Subresources whose body is not the object itself: whose they are.
_PARTS: Final[dict[str, type[Any]]] = {
    "binding": core_v1.Pod,
    "eviction": core_v1.Pod,
    "token": core_v1.ServiceAccount,
}


def open_channel(address: str, ca: Path, cert: Path, key: Path) -> grpc.aio.Channel:
    """A channel to `address` with mutual TLS; it connects when first used."""
    credentials = grpc.ssl_channel_credentials(ca.read_bytes(), key.read_bytes(), cert.read_bytes())
    return grpc.aio.secure_channel(address, credentials, options=OPTIONS)


def connect(address: str, ca: Path, cert: Path, key: Path) -> "GrpcClient":
    """A client that is who `cert` names. Close it when done."""
    return GrpcClient(open_channel(address, ca, cert, key))


# What gRPC itself refuses, or a server that is none of ours, has no Status.
_WITHOUT_STATUS: Final = {
    grpc.StatusCode.DEADLINE_EXCEEDED: (504, "Timeout"),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (413, "RequestEntityTooLarge"),
    grpc.StatusCode.PERMISSION_DENIED: (403, "Forbidden"),
    grpc.StatusCode.UNAUTHENTICATED: (401, "Unauthorized"),
    grpc.StatusCode.UNIMPLEMENTED: (501, "NotImplemented"),
    grpc.StatusCode.UNKNOWN: (500, "InternalError"),
    grpc.StatusCode.INTERNAL: (500, "InternalError"),
}


def status_error(error: grpc.aio.AioRpcError) -> StatusError:
    """What the server refused with; without its Status, what gRPC says of the call."""
    for name, value in error.trailing_metadata() or ():
        if name == STATUS_TRAILER:
            return StatusError.from_status(json.loads(value))
    details = error.details() or error.code().name
    if error.code() in _WITHOUT_STATUS:
        return StatusError(*_WITHOUT_STATUS[error.code()], f"{error.code().name}: {details}")
    return unavailable(f"the server cannot be reached ({error.code().name}): {details}")


@contextmanager
def _raising_status_errors() -> Iterator[None]:
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise status_error(error) from error


class GrpcClient:
    """A `kubeapi.client.Client` over one channel, which it owns."""

    def __init__(self, channel: grpc.aio.Channel, timeout_s: float = CALL_TIMEOUT_S) -> None:
        self.channel = channel
        self._stub = ResourcesStub(channel)  # type: ignore[no-untyped-call]
        self._timeout_s = timeout_s

    async def close(self) -> None:
        await self.channel.close()

    async def get(self, kind: type[T], name: str, namespace: str = "") -> T:
        request = pb.GetRequest(resource=_resource(kind), namespace=namespace, name=name)
        return codec.decode_stored(await self._json(self._stub.Get, request), kind)

    async def list(
        self,
        kind: type[T],
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> Listed[T]:
        request = pb.ListRequest(
            resource=_resource(kind),
            namespace=namespace,
            label_selector=label_selector,
            field_selector=field_selector,
        )
        with _raising_status_errors():
            answer = await self._stub.List(request, timeout=self._timeout_s)
        items = [codec.decode_stored(item, kind) for item in answer.items]
        return Listed(items, answer.resource_version)

    async def watch(
        self,
        kind: type[T],
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[WatchEvent[T]]:
        call = self._stub.Watch(
            pb.WatchRequest(
                resource=_resource(kind),
                namespace=namespace,
                resource_version=resource_version,
                label_selector=label_selector,
                field_selector=field_selector,
            )
        )
        try:
            with _raising_status_errors():
                while (event := await call.read()) is not grpc.aio.EOF:
                    yield WatchEvent(event.type, codec.decode_stored(event.json, kind))
        finally:
            call.cancel()

    async def create(self, obj: T, *, subresource: str = "", name: str = "") -> T:
        owner = _PARTS.get(subresource, type(obj))
        request = pb.CreateRequest(
            resource=_resource(owner),
            namespace=_metadata(obj).namespace or "",
            json=codec.encode(obj),
            subresource=subresource,
            name=name,
        )
        answer = await self._json(self._stub.Create, request)
        # A binding or an eviction is answered with a Status, as there is nothing to read back.
        if msgspec.json.decode(answer, type=_Answer).kind == "Status":
            return obj
        return codec.decode_stored(answer, type(obj))

    async def update(self, obj: T, *, subresource: str = "") -> T:
        request = pb.UpdateRequest(
            resource=_resource(type(obj)),
            namespace=_metadata(obj).namespace or "",
            name=_metadata(obj).name or "",
            json=codec.encode(obj),
            subresource=subresource,
        )
        return codec.decode_stored(await self._json(self._stub.Update, request), type(obj))

    async def patch(
        self,
        kind: type[T],
        name: str,
        patch: Any,
        *,
        namespace: str = "",
        patch_type: PatchType = PatchType.STRATEGIC,
        subresource: str = "",
    ) -> T:
        request = pb.PatchRequest(
            resource=_resource(kind),
            namespace=namespace,
            name=name,
            json=msgspec.json.encode(patch),
            content_type=patch_type,
            subresource=subresource,
        )
        return codec.decode_stored(await self._json(self._stub.Patch, request), kind)

    async def delete(
        self,
        kind: type[T],
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        resource_version: str = "",
        grace_period_s: int | None = None,
        propagation_policy: str = "",
    ) -> None:
        options = meta_v1.DeleteOptions(
            gracePeriodSeconds=grace_period_s,
            propagationPolicy=propagation_policy or None,
            preconditions=_preconditions(uid, resource_version),
        )
        request = pb.DeleteRequest(
            resource=_resource(kind),
            namespace=namespace,
            name=name,
            options_json=codec.encode(options),
        )
        await self._json(self._stub.Delete, request)

    async def _json(self, method: Callable[..., Awaitable[pb.Object]], request: Any) -> bytes:
        with _raising_status_errors():
            answer = await method(request, timeout=self._timeout_s)
        return answer.json


class _Answer(msgspec.Struct):
    kind: str = ""


def _resource(kind: type[Any]) -> pb.Resource:
    info = resource_of(kind)
    return pb.Resource(group=info.group, version=info.version, resource=info.resource)


def _metadata(obj: Any) -> meta_v1.ObjectMeta:
    return obj.metadata or meta_v1.ObjectMeta()


def _preconditions(uid: str, resource_version: str) -> meta_v1.Preconditions | None:
    if not uid and not resource_version:
        return None
    return meta_v1.Preconditions(uid=uid or None, resourceVersion=resource_version or None)
