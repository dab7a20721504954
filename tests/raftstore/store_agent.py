"""A process of the tests that talks to a store's members: it makes load, and does single calls.

It runs where the members can be reached, which may be a network namespace, and is told what to do
by lines of JSON on its standard input; it answers each with one line. What its clients did, and
what members say of it afterwards, goes into a file for `store_history`.
"""

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
os.environ["GRPC_VERBOSITY"] = "NONE"

import grpc
import grpc.aio
from google.protobuf import json_format

from pinnace_wire import etcd_rpc_pb2 as pb

KEYS = [b"load/%d" % number for number in range(8)]
CALL_S = 3.0
PAUSE_S = 0.004
PATIENCE_S = 30.0
OPTIONS = [
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.max_receive_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
]


@dataclass
class Operation:
    """One call of one client. `revision` is the header's, 0 without an answer; `kvs` is what a
    read saw: key, value, create and mod revision, version."""

    kind: str
    key: str
    value: str
    started_s: float
    ended_s: float = 0.0
    revision: int = 0
    changed: bool = False
    kvs: list[tuple[str, str, int, int, int]] = field(default_factory=list)


def seen(kvs: Any) -> list[tuple[str, str, int, int, int]]:
    return [
        (kv.key.decode(), kv.value.decode(), kv.create_revision, kv.mod_revision, kv.version)
        for kv in kvs
    ]


class Endpoint:
    """A connection to one member."""

    def __init__(self, url: str, credentials: grpc.ChannelCredentials | None) -> None:
        target = url.partition("://")[2]
        if url.startswith("https"):
            assert credentials is not None
            self.channel = grpc.aio.secure_channel(target, credentials, OPTIONS)
        else:
            self.channel = grpc.aio.insecure_channel(target, OPTIONS)

    async def call(self, method: str, request: Any, timeout_s: float = CALL_S) -> Any:
        """`method` is "KV/Put"."""
        answer = getattr(pb, answer_name(method))
        call = self.channel.unary_unary(
            f"/etcdserverpb.{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString,
        )
        return await call(request, timeout=timeout_s)

    async def watch(self, start_revision: int) -> AsyncIterator[Any]:
        """The answers of a watch of the load's keys. Raises AioRpcError where it breaks."""
        create = pb.WatchCreateRequest(
            key=b"load/", range_end=b"load0", start_revision=start_revision
        )
        call = self.channel.stream_stream(
            "/etcdserverpb.Watch/Watch",
            request_serializer=pb.WatchRequest.SerializeToString,
            response_deserializer=pb.WatchResponse.FromString,
        )()
        try:
            await call.write(pb.WatchRequest(create_request=create))
            while (answer := await call.read()) is not grpc.aio.EOF:
                yield answer
        except asyncio.InvalidStateError:
            # It broke while we wrote: its own error is the better one.
            await call.code()
        finally:
            call.cancel()


IRREGULAR = {
    "KV/Compact": ("CompactionRequest", "CompactionResponse"),
}


def request_name(method: str) -> str:
    return IRREGULAR.get(method, (method.partition("/")[2] + "Request", ""))[0]


def answer_name(method: str) -> str:
    return IRREGULAR.get(method, ("", method.partition("/")[2] + "Response"))[1]


class Client:
    """One operation after the other, to one member."""

    def __init__(self, name: str, endpoint: Endpoint, history: list[Operation]) -> None:
        self._name = name
        self._endpoint = endpoint
        self._history = history
        self._rng = random.Random(name)
        self._count = 0
        self._seen: dict[bytes, int] = {}

    async def run(self) -> None:
        kinds = [self._put, self._get, self._swap, self._delete, self._range]
        while True:
            [make] = self._rng.choices(kinds, [60, 20, 10, 4, 6])
            key = self._rng.choice(KEYS)
            operation = Operation(make.__name__[1:], key.decode(), "", time.monotonic())
            self._history.append(operation)
            try:
                await make(key, operation)
            except grpc.aio.AioRpcError:
                # Its fate is not known.
                operation.revision = 0
                await asyncio.sleep(0.02)
            operation.ended_s = time.monotonic()
            await asyncio.sleep(PAUSE_S)

    def _new_value(self, operation: Operation) -> bytes:
        self._count += 1
        operation.value = f"{self._name}.{self._count}"
        return operation.value.encode()

    async def _put(self, key: bytes, operation: Operation) -> None:
        request = pb.PutRequest(key=key, value=self._new_value(operation))
        answer = await self._endpoint.call("KV/Put", request)
        operation.revision, operation.changed = answer.header.revision, True

    async def _delete(self, key: bytes, operation: Operation) -> None:
        answer = await self._endpoint.call("KV/DeleteRange", pb.DeleteRangeRequest(key=key))
        operation.revision, operation.changed = answer.header.revision, bool(answer.deleted)

    async def _get(self, key: bytes, operation: Operation) -> None:
        answer = await self._endpoint.call("KV/Range", pb.RangeRequest(key=key))
        operation.revision, operation.kvs = answer.header.revision, seen(answer.kvs)
        self._seen[key] = answer.kvs[0].mod_revision if answer.kvs else 0

    async def _range(self, _: bytes, operation: Operation) -> None:
        operation.key = ""
        request = pb.RangeRequest(key=b"load/", range_end=b"load0")
        answer = await self._endpoint.call("KV/Range", request)
        operation.revision, operation.kvs = answer.header.revision, seen(answer.kvs)

    async def _swap(self, key: bytes, operation: Operation) -> None:
        """Replace what was seen last, unless somebody was quicker: then look again."""
        put = pb.PutRequest(key=key, value=self._new_value(operation))
        same = pb.Compare(
            key=key, target=pb.Compare.MOD, mod_revision=self._seen.get(key, 0)
        )  # EQUAL is 0
        request = pb.TxnRequest(
            compare=[same],
            success=[pb.RequestOp(request_put=put)],
            failure=[pb.RequestOp(request_range=pb.RangeRequest(key=key))],
        )
        answer = await self._endpoint.call("KV/Txn", request)
        operation.revision, operation.changed = answer.header.revision, answer.succeeded
        if not answer.succeeded:
            operation.kvs = seen(answer.responses[0].response_range.kvs)
            self._seen[key] = operation.kvs[0][3] if operation.kvs else 0


class Watcher:
    """Follows the load's keys at one member, through its deaths: each time on from the revision
    behind the last one that it was told of."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._next = 1
        self._told = asyncio.Event()
        self.events: list[tuple[int, str, str | None]] = []

    async def run(self) -> None:
        while True:
            try:
                async for answer in self._endpoint.watch(self._next):
                    self._take(answer)
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.05)

    def _take(self, answer: Any) -> None:
        assert not answer.canceled, answer
        for event in answer.events:
            value = None if event.type else event.kv.value.decode()
            self.events.append((event.kv.mod_revision, event.kv.key.decode(), value))
            self._next = event.kv.mod_revision + 1
        self._told.set()

    async def until(self, revision: int) -> list[tuple[int, str, str | None]]:
        """What it was told of up to then."""
        while self._next <= revision:
            self._told.clear()
            await self._told.wait()
        return [event for event in self.events if event[0] <= revision]


class Agent:
    def __init__(self, credentials: grpc.ChannelCredentials | None) -> None:
        self._credentials = credentials
        self._endpoints: dict[str, Endpoint] = {}
        self._history: list[Operation] = []
        self._load: list[asyncio.Task[None]] = []
        self._watchers: dict[str, Watcher] = {}
        self._watching: list[asyncio.Task[None]] = []
        self._starts = 0

    async def do(self, words: dict[str, Any]) -> Any:
        return await getattr(self, "do_" + words.pop("do"))(**words)

    async def do_call(self, url: str, method: str, request: Any, timeout_s: float) -> Any:
        message = json_format.ParseDict(request, getattr(pb, request_name(method))())
        answer = await self._endpoint(url).call(method, message, timeout_s)
        return json_format.MessageToDict(answer, always_print_fields_with_no_presence=True)

    async def do_forget(self, url: str) -> None:
        """The member is gone for good, or another will be at its address."""
        endpoint = self._endpoints.pop(url, None)
        if endpoint is not None:
            await endpoint.channel.close()

    async def do_start_load(self, urls: list[str], clients: int) -> None:
        self._starts += 1
        self._watchers = {url: Watcher(Endpoint(url, self._credentials)) for url in urls}
        self._watching = [begin(watcher.run()) for watcher in self._watchers.values()]
        for place, url in enumerate(urls):
            for number in range(clients):
                # Connections of its own: a call that hangs holds nobody else up.
                endpoint = Endpoint(url, self._credentials)
                name = f"s{self._starts}m{place}c{number}"
                self._load.append(begin(Client(name, endpoint, self._history).run()))

    async def do_acknowledged(self) -> int:
        """Writes that were answered so far."""
        return sum(1 for operation in self._history if operation.changed)

    async def do_stop_load(self, urls: list[str], path: str) -> int:
        """Write what was done since the agent began, and what each of the members says happened;
        how many calls."""
        await end(self._load)
        until = await self._mark(urls[0])
        async with asyncio.timeout(PATIENCE_S):
            watches = {url: await w.until(until) for url, w in self._watchers.items()}
        await end(self._watching)
        logs = {url: await self._log_of(url, until) for url in urls}
        operations = [vars(operation) for operation in self._history]
        text = json.dumps({"operations": operations, "logs": logs, "watches": watches})
        await asyncio.to_thread(Path(path).write_text, text)
        return len(operations)

    async def _mark(self, url: str) -> int:
        """A last write, behind which nothing is looked at; its revision."""
        operation = Operation("put", "load/end", f"end{self._starts}", time.monotonic())
        request = pb.PutRequest(key=b"load/end", value=operation.value.encode())
        answer = await self._endpoint(url).call("KV/Put", request, 20.0)
        operation.revision, operation.changed = answer.header.revision, True
        operation.ended_s = time.monotonic()
        self._history.append(operation)
        return operation.revision

    async def _log_of(self, url: str, until: int) -> list[tuple[int, str, str | None]]:
        """Every change of the load's keys, as a watch from the beginning tells it."""
        endpoint = Endpoint(url, self._credentials)
        watcher = Watcher(endpoint)
        watching = [begin(watcher.run())]
        async with asyncio.timeout(PATIENCE_S):
            log = await watcher.until(until)
        await end(watching)
        await endpoint.channel.close()
        return log

    def _endpoint(self, url: str) -> Endpoint:
        if url not in self._endpoints:
            self._endpoints[url] = Endpoint(url, self._credentials)
        return self._endpoints[url]


def begin(work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    task = asyncio.create_task(work)
    task.add_done_callback(ended)
    return task


def ended(task: "asyncio.Task[None]") -> None:
    """These go on until they are cancelled: any other end is a fault of the test."""
    if not task.cancelled() and task.exception() is not None:
        task.get_loop().call_exception_handler({"message": "load", "exception": task.exception()})


async def end(tasks: "list[asyncio.Task[None]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    tasks.clear()


async def main(ca_pem: bytes, cert_pem: bytes, key_pem: bytes) -> None:
    agent = Agent(grpc.ssl_channel_credentials(ca_pem, key_pem, cert_pem))
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        try:
            answer = {"ok": await agent.do(json.loads(line))}
        except grpc.aio.AioRpcError as error:
            answer = {"code": error.code().name, "details": error.details()}
        except Exception as error:
            answer = {"code": "UNKNOWN", "details": repr(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*(Path(path).read_bytes() for path in sys.argv[1:])))
