"""How a call begins and ends: guards, refusals as statuses, streams that end with the server.

Handlers take and give bytes. A call that goes well passes through one coroutine of ours beside
its handler: at ten thousand calls a second every layer counts.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final, NoReturn, Protocol

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from raftstore.server.errors import NoLeader, NotSupportedForLearner, Undecodable

_log = logging.getLogger("raftstore.server")

Context = grpc.aio.ServicerContext[bytes, bytes]
Unary = Callable[[bytes], Awaitable[bytes]]
UnaryStream = Callable[[bytes], AsyncGenerator[bytes, None]]

_CODES: Final = {code.name: code for code in grpc.StatusCode}
_REQUIRE_LEADER: Final = "hasleader"


class Standing(Protocol):
    """What of a node decides whether a call is served at all."""

    @property
    def leader(self) -> int: ...

    @property
    def is_learner(self) -> bool: ...


async def requests(context: Context) -> AsyncIterator[bytes]:
    """What the caller of a stream sends, until it has no more."""
    while True:
        request: Any = await context.read()
        if request is grpc.aio.EOF:
            return
        yield request


async def refuse(context: Context, error: Exception) -> NoReturn:
    """End the call with `error`; what is no refusal of ours is a defect and goes to the log."""
    if isinstance(error, DecodeError):
        error = Undecodable()
    code = getattr(error, "code", None)
    if not isinstance(code, str):
        _log.error("a call failed", exc_info=error)
        await context.abort(grpc.StatusCode.INTERNAL, f"etcdserver: internal error: {error!r}")
    await context.abort(_CODES[code], str(error))
    raise AssertionError("abort raises")


class Calls:
    """Makes gRPC handlers of methods. `learner` says that a learner serves the call too."""

    def __init__(self, node: Standing) -> None:
        self._node = node

    def unary(self, handler: Unary, *, learner: bool = False) -> "grpc.RpcMethodHandler[Any, Any]":
        node = self._node

        async def call(request: bytes, context: Context) -> bytes:
            try:
                if node.leader == 0 or node.is_learner:
                    self.check(context, learner=learner)
                return await handler(request)
            except Exception as error:
                await refuse(context, error)

        return grpc.unary_unary_rpc_method_handler(call)

    def unary_stream(
        self, handler: UnaryStream, *, learner: bool = False
    ) -> "grpc.RpcMethodHandler[Any, Any]":
        async def call(request: bytes, context: Context) -> None:
            try:
                self.check(context, learner=learner)
                async with aclosing(handler(request)) as answers:
                    async for answer in answers:
                        await context.write(answer)
            except Exception as error:
                await refuse(context, error)

        return grpc.unary_stream_rpc_method_handler(call)

    def check(self, context: Context, *, learner: bool) -> None:
        """Raises NotSupportedForLearner, and NoLeader where the caller asked to hear of it."""
        if self._node.is_learner and not learner:
            raise NotSupportedForLearner
        if self._node.leader == 0 and requires_leader(context):
            raise NoLeader


def requires_leader(context: Context) -> bool:
    return (_REQUIRE_LEADER, "true") in (context.invocation_metadata() or ())


class Streams:
    """The long streams that are open: they end when the server does, and those of callers who
    asked for it when no leader is known for three election timeouts (etcd `monitorLeader`)."""

    def __init__(self, node: Standing, election_timeout_s: float) -> None:
        self._node = node
        self._election_timeout_s = election_timeout_s
        self._open: dict[asyncio.Future[None], bool] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._leaderless = 0
        self._ended: Exception | None = None

    def add(self, context: Context) -> "asyncio.Future[None]":
        """A future that fails with the reason once the stream must end; hand it to `remove`."""
        ended = asyncio.get_running_loop().create_future()
        if self._ended is not None:
            ended.set_exception(self._ended)
        self._open[ended] = requires_leader(context)
        if self._open[ended] and self._timer is None:
            self._arm()
        return ended

    def remove(self, ended: "asyncio.Future[None]") -> None:
        del self._open[ended]
        if not ended.cancel():
            # Seen: nobody is to be told that it was never looked at.
            ended.exception()

    def end(self, why: Exception) -> None:
        """All of them, and those that still come."""
        self._ended = why
        if self._timer is not None:
            self._timer.cancel()
        self._end(list(self._open), why)

    def _arm(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._election_timeout_s, self._look_for_leader)

    def _look_for_leader(self) -> None:
        self._timer = None
        self._leaderless = 0 if self._node.leader else self._leaderless + 1
        requiring = [ended for ended, requires in self._open.items() if requires]
        if self._leaderless >= _LEADERLESS_MAX:
            self._end(requiring, NoLeader())
        elif requiring:
            self._arm()

    @staticmethod
    def _end(streams: "list[asyncio.Future[None]]", why: Exception) -> None:
        for ended in streams:
            if not ended.done():
                ended.set_exception(why)


_LEADERLESS_MAX: Final = 3
