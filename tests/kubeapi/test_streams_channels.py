"""Channel numbers and messages, and channels as SPDY streams."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeapi.errors import StatusError
from kubeapi.streams.channels import (
    SPDY_PROTOCOLS,
    SUCCESS,
    WEBSOCKET_PROTOCOLS,
    Channel,
    ChannelFrame,
    ChannelProtocolError,
    StreamOptions,
    failure,
    negotiate,
    parse_status,
)
from kubeapi.streams.remotecommand import SpdyChannels
from kubeapi.streams.spdy import Role, SpdyConnection, StreamReset

V4, V5 = WEBSOCKET_PROTOCOLS["v4.channel.k8s.io"], WEBSOCKET_PROTOCOLS["v5.channel.k8s.io"]
V4_BASE64 = WEBSOCKET_PROTOCOLS["v4.base64.channel.k8s.io"]
OLDEST = WEBSOCKET_PROTOCOLS[""]
BUSY = failure(StatusError(500, "InternalError", "no such file"))


def test_the_channels_of_a_session_in_the_order_of_client_go() -> None:
    everything = StreamOptions(stdin=True, stdout=True, stderr=True)
    assert [c.name for c in everything.channels()] == ["ERROR", "STDIN", "STDOUT", "STDERR"]
    terminal = StreamOptions(stdin=True, stdout=True, stderr=True, tty=True)
    assert [c.name for c in terminal.channels()] == ["ERROR", "STDIN", "STDOUT", "RESIZE"]
    assert [c.name for c in terminal.channels(resize=False)] == ["ERROR", "STDIN", "STDOUT"]


@pytest.mark.parametrize(
    ("protocol", "message", "frame"),
    [
        (V5, b"\x00hi", ChannelFrame(Channel.STDIN, b"hi")),
        (V5, b"\x04{}", ChannelFrame(Channel.RESIZE, b"{}")),
        (V5, b"\xff\x00", ChannelFrame(Channel.STDIN, close=True)),
        (V5, b"\x00", ChannelFrame(Channel.STDIN)),
        (V5, b"", None),
        (V4_BASE64, b"0aGk=", ChannelFrame(Channel.STDIN, b"hi")),
    ],
)
def test_what_clients_say(protocol, message: bytes, frame: ChannelFrame | None) -> None:
    assert protocol.decode(message) == frame


@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        (V5, b"\x01hi"),
        (V5, b"\x09"),
        (V5, b"\xff"),
        (V5, b"\xff\x01"),
        (V5, b"\xff\x00\x00"),
        (V4, b"\xff\x00"),
        (V4_BASE64, b"0%%%"),
        (V4_BASE64, b"xaGk="),
    ],
)
def test_what_no_client_may_say(protocol, message: bytes) -> None:
    with pytest.raises(ChannelProtocolError):
        protocol.decode(message)


@pytest.mark.parametrize(
    ("protocol", "frame", "message"),
    [
        (V5, ChannelFrame(Channel.STDOUT, b"hi"), b"\x01hi"),
        (V4_BASE64, ChannelFrame(Channel.STDERR, b"hi"), b"2aGk="),
        (V4, ChannelFrame(Channel.ERROR, SUCCESS, close=True), b"\x03" + SUCCESS),
        (OLDEST, ChannelFrame(Channel.ERROR, SUCCESS, close=True), b"\x03"),
        (OLDEST, ChannelFrame(Channel.ERROR, BUSY, close=True), b"\x03no such file"),
    ],
)
def test_what_the_server_says(protocol, frame: ChannelFrame, message: bytes) -> None:
    assert protocol.encode(frame) == message


@given(st.binary(max_size=50), st.sampled_from(list(WEBSOCKET_PROTOCOLS.values())))
def test_any_message_is_a_frame_or_refused(message: bytes, protocol) -> None:
    try:
        frame = protocol.decode(message)
    except ChannelProtocolError:
        return
    assert frame is None or frame.channel in (Channel.STDIN, Channel.RESIZE)


def test_the_clients_order_decides_the_protocol() -> None:
    offered = ["v9", "v3.channel.k8s.io", "v4.channel.k8s.io"]
    assert negotiate(offered, SPDY_PROTOCOLS) == "v3.channel.k8s.io"
    assert negotiate(["v1"], SPDY_PROTOCOLS) is None


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"\xff"])
def test_what_is_no_status_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(StatusError, match="no Status"):
        parse_status(data)


class Session:
    """A client's and a server's channels; `settle` carries bytes until nothing moves."""

    def __init__(self, protocol: str, options: StreamOptions) -> None:
        self.client = SpdyChannels(Role.CLIENT, protocol, options)
        self.server = SpdyChannels(Role.SERVER, protocol, options)
        self.settle()

    def settle(self) -> tuple[list[ChannelFrame], list[ChannelFrame]]:
        at_server, at_client = [], []
        while True:
            up, down = self.client.data_to_send(), self.server.data_to_send()
            if not up and not down:
                return at_server, at_client
            at_server += self.server.receive_data(up)
            at_client += self.client.receive_data(down)


def test_a_session_over_spdy() -> None:
    session = Session(SPDY_PROTOCOLS[0], StreamOptions(stdin=True, stdout=True, stderr=True))
    assert session.client.awaited == session.server.awaited == []
    session.client.send(ChannelFrame(Channel.STDIN, b"in", close=True))
    session.server.send(ChannelFrame(Channel.STDOUT, b"out"))
    session.server.send(ChannelFrame(Channel.ERROR, SUCCESS, close=True))
    session.server.end()
    at_server, at_client = session.settle()
    assert at_server == [
        ChannelFrame(Channel.STDIN, b"in"),
        ChannelFrame(Channel.STDIN, close=True),
    ]
    assert at_client[:3] == [
        ChannelFrame(Channel.STDOUT, b"out"),
        ChannelFrame(Channel.ERROR, SUCCESS),
        ChannelFrame(Channel.ERROR, close=True),
    ]
    assert {frame.channel for frame in at_client[3:]} == {
        Channel.STDIN,
        Channel.STDOUT,
        Channel.STDERR,
    }


def test_a_terminal_has_resize_from_v3_on() -> None:
    options = StreamOptions(stdin=True, stdout=True, tty=True)
    session = Session("v3.channel.k8s.io", options)
    size = json.dumps({"Width": 80, "Height": 24}).encode()
    session.client.send(ChannelFrame(Channel.RESIZE, size))
    assert session.settle()[0] == [ChannelFrame(Channel.RESIZE, size)]
    older = Session("v2.channel.k8s.io", options)
    older.client.send(ChannelFrame(Channel.RESIZE, size))
    assert older.settle() == ([], [])


def test_before_v4_the_error_stream_is_plain_text() -> None:
    session = Session("v3.channel.k8s.io", StreamOptions(stdout=True))
    session.server.send(ChannelFrame(Channel.ERROR, BUSY, close=True))
    assert session.settle()[1][0] == ChannelFrame(Channel.ERROR, b"no such file")


@pytest.mark.parametrize("name", ["stdin", "resize", "nonsense", ""])
def test_a_stream_that_was_not_asked_for_is_refused(name: str) -> None:
    server = SpdyChannels(Role.SERVER, SPDY_PROTOCOLS[0], StreamOptions(stdout=True))
    client = SpdyConnection(Role.CLIENT)
    client.open_stream((("streamtype", name),))
    server.receive_data(client.data_to_send())
    (event,) = client.receive_data(server.data_to_send())
    assert isinstance(event, StreamReset)
    assert server.awaited == ["error", "stdout"]


def test_the_same_stream_twice_is_refused() -> None:
    server = SpdyChannels(Role.SERVER, SPDY_PROTOCOLS[0], StreamOptions(stdout=True))
    client = SpdyConnection(Role.CLIENT)
    for _ in range(2):
        client.open_stream((("StreamType", "stdout"),))
    server.receive_data(client.data_to_send())
    events = client.receive_data(server.data_to_send())
    assert [type(event).__name__ for event in events] == ["StreamReplied", "StreamReset"]


def test_a_reset_stream_is_closed_and_takes_no_more() -> None:
    session = Session(SPDY_PROTOCOLS[0], StreamOptions(stdout=True))
    session.client._connection.reset(session.client._streams[Channel.STDOUT])
    assert session.settle()[0] == [ChannelFrame(Channel.STDOUT, close=True)]
    assert session.server.sendable_bytes(Channel.STDOUT) is None
    session.server.send(ChannelFrame(Channel.STDOUT, b"dropped"))
    assert session.settle() == ([], [])
