"""The network between members, and the transport of a member on it (`raftstore.peers.transport`).

A message is lost, repeated, late or overtaken as the weather has it; a cut link carries nothing in
its direction. What is sent is encoded as it is between machines, so nothing is shared by accident.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raftstore.core import InstallSnapshot
from raftstore.errors import ClusterError, NodeError, Unreachable
from raftstore.mvcc import MvccError
from raftstore.mvcc.snapshot import SnapshotMismatch
from raftstore.peers import wire
from raftstore.peers.messages import PeerMessage, Question
from raftstore.peers.transport import Receiver
from sim.processes import Process, SimLoop
from sim.trace import Trace

ASK_TIMEOUT_S = 5.0
_STREAM_TIMEOUT_S = 10.0


@dataclass
class Weather:
    """`lost`, `repeated`, `late` and `broken` are chances, per message or per part of a stream.
    `in_order`: what is sent later does not arrive earlier, as on one connection."""

    delay_min_s: float = 0.0002
    delay_max_s: float = 0.002
    lost: float = 0.0
    repeated: float = 0.0
    late: float = 0.0
    late_s: float = 2.0
    broken: float = 0.0
    in_order: bool = True


class Network:
    def __init__(self, loop: SimLoop, rng: random.Random, trace: Trace) -> None:
        self.weather = Weather()
        # Directions that carry nothing: (url of the sender, url of the receiver).
        self.cut: set[tuple[str, str]] = set()
        self.carried = 0
        self._loop = loop
        self._rng = rng
        self._trace = trace
        self._listening: dict[str, SimTransport] = {}
        self._last_arrival_s: dict[tuple[str, str], float] = {}

    def listen(self, url: str, transport: "SimTransport") -> None:
        self._listening[url] = transport

    def at(self, url: str) -> "SimTransport | None":
        found = self._listening.get(url)
        return found if found is not None and found.is_open else None

    def carry(
        self,
        source: str,
        target: str,
        arrive: Callable[["SimTransport"], None],
        *,
        once: bool = False,
    ) -> None:
        """Bring something from one address to another, or lose it."""
        weather, rng = self.weather, self._rng
        if (source, target) in self.cut or rng.random() < weather.lost:
            return
        copies = 2 if not once and rng.random() < weather.repeated else 1
        for copy in range(copies):
            self._loop.after(
                self._delay_s(source, target, copy), self._arrive, source, target, arrive
            )

    def perhaps_again(
        self, source: str, target: str, arrive: Callable[["SimTransport"], None]
    ) -> None:
        """Something that has been carried comes a second time, later."""
        if self._rng.random() < self.weather.repeated:
            delay_s = self._rng.uniform(0.0, self.weather.late_s)
            self._loop.after(delay_s, self._arrive, source, target, arrive)

    def delay_s(self) -> float:
        weather = self.weather
        return self._rng.uniform(weather.delay_min_s, weather.delay_max_s)

    def breaks(self, source: str, target: str) -> bool:
        return (source, target) in self.cut or self._rng.random() < self.weather.broken

    def _delay_s(self, source: str, target: str, copy: int) -> float:
        weather = self.weather
        delay_s = self.delay_s()
        if self._rng.random() < weather.late:
            delay_s += self._rng.uniform(0.0, weather.late_s)
        # A repeated message comes again after what was sent behind it.
        if weather.in_order and not copy:
            now_s = self._loop.true_time()
            last_s = self._last_arrival_s.get((source, target), 0.0)
            arrival_s = max(now_s + delay_s, last_s + 1e-6)
            self._last_arrival_s[source, target] = arrival_s
            return arrival_s - now_s
        return delay_s * (1 + 10 * copy)

    def _arrive(self, source: str, target: str, arrive: Callable[["SimTransport"], None]) -> None:
        transport = self.at(target)
        if transport is not None and (source, target) not in self.cut:
            self.carried += 1
            arrive(transport)


class SimTransport:
    """Of the member that listens at `url`, in one life of it."""

    def __init__(self, network: Network, process: Process, url: str, trace: Trace) -> None:
        self.url = url
        self.receiver: Receiver
        self.process = process
        self._network = network
        self._trace = trace
        self._addresses: dict[int, Sequence[str]] = {}
        self._closed = False
        self._started = False

    @property
    def is_open(self) -> bool:
        return self.process.alive and self._started and not self._closed

    @property
    def member_id(self) -> int:
        return self.receiver.member_id  # type: ignore[attr-defined,no-any-return]

    # -- Transport

    def start(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self._started = True
        self._network.listen(self.url, self)

    def set_members(self, addresses: Mapping[int, Sequence[str]]) -> None:
        self._addresses = {peer: list(urls) for peer, urls in addresses.items()}

    def send(self, peer: int, messages: Sequence[PeerMessage]) -> None:
        url = self._url_of(peer)
        if url is None or not messages:
            return
        data = wire.encode_messages(messages)
        me = self.member_id

        def arrive(target: SimTransport) -> None:
            if target.admits(me, peer, self.url):
                target.process.run(target.receiver.receive, wire.decode_messages(data))

        self.process.leaves(lambda: self._send(url, peer, arrive))

    def send_snapshot(self, message: InstallSnapshot, slices: Iterator[bytes]) -> None:
        self.process.spawn(self._send_snapshot(message, slices))

    async def ask(self, peer: int, question: Question) -> Any:
        url = self._url_of(peer)
        if url is None:
            raise Unreachable(peer, "its address is not known")
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        data = wire.encode_question(question)
        me = self.member_id

        def answered(said: bytes) -> None:
            if not answer.done():
                answer.set_result(said)

        def arrive(target: SimTransport) -> None:
            if target.admits(me, peer, self.url):
                target.process.spawn(target.answer(data, self.url, answered))

        self.process.leaves(lambda: self._send(url, peer, arrive))
        try:
            async with asyncio.timeout(ASK_TIMEOUT_S):
                said = await answer
        except TimeoutError as error:
            raise Unreachable(peer, "no answer in time") from error
        return wire.decode_answer(question, said)

    async def close(self) -> None:
        self._closed = True

    # -- at the sender

    def _url_of(self, peer: int) -> str | None:
        urls = self._addresses.get(peer)
        return urls[0] if urls else None

    def _send(self, url: str, peer: int, arrive: Callable[["SimTransport"], None]) -> None:
        if self._network.at(url) is None and self.is_open:
            # Nobody listens there: a connection is refused at once.
            self.process.run(self.receiver.unreachable, peer)
            return
        self._network.carry(self.url, url, arrive)

    async def _send_snapshot(self, message: InstallSnapshot, slices: Iterator[bytes]) -> None:
        ok = False
        try:
            ok = await self._stream(message, slices)
        finally:
            slices.close()  # type: ignore[attr-defined]
            self._trace.say(f"{self.process.name} snapshot {message.snapshot.index} sent: {ok}")
            self.receiver.snapshot_sent(message.to, ok=ok)

    async def _stream(self, message: InstallSnapshot, slices: Iterator[bytes]) -> bool:
        url = self._url_of(message.to)
        if url is None or self._network.breaks(self.url, url):
            return False
        target = self._network.at(url)
        if target is None or not target.admits(self.member_id, message.to, self.url):
            return False
        stream = _Stream(self._network, self, target, message)
        try:
            for data in slices:
                if data and not await stream.put(data):
                    return False
            return await stream.finish()
        except BaseException:
            stream.break_off()
            raise

    # -- at the receiver

    def admits(self, sender: int, to: int, sender_url: str) -> bool:
        """Only members of this cluster that mean this member; who was removed is told so."""
        if self.member_id != to:
            return False
        if self.receiver.knows_member(sender) is not False:
            return True

        def tell(source: SimTransport) -> None:
            if source.member_id == sender:
                self._trace.say(f"{source.process.name} hears that it was removed")
                source.process.run(source.receiver.removed)

        self._network.carry(self.url, sender_url, tell)
        return False

    async def answer(self, data: bytes, sender_url: str, answered: Callable[[bytes], None]) -> None:
        try:
            said = wire.encode_answer(await self.receiver.answer(wire.decode_question(data)))
        except (MvccError, NodeError, ClusterError) as error:
            said = wire.encode_refusal(error)

        def arrive(source: SimTransport) -> None:
            source.process.run(answered, said)

        self.process.leaves(lambda: self._network.carry(self.url, sender_url, arrive))


class _Stream:
    """A snapshot on its way; it may break in the middle, and a whole one may come again."""

    def __init__(
        self,
        network: Network,
        source: SimTransport,
        target: SimTransport,
        message: InstallSnapshot,
    ) -> None:
        self._network = network
        self._source = source
        self._target = target
        self._data = wire.encode_messages([message])
        self._parts: list[bytes] = []
        self._taken: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        target.process.spawn(_take(target, self._data, self._queue, self._answer))

    async def put(self, data: bytes) -> bool:
        """Whether the stream still holds."""
        await asyncio.sleep(self._network.delay_s())
        if self._network.breaks(self._source.url, self._target.url) or not self._target.is_open:
            self.break_off()
            return False
        self._parts.append(data)
        self._target.process.run(self._queue.put_nowait, data)
        return True

    async def finish(self) -> bool:
        if not await self.put(b""):
            return False
        self._perhaps_again()
        try:
            async with asyncio.timeout(_STREAM_TIMEOUT_S):
                return await self._taken
        except TimeoutError:
            return False

    def break_off(self) -> None:
        self._target.process.run(self._queue.put_nowait, None)

    def _answer(self, ok: bool) -> None:
        def arrive(source: SimTransport) -> None:
            source.process.run(self._answered, ok)

        self._network.carry(self._target.url, self._source.url, arrive, once=True)

    def _answered(self, ok: bool) -> None:
        if not self._taken.done():
            self._taken.set_result(ok)

    def _perhaps_again(self) -> None:
        """The same stream, whole, to whoever listens there then."""
        parts, data = list(self._parts), self._data

        def arrive(target: SimTransport) -> None:
            if target.member_id == self._target.member_id:
                queue: asyncio.Queue[bytes | None] = asyncio.Queue()
                for part in parts:
                    queue.put_nowait(part)
                target.process.spawn(_take(target, data, queue, lambda ok: None))

        self._network.perhaps_again(self._source.url, self._target.url, arrive)


async def _take(
    target: SimTransport,
    data: bytes,
    queue: "asyncio.Queue[bytes | None]",
    answer: Callable[[bool], None],
) -> None:
    """As the server of the real transport does."""
    try:
        [message] = wire.decode_messages(data)
        assert isinstance(message, InstallSnapshot)
        await target.receiver.receive_snapshot(message, _parts(queue))
        ok = True
    except (wire.BadFrame, SnapshotMismatch, NodeError, ValueError):
        ok = False
    target.process.leaves(lambda: answer(ok))


async def _parts(queue: "asyncio.Queue[bytes | None]") -> AsyncIterator[bytes]:
    while True:
        try:
            async with asyncio.timeout(_STREAM_TIMEOUT_S):
                part = await queue.get()
        except TimeoutError:
            raise wire.BadFrame("the snapshot does not come") from None
        if part is None:
            raise wire.BadFrame("the snapshot has no end")
        if not part:
            return
        yield part
