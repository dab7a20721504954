"""The client's side of etcd's API, for commands that work on a running store: ours or etcd."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import grpc
import grpc.aio

from pinnace_wire import etcd_rpc_pb2_grpc
from raftstore.urls import Address, address_of

DEADLINE_S: Final = 30.0
# A page of a range may be larger than grpc's 4 MB.
MESSAGE_SIZE_MAX_BYTES: Final = 512 * 1024 * 1024
_Answer = TypeVar("_Answer")


class ClientError(Exception):
    """What an endpoint would not or could not do, in one line."""


@dataclass(frozen=True)
class Credentials:
    """PEM files: the server's CA, and the certificate and key to show; "" where there is none."""

    cacert: str = ""
    cert: str = ""
    key: str = ""


class Client:
    """One endpoint, open inside `async with`. `url` may lack its scheme: with a CA it is https, as
    etcdctl has it. Raises ClientError."""

    kv: Any
    lease: Any
    maintenance: Any

    def __init__(self, url: str, credentials: Credentials) -> None:
        self.url = url if "://" in url else f"{'https' if credentials.cacert else 'http'}://{url}"
        self._credentials = credentials
        self._channel: grpc.aio.Channel
        try:
            self._address = address_of(self.url)
        except ValueError as error:
            raise ClientError(str(error)) from error

    async def __aenter__(self) -> "Client":
        self._channel = _channel(self._address, self._credentials)
        self.kv = etcd_rpc_pb2_grpc.KVStub(self._channel)  # type: ignore[no-untyped-call]
        self.lease = etcd_rpc_pb2_grpc.LeaseStub(self._channel)  # type: ignore[no-untyped-call]
        self.maintenance = etcd_rpc_pb2_grpc.MaintenanceStub(self._channel)  # type: ignore[no-untyped-call]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()

    async def ask(self, call: Awaitable[_Answer], deadline_s: float = DEADLINE_S) -> _Answer:
        """The answer of a call of one of the stubs. Raises ClientError."""
        try:
            async with asyncio.timeout(deadline_s):
                return await call
        except TimeoutError:
            raise ClientError(f"{self.url}: no answer within {deadline_s:.0f} s") from None
        except grpc.aio.AioRpcError as error:
            raise self.error(error) from error

    def error(self, error: grpc.aio.AioRpcError) -> ClientError:
        return ClientError(f"{self.url}: {error.code().name}: {error.details()}")


def _channel(address: Address, credentials: Credentials) -> grpc.aio.Channel:
    options = [
        ("grpc.max_receive_message_length", MESSAGE_SIZE_MAX_BYTES),
        ("grpc.max_send_message_length", MESSAGE_SIZE_MAX_BYTES),
        # A proxy of the environment is for the web, not for a store.
        ("grpc.enable_http_proxy", 0),
    ]
    if not address.is_tls:
        return grpc.aio.insecure_channel(address.target, options)
    return grpc.aio.secure_channel(address.target, _tls(credentials), options)


def _tls(credentials: Credentials) -> grpc.ChannelCredentials:
    def read(path: str) -> bytes | None:
        try:
            return Path(path).read_bytes() if path else None
        except OSError as error:
            raise ClientError(f"{path}: {error.strerror}") from error

    return grpc.ssl_channel_credentials(
        read(credentials.cacert), read(credentials.key), read(credentials.cert)
    )
