"""The Watch service: many watches on one stream, one writer per stream."""

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, Final

from pinnace_wire import etcd_rpc_pb2 as rpc
from raftstore.server.calls import Calls, Context, Streams, refuse, requests
from raftstore.server.watched import EncodedEvents
from raftstore.server.watchstream import Stream
from raftstore.server.wire import Headers

if TYPE_CHECKING:
    from raftstore.node import Node

# A message takes the loop some 40 us: together they get about a third of it.
_WINDOW_S: Final = 0.01
_WINDOW_MESSAGES: Final = 80


class WatchService:
    """`progress_interval_s`: how often a watch without events is told of its progress, where it
    asked for that."""

    def __init__(
        self,
        node: "Node",
        headers: Headers,
        calls: Calls,
        streams: Streams,
        progress_interval_s: float,
    ) -> None:
        self._node = node
        self._headers = headers
        self._calls = calls
        self._streams = streams
        self._progress_interval_s = progress_interval_s
        self._encoded = EncodedEvents()
        self._pace = _Pace()
        self._opened = 0

    async def watch(self, _: object, context: Context) -> None:
        try:
            self._calls.check(context, learner=False)
            await self._serve(context)
        except Exception as error:
            await refuse(context, error)

    async def _serve(self, context: Context) -> None:
        self._opened += 1
        # Streams that were opened together do not all tell of their progress together.
        interval_s = self._progress_interval_s * (1 + 0.1 * (self._opened * 0.618 % 1))
        stream = Stream(self._node, self._headers, self._encoded, interval_s)
        ended = self._streams.add(context)
        reading = asyncio.ensure_future(_read(context, stream))
        writing = asyncio.ensure_future(_write(context, stream, self._pace))
        try:
            parts = (reading, writing, ended)
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            for part in parts:
                if part.done():
                    part.result()
        finally:
            stream.close()
            self._streams.remove(ended)
            for task in (reading, writing):
                task.cancel()
                # Who ended the call is raised above; the others only have to be over.
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task


async def _read(context: Context, stream: "Stream") -> None:
    async for request in requests(context):
        stream.ask(rpc.WatchRequest.FromString(request))
        await stream.room()


async def _write(context: Context, stream: "Stream", pace: "_Pace") -> None:
    while True:
        if not pace.take():
            await pace.turn()
        message = stream.next_message()
        if message is None:
            pace.give_back()
            await stream.something()
        else:
            await context.write(message)


class _Pace:
    """How many messages go out in a window of time, on all streams together. A message costs the
    loop more than the events in it: what waits for its turn grows meanwhile, instead of keeping
    the loop from the writes that it tells of. Nothing waits before so many are sent."""

    def __init__(self) -> None:
        self._left = _WINDOW_MESSAGES
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take(self) -> bool:
        """Whether a message may go out now."""
        if self._left == 0:
            return False
        self._left -= 1
        if self._timer is None:
            self._arm()
        return True

    def give_back(self) -> None:
        """There was no message."""
        self._left += 1

    async def turn(self) -> None:
        """Wait until a message may go out, behind those who already wait."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        await waiting

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_WINDOW_S, self._open)

    def _open(self) -> None:
        self._timer = None
        self._left = _WINDOW_MESSAGES
        while self._waiting and self._left:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(None)
                self._left -= 1
        if self._left < _WINDOW_MESSAGES:
            self._arm()
