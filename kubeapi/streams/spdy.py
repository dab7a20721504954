"""A SPDY/3.1 connection as a state machine: bytes in, events out; commands in, bytes out.

Flow control is one-sided by need. The peers of Kubernetes (moby/spdystream in kubectl and in
containerd) neither keep windows nor send WINDOW_UPDATE: who waited for one would wait for ever
after 64 KB. So this side tells its windows truly, never enforces them, and keeps the peer's from
the moment the peer shows that it has any. A client is silent about its own until then, too: a
container runtime closes its socket as soon as the process has ended, and a WINDOW_UPDATE that
arrives afterwards makes its kernel drop the output that we have not yet read (RFC 1122, 4.2.2.13).

What bounds memory is that the owner of the connection reads no more from the socket until it has
passed on what it got.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from kubeapi.streams import spdy_frames as frames
from kubeapi.streams.spdy_frames import HeaderList, LocalProtocolError, RemoteProtocolError

INITIAL_WINDOW_BYTES: Final = 64 * 1024
WINDOW_MAX_BYTES: Final = 2**31 - 1
# A WINDOW_UPDATE for every half window: few frames, and the sender is never held up.
_ACKNOWLEDGE_AT_BYTES: Final = INITIAL_WINDOW_BYTES // 2
STREAMS_MAX: Final = 256
_SESSION: Final = 0


class Role(Enum):
    """The client's streams and pings have odd numbers, the server's even ones."""

    CLIENT = 1
    SERVER = 2


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """The peer opened a stream; `reply` or `reset` answers it."""

    stream_id: int
    headers: HeaderList


@dataclass(frozen=True, slots=True)
class StreamReplied:
    """The peer accepted a stream of this side's: data may be sent now."""

    stream_id: int
    headers: HeaderList


@dataclass(frozen=True, slots=True)
class DataReceived:
    """Call `acknowledge` with its length when it has been passed on."""

    stream_id: int
    data: bytes


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """The peer sends no more on this stream."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class StreamReset:
    """The stream is gone in both directions."""

    stream_id: int
    status: int


@dataclass(frozen=True, slots=True)
class WindowOpened:
    """More may be sent on this stream; 0 is all of them."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class PingAnswered:
    ping_id: int


@dataclass(frozen=True, slots=True)
class GoAwayReceived:
    """The peer accepts no new streams; the present ones go on."""

    last_good_id: int
    status: int


Event = (
    StreamOpened
    | StreamReplied
    | DataReceived
    | StreamEnded
    | StreamReset
    | WindowOpened
    | PingAnswered
    | GoAwayReceived
)


@dataclass(slots=True)
class _Stream:
    replied: bool
    local_open: bool = True
    remote_open: bool = True
    send_window_bytes: int = INITIAL_WINDOW_BYTES
    unacknowledged_bytes: int = 0


@dataclass
class SpdyConnection:
    """One end of a connection. After a `RemoteProtocolError` it is of no more use."""

    role: Role
    streams_max: int = STREAMS_MAX
    _reader: frames.FrameReader = field(default_factory=frames.FrameReader)
    _writer: frames.FrameWriter = field(default_factory=frames.FrameWriter)
    _outbox: bytearray = field(default_factory=bytearray)
    _streams: dict[int, _Stream] = field(default_factory=dict)
    _peer_keeps_windows: bool = False
    _peer_initial_window_bytes: int = INITIAL_WINDOW_BYTES
    _send_window_bytes: int = INITIAL_WINDOW_BYTES
    _unacknowledged_bytes: int = 0
    _last_peer_id: int = 0
    _gone_away: bool = False
    _broken: str = ""

    def __post_init__(self) -> None:
        self._next_id = self.role.value
        self._next_ping = self.role.value

    @property
    def buffered_bytes(self) -> int:
        """What is held of the peer's bytes: never more than one control frame."""
        return self._reader.buffered_bytes

    def data_to_send(self) -> bytes:
        """Everything that is to be written to the socket now."""
        data = bytes(self._outbox)
        self._outbox.clear()
        return data

    # Commands

    def open_stream(self, headers: HeaderList) -> int:
        """Ask the peer for a stream; data may follow once `StreamReplied` came."""
        if self._gone_away:
            raise LocalProtocolError("the peer takes no new streams")
        stream_id, self._next_id = self._next_id, self._next_id + 2
        self._streams[stream_id] = _Stream(False, send_window_bytes=self._peer_initial_window_bytes)
        self._send(frames.SynStream(stream_id, headers))
        return stream_id

    def reply(self, stream_id: int, headers: HeaderList = ()) -> None:
        """Accept a stream that the peer opened. It may have ended since: then nothing is said."""
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        if stream.replied:
            raise LocalProtocolError(f"stream {stream_id} is answered already")
        stream.replied = True
        self._send(frames.SynReply(stream_id, headers))

    def sendable_bytes(self, stream_id: int) -> int:
        """How much data the windows allow on this stream now."""
        stream = self._stream(stream_id)
        if not self._peer_keeps_windows:
            return WINDOW_MAX_BYTES
        return max(0, min(stream.send_window_bytes, self._send_window_bytes))

    def send_data(self, stream_id: int, data: bytes, *, fin: bool = False) -> None:
        """Send at most `sendable_bytes`; with `fin` nothing more follows on the stream."""
        stream = self._stream(stream_id)
        if not stream.replied or not stream.local_open:
            why = "closed" if stream.replied else "not accepted yet"
            raise LocalProtocolError(f"data on stream {stream_id}, which is {why}")
        if len(data) > self.sendable_bytes(stream_id):
            raise LocalProtocolError(f"data on stream {stream_id} beyond its window")
        stream.send_window_bytes -= len(data)
        self._send_window_bytes -= len(data)
        self._send(frames.Data(stream_id, data, fin))
        if fin:
            stream.local_open = False
            self._forget_if_closed(stream_id)

    def reset(self, stream_id: int, status: int = frames.CANCEL) -> None:
        """Drop a stream in both directions."""
        self._streams.pop(stream_id, None)
        self._send(frames.RstStream(stream_id, status))

    def acknowledge(self, stream_id: int, size_bytes: int) -> None:
        """`size_bytes` of received data have been passed on: the peer may send as many more."""
        self._unacknowledged_bytes += size_bytes
        stream = self._streams.get(stream_id)
        if stream is not None and stream.remote_open:
            stream.unacknowledged_bytes += size_bytes
        self._tell_windows(_ACKNOWLEDGE_AT_BYTES)

    def _tell_windows(self, at_bytes: int) -> None:
        if self.role is Role.CLIENT and not self._peer_keeps_windows:
            return
        if self._unacknowledged_bytes >= at_bytes:
            self._send(frames.WindowUpdate(_SESSION, self._unacknowledged_bytes))
            self._unacknowledged_bytes = 0
        for stream_id, stream in self._streams.items():
            if stream.unacknowledged_bytes >= at_bytes and stream.remote_open:
                self._send(frames.WindowUpdate(stream_id, stream.unacknowledged_bytes))
                stream.unacknowledged_bytes = 0

    def _peer_has_windows(self) -> None:
        """From now on windows count, from the first byte on: tell what has been kept back."""
        if not self._peer_keeps_windows:
            self._peer_keeps_windows = True
            self._tell_windows(1)

    def ping(self) -> int:
        """Ask for a sign of life; its `PingAnswered` carries the number returned here."""
        ping_id = self._next_ping
        self._next_ping = (self._next_ping + 2) % 2**32
        self._send(frames.Ping(ping_id))
        return ping_id

    def go_away(self, status: int = 0) -> None:
        """Tell the peer that no stream after the last one seen is served."""
        self._send(frames.GoAway(self._last_peer_id, status))

    # Events

    def receive_data(self, data: bytes) -> list[Event]:
        """What the peer's bytes mean. Raises RemoteProtocolError, and from then on always."""
        if self._broken:
            raise RemoteProtocolError(self._broken)
        events: list[Event] = []
        try:
            for frame in self._reader.feed(data):
                events += self._receive(frame)
        except RemoteProtocolError as error:
            self._broken = str(error)
            raise
        return events

    def _receive(self, frame: frames.Frame) -> list[Event]:
        match frame:
            case frames.Data():
                return self._receive_data(frame)
            case frames.SynStream():
                return self._receive_syn_stream(frame)
            case frames.SynReply():
                return self._receive_syn_reply(frame)
            case frames.Headers(stream_id, _, fin):
                # Later headers mean nothing in Kubernetes' protocols; their FIN does.
                return self._ended(stream_id) if fin else []
            case frames.RstStream(stream_id, status):
                known = self._streams.pop(stream_id, None)
                return [StreamReset(stream_id, status)] if known else []
            case frames.Settings(values):
                return self._receive_settings(dict(values))
            case frames.Ping(ping_id):
                return self._receive_ping(ping_id)
            case frames.GoAway(last_good_id, status):
                self._gone_away = True
                return [GoAwayReceived(last_good_id, status)]
            case frames.WindowUpdate(stream_id, delta):
                return self._receive_window_update(stream_id, delta)

    def _receive_data(self, frame: frames.Data) -> list[Event]:
        stream = self._streams.get(frame.stream_id)
        if stream is None or not stream.remote_open:
            self._refuse_data(frame)
            return []
        events: list[Event] = []
        if frame.data:
            events.append(DataReceived(frame.stream_id, frame.data))
        return events + (self._ended(frame.stream_id) if frame.fin else [])

    def _refuse_data(self, frame: frames.Data) -> None:
        """Data that nobody takes still counts for the session's window."""
        self.acknowledge(frame.stream_id, len(frame.data))
        # A stream that was there may have been reset while data was on its way (section 2.4.2).
        if self._is_unheard_of(frame.stream_id):
            self._send(frames.RstStream(frame.stream_id, frames.INVALID_STREAM))

    def _is_unheard_of(self, stream_id: int) -> bool:
        last_id = self._last_peer_id if self._is_peers(stream_id) else self._next_id - 2
        return stream_id > last_id

    def _is_peers(self, number: int) -> bool:
        return number % 2 != self.role.value % 2

    def _receive_syn_stream(self, frame: frames.SynStream) -> list[Event]:
        stream_id = frame.stream_id
        # Section 2.3.2: numbers of the opener's parity that only grow; else the session is off.
        if not self._is_peers(stream_id) or stream_id <= self._last_peer_id:
            raise RemoteProtocolError(f"SYN_STREAM with stream id {stream_id}")
        self._last_peer_id = stream_id
        if len(self._streams) >= self.streams_max:
            self._send(frames.RstStream(stream_id, frames.REFUSED_STREAM))
            return []
        self._streams[stream_id] = _Stream(
            False,
            local_open=not frame.unidirectional,
            send_window_bytes=self._peer_initial_window_bytes,
        )
        events: list[Event] = [StreamOpened(stream_id, frame.headers)]
        return events + (self._ended(stream_id) if frame.fin else [])

    def _receive_syn_reply(self, frame: frames.SynReply) -> list[Event]:
        stream = self._streams.get(frame.stream_id)
        if stream is None:
            return []
        if stream.replied or self._is_peers(frame.stream_id):
            # Section 2.3.3: a second reply ends the stream.
            self.reset(frame.stream_id, frames.STREAM_IN_USE)
            return [StreamReset(frame.stream_id, frames.STREAM_IN_USE)]
        stream.replied = True
        events: list[Event] = [StreamReplied(frame.stream_id, frame.headers)]
        return events + (self._ended(frame.stream_id) if frame.fin else [])

    def _receive_settings(self, values: dict[int, int]) -> list[Event]:
        size_bytes = values.get(frames.SETTINGS_INITIAL_WINDOW_SIZE)
        if size_bytes is None:
            return []
        if size_bytes > WINDOW_MAX_BYTES:
            raise RemoteProtocolError(f"initial window of {size_bytes} bytes")
        self._peer_has_windows()
        # Section 2.6.8: streams that are open are moved by the difference, and may go below zero.
        for stream in self._streams.values():
            stream.send_window_bytes += size_bytes - self._peer_initial_window_bytes
        self._peer_initial_window_bytes = size_bytes
        return [WindowOpened(_SESSION)]

    def _receive_ping(self, ping_id: int) -> list[Event]:
        if self._is_peers(ping_id):
            self._send(frames.Ping(ping_id))
            return []
        return [PingAnswered(ping_id)]

    def _receive_window_update(self, stream_id: int, delta_bytes: int) -> list[Event]:
        self._peer_has_windows()
        if stream_id == _SESSION:
            self._send_window_bytes += delta_bytes
            if self._send_window_bytes > WINDOW_MAX_BYTES:
                raise RemoteProtocolError("the session's window grew beyond 2^31-1")
            return [WindowOpened(_SESSION)]
        stream = self._streams.get(stream_id)
        if stream is None:
            return []
        stream.send_window_bytes += delta_bytes
        if stream.send_window_bytes > WINDOW_MAX_BYTES:
            self.reset(stream_id, frames.FLOW_CONTROL_ERROR)
            return [StreamReset(stream_id, frames.FLOW_CONTROL_ERROR)]
        return [WindowOpened(stream_id)]

    def _ended(self, stream_id: int) -> list[Event]:
        stream = self._streams.get(stream_id)
        if stream is None or not stream.remote_open:
            return []
        stream.remote_open = False
        self._forget_if_closed(stream_id)
        return [StreamEnded(stream_id)]

    def _forget_if_closed(self, stream_id: int) -> None:
        stream = self._streams[stream_id]
        if not stream.local_open and not stream.remote_open:
            del self._streams[stream_id]

    def _stream(self, stream_id: int) -> _Stream:
        stream = self._streams.get(stream_id)
        if stream is None:
            raise LocalProtocolError(f"there is no stream {stream_id}")
        return stream

    def _send(self, frame: frames.Frame) -> None:
        self._outbox += self._writer.encode(frame)
