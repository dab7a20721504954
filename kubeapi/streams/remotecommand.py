"""Kubernetes' channels as SPDY streams, for both roles: bytes in, channel frames out.

Each channel is a stream whose header `streamtype` names it; the client opens them all. v2 has
error, stdin, stdout and stderr, v3 adds resize, v4 a JSON Status on the error stream.
Source: k8s.io/client-go `tools/remotecommand`, k8s.io/kubelet `pkg/cri/streaming/remotecommand`.
"""

from kubeapi.streams import spdy_frames as frames
from kubeapi.streams.channels import Channel, ChannelFrame, StreamOptions, plain_error
from kubeapi.streams.spdy import (
    DataReceived,
    Event,
    Role,
    SpdyConnection,
    StreamEnded,
    StreamOpened,
    StreamReplied,
    StreamReset,
)

STREAM_TYPE_HEADER = "streamtype"
_NAMES = {
    Channel.ERROR: "error",
    Channel.STDIN: "stdin",
    Channel.STDOUT: "stdout",
    Channel.STDERR: "stderr",
    Channel.RESIZE: "resize",
}
_BY_NAME = {name: channel for channel, name in _NAMES.items()}
_V2 = "v2.channel.k8s.io"
_V4 = "v4.channel.k8s.io"


class SpdyChannels:
    """A session's channels over one SPDY connection."""

    def __init__(self, role: Role, protocol: str, options: StreamOptions) -> None:
        self._connection = SpdyConnection(role)
        self._status_json = protocol == _V4
        self._awaited = set(options.channels(resize=protocol != _V2))
        self._streams: dict[Channel, int] = {}
        self._channels: dict[int, Channel] = {}
        if role is Role.CLIENT:
            for channel in options.channels(resize=protocol != _V2):
                headers = ((STREAM_TYPE_HEADER, _NAMES[channel]),)
                self._bind(self._connection.open_stream(headers), channel)

    @property
    def awaited(self) -> list[str]:
        """Names of the streams that are not yet there (server) or accepted (client)."""
        return sorted(_NAMES[channel] for channel in self._awaited)

    def data_to_send(self) -> bytes:
        return self._connection.data_to_send()

    def receive_data(self, data: bytes) -> list[ChannelFrame]:
        """Frames in the order of arrival. Raises RemoteProtocolError."""
        seen = (self._frame(event) for event in self._connection.receive_data(data))
        return [frame for frame in seen if frame is not None]

    def acknowledge(self, frame: ChannelFrame) -> None:
        """`frame`, which `receive_data` gave, has been passed on."""
        if frame.data:
            self._connection.acknowledge(self._streams.get(frame.channel, 0), len(frame.data))

    def sendable_bytes(self, channel: Channel) -> int | None:
        """What the windows allow now; None where nobody reads the channel any more."""
        stream_id = self._streams.get(channel)
        if stream_id is None:
            return None
        try:
            return self._connection.sendable_bytes(stream_id)
        except frames.LocalProtocolError:
            return None

    def send(self, frame: ChannelFrame) -> None:
        """Send data, at most `sendable_bytes`; what nobody reads is dropped."""
        data = frame.data
        if frame.channel is Channel.ERROR and not self._status_json:
            data = plain_error(data)
        stream_id = self._streams.get(frame.channel)
        if stream_id is None or not (data or frame.close):
            return
        self._connection.send_data(stream_id, data, fin=frame.close)
        if frame.close:
            del self._streams[frame.channel]

    def end(self) -> None:
        """Close every channel from this side, and take no new streams."""
        for channel in list(self._streams):
            if self.sendable_bytes(channel) is not None:
                self._connection.send_data(self._streams.pop(channel), b"", fin=True)
        self._connection.go_away()

    def _frame(self, event: Event) -> ChannelFrame | None:
        match event:
            case StreamOpened(stream_id, headers):
                self._accept(stream_id, dict(headers).get(STREAM_TYPE_HEADER, ""))
            case StreamReplied(stream_id, _):
                self._awaited.discard(self._channels[stream_id])
            case DataReceived(stream_id, data) if stream_id in self._channels:
                return ChannelFrame(self._channels[stream_id], data)
            case StreamEnded(stream_id) if stream_id in self._channels:
                return ChannelFrame(self._channels[stream_id], close=True)
            case StreamReset(stream_id, _) if stream_id in self._channels:
                channel = self._channels.pop(stream_id)
                if self._streams.get(channel) == stream_id:
                    del self._streams[channel]
                return ChannelFrame(channel, close=True)
        return None

    def _accept(self, stream_id: int, name: str) -> None:
        channel = _BY_NAME.get(name.lower())
        if channel is None or channel not in self._awaited:
            self._connection.reset(stream_id, frames.REFUSED_STREAM)
            return
        self._connection.reply(stream_id)
        self._bind(stream_id, channel)
        self._awaited.discard(channel)

    def _bind(self, stream_id: int, channel: Channel) -> None:
        self._streams[channel] = stream_id
        self._channels[stream_id] = channel
