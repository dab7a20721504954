"""SPDY/3.1: two machines joined by bytes, single frames by hand, and anything at all."""

import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeapi.streams import spdy_frames as frames
from kubeapi.streams.spdy import (
    INITIAL_WINDOW_BYTES,
    DataReceived,
    GoAwayReceived,
    PingAnswered,
    Role,
    SpdyConnection,
    StreamEnded,
    StreamOpened,
    StreamReplied,
    StreamReset,
    WindowOpened,
)
from kubeapi.streams.spdy_frames import LocalProtocolError, RemoteProtocolError

STDIN = (("streamtype", "stdin"),)


class Pair:
    """A client and a server; what one sends the other gets at once."""

    def __init__(self, **server: int) -> None:
        self.client = SpdyConnection(Role.CLIENT)
        self.server = SpdyConnection(Role.SERVER, **server)

    def to_server(self) -> list:
        return self.server.receive_data(self.client.data_to_send())

    def to_client(self) -> list:
        return self.client.receive_data(self.server.data_to_send())

    def open_stream(self) -> int:
        stream_id = self.client.open_stream(STDIN)
        self.to_server()
        self.server.reply(stream_id)
        self.to_client()
        return stream_id


def keep_windows(pair: Pair) -> None:
    """The server shows the client that it keeps windows, as spdystream never does."""
    pair.server.acknowledge(0, INITIAL_WINDOW_BYTES // 2)
    pair.client.receive_data(pair.server.data_to_send())
    pair.client._send_window_bytes = INITIAL_WINDOW_BYTES


def test_the_dictionary_is_that_of_the_draft() -> None:
    assert len(frames.DICTIONARY) == 1423
    assert zlib.adler32(frames.DICTIONARY) == 0xE3C6A7C2


def test_a_stream_from_opening_to_end() -> None:
    pair = Pair()
    stream_id = pair.client.open_stream((("StreamType", "stdin"), ("port", "80")))
    headers = (("streamtype", "stdin"), ("port", "80"))
    assert pair.to_server() == [StreamOpened(1, headers)]
    pair.server.reply(stream_id)
    assert pair.to_client() == [StreamReplied(1, ())]
    pair.client.send_data(stream_id, b"hello")
    pair.client.send_data(stream_id, b"", fin=True)
    assert pair.to_server() == [DataReceived(1, b"hello"), StreamEnded(1)]
    pair.server.send_data(stream_id, b"bye", fin=True)
    assert pair.to_client() == [DataReceived(1, b"bye"), StreamEnded(1)]
    with pytest.raises(LocalProtocolError, match="no stream 1"):
        pair.client.send_data(stream_id, b"more")


def test_numbers_of_streams_and_pings_are_odd_for_clients_and_even_for_servers() -> None:
    pair = Pair()
    assert [pair.client.open_stream(STDIN) for _ in range(3)] == [1, 3, 5]
    assert [pair.server.open_stream(STDIN) for _ in range(3)] == [2, 4, 6]
    assert [pair.client.ping(), pair.server.ping()] == [1, 2]
    pair.to_server()
    assert PingAnswered(1) in pair.to_client()
    assert PingAnswered(2) in pair.to_server()


def test_no_data_before_the_reply() -> None:
    """spdystream drops data of a stream that it has not answered yet."""
    client = SpdyConnection(Role.CLIENT)
    stream_id = client.open_stream(STDIN)
    with pytest.raises(LocalProtocolError, match="not accepted yet"):
        client.send_data(stream_id, b"early")


def test_windows_do_not_bind_until_the_peer_shows_that_it_keeps_them() -> None:
    pair = Pair()
    stream_id = pair.open_stream()
    pair.client.send_data(stream_id, bytes(10 * INITIAL_WINDOW_BYTES))
    assert pair.client.sendable_bytes(stream_id) > INITIAL_WINDOW_BYTES


def test_windows_of_a_peer_that_keeps_them() -> None:
    pair = Pair()
    stream_id = pair.open_stream()
    keep_windows(pair)
    pair.client.send_data(stream_id, bytes(INITIAL_WINDOW_BYTES - 1))
    assert pair.client.sendable_bytes(stream_id) == 1
    with pytest.raises(LocalProtocolError, match="beyond its window"):
        pair.client.send_data(stream_id, b"ab")
    pair.client.send_data(stream_id, b"a")
    assert pair.client.sendable_bytes(stream_id) == 0
    pair.to_server()
    pair.server.acknowledge(stream_id, INITIAL_WINDOW_BYTES)
    assert WindowOpened(stream_id) in pair.to_client()
    assert pair.client.sendable_bytes(stream_id) >= INITIAL_WINDOW_BYTES


def test_a_client_says_nothing_of_windows_to_a_server_that_has_none() -> None:
    """What reaches a runtime after it has closed makes its kernel drop unread output."""
    pair = Pair()
    stream_id = pair.open_stream()
    pair.client.acknowledge(stream_id, 10 * INITIAL_WINDOW_BYTES)
    assert pair.client.data_to_send() == b""
    pair.server.acknowledge(stream_id, INITIAL_WINDOW_BYTES)
    pair.to_client()
    # From the first sign on it tells all of it, or a server that counts would wait for ever.
    assert pair.to_server() == [WindowOpened(0), WindowOpened(stream_id)]
    assert pair.server.sendable_bytes(stream_id) == 11 * INITIAL_WINDOW_BYTES


def test_a_new_initial_window_moves_open_streams_too() -> None:
    pair = Pair()
    stream_id = pair.open_stream()
    pair.client.send_data(stream_id, bytes(60_000))
    frame = frames.Settings(((frames.SETTINGS_INITIAL_WINDOW_SIZE, 50_000),))
    pair.client.receive_data(frames.FrameWriter().encode(frame))
    assert pair.client.sendable_bytes(stream_id) == 0
    pair.client.receive_data(frames.FrameWriter().encode(frames.WindowUpdate(stream_id, 10_500)))
    assert pair.client.sendable_bytes(stream_id) == 500


def test_a_window_beyond_its_maximum_resets_the_stream_or_ends_the_session() -> None:
    pair = Pair()
    stream_id = pair.open_stream()
    writer = frames.FrameWriter()
    huge = writer.encode(frames.WindowUpdate(stream_id, 0x7FFFFFFF))
    assert pair.client.receive_data(huge) == [StreamReset(1, frames.FLOW_CONTROL_ERROR)]
    with pytest.raises(RemoteProtocolError, match="window"):
        pair.client.receive_data(writer.encode(frames.WindowUpdate(0, 0x7FFFFFFF)))


def test_reset_drops_the_stream_and_what_is_on_its_way() -> None:
    pair = Pair()
    stream_id = pair.open_stream()
    pair.client.send_data(stream_id, b"on its way")
    pair.server.reset(stream_id)
    assert pair.to_server() == []
    assert pair.to_client() == [StreamReset(1, frames.CANCEL)]
    assert pair.server.data_to_send() == b""


def test_a_stream_that_was_reset_in_the_same_breath_may_be_answered() -> None:
    pair = Pair()
    stream_id = pair.client.open_stream(STDIN)
    pair.client.reset(stream_id)
    assert pair.to_server() == [StreamOpened(1, STDIN), StreamReset(1, frames.CANCEL)]
    pair.server.reply(stream_id)
    assert pair.server.data_to_send() == b""


def test_data_for_a_stream_that_never_was_is_answered_with_a_reset() -> None:
    server = SpdyConnection(Role.SERVER)
    assert server.receive_data(frames.FrameWriter().encode(frames.Data(7, b"x"))) == []
    (reset,) = frames.FrameReader().feed(server.data_to_send())
    assert reset == frames.RstStream(7, frames.INVALID_STREAM)


def test_one_stream_too_many_is_refused() -> None:
    pair = Pair(streams_max=2)
    for _ in range(3):
        pair.client.open_stream(STDIN)
    assert [event.stream_id for event in pair.to_server()] == [1, 3]
    assert pair.to_client() == [StreamReset(5, frames.REFUSED_STREAM)]


@pytest.mark.parametrize("stream_id", [0, 2, 3])
def test_stream_numbers_must_be_the_peers_and_grow(stream_id: int) -> None:
    server = SpdyConnection(Role.SERVER)
    writer = frames.FrameWriter()
    server.receive_data(writer.encode(frames.SynStream(3, STDIN)))
    with pytest.raises(RemoteProtocolError, match=f"stream id {stream_id}"):
        server.receive_data(writer.encode(frames.SynStream(stream_id, STDIN)))
    with pytest.raises(RemoteProtocolError):
        server.receive_data(b"")


def test_a_second_reply_resets_the_stream() -> None:
    pair = Pair()
    stream_id = pair.open_stream()
    again = pair.server._writer.encode(frames.SynReply(stream_id, ()))
    assert pair.client.receive_data(again) == [StreamReset(1, frames.STREAM_IN_USE)]


def test_after_goaway_no_new_stream_is_opened() -> None:
    pair = Pair()
    stream_id = pair.open_stream()
    pair.server.go_away()
    assert pair.to_client() == [GoAwayReceived(1, 0)]
    pair.client.send_data(stream_id, b"goes on")
    assert pair.to_server() == [DataReceived(1, b"goes on")]
    with pytest.raises(LocalProtocolError):
        pair.client.open_stream(STDIN)


def test_fin_on_the_first_frame_and_unidirectional_streams() -> None:
    server = SpdyConnection(Role.SERVER)
    writer = frames.FrameWriter()
    events = server.receive_data(writer.encode(frames.SynStream(1, STDIN, fin=True)))
    assert events == [StreamOpened(1, STDIN), StreamEnded(1)]
    server.receive_data(writer.encode(frames.SynStream(3, STDIN, unidirectional=True)))
    server.reply(3)
    with pytest.raises(LocalProtocolError, match="closed"):
        server.send_data(3, b"x")


def test_a_frame_of_an_unknown_type_is_skipped() -> None:
    server = SpdyConnection(Role.SERVER)
    unknown = struct.pack("!HHI", 0x8003, 42, 3) + b"abc"
    ping = frames.FrameWriter().encode(frames.Ping(1))
    assert server.receive_data(unknown + ping) == []
    assert server.data_to_send() == ping


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (struct.pack("!HHI", 0x8002, 6, 4) + b"abcd", "version 2"),
        (struct.pack("!HHI", 0x8003, 6, 0x00FFFFFF), "control frame of 16777215"),
        (struct.pack("!HHI", 0x8003, 6, 2) + b"ab", "cut short"),
        (struct.pack("!HHI", 0x8003, 1, 14) + bytes(10) + b"junk", "header block"),
        (struct.pack("!HHII", 0x8003, 4, 4, 9), "SETTINGS is cut short"),
        (b"GET / HTTP/1.1\r\n\r\n" * 2, ""),
    ],
)
def test_what_is_no_spdy_is_refused(data: bytes, why: str) -> None:
    server = SpdyConnection(Role.SERVER)
    if not why:
        assert server.receive_data(data) == []  # a DATA frame of a stream that never was
        return
    with pytest.raises(RemoteProtocolError, match=why):
        server.receive_data(data)


def header_frame(plain: bytes) -> bytes:
    compressor = zlib.compressobj(zdict=frames.DICTIONARY)
    block = compressor.compress(plain) + compressor.flush(zlib.Z_SYNC_FLUSH)
    body = struct.pack("!IIH", 1, 0, 0) + block
    return struct.pack("!HHI", 0x8003, 1, len(body)) + body


@pytest.mark.parametrize(
    "plain",
    [
        struct.pack("!I", 2**31),
        struct.pack("!III", 1, 2**31, 0),
        struct.pack("!II", 1, 1) + b"a",
        struct.pack("!II", 1, 1) + b"\xff" + struct.pack("!I", 0),
        struct.pack("!III", 1, 0, 0),
        struct.pack("!II", 1, 9_000_000) + bytes(9_000_000),
    ],
    ids=["count", "length", "no value", "not utf-8", "no name", "bomb"],
)
def test_bad_header_blocks_are_refused(plain: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="header block"):
        SpdyConnection(Role.SERVER).receive_data(header_frame(plain))


def test_values_of_one_name_are_told_apart() -> None:
    plain = struct.pack("!II", 1, 1) + b"a" + struct.pack("!I", 3) + b"1\x002"
    (opened,) = SpdyConnection(Role.SERVER).receive_data(header_frame(plain))
    assert opened.headers == (("a", "1"), ("a", "2"))


def test_a_large_frame_comes_in_the_pieces_in_which_it_arrives() -> None:
    pair = Pair()
    stream_id = pair.open_stream()
    pair.client.send_data(stream_id, bytes(1_000_000), fin=True)
    wire = pair.client.data_to_send()
    seen, ended = 0, 0
    for at in range(0, len(wire), 10_000):
        for event in pair.server.receive_data(wire[at : at + 10_000]):
            seen += len(event.data) if isinstance(event, DataReceived) else 0
            ended += isinstance(event, StreamEnded)
        assert pair.server.buffered_bytes < 10_000
    assert (seen, ended) == (1_000_000, 1)


NUMBERS = st.integers(0, 2**31 - 1) | st.integers(0, 8)
HEADERS = st.lists(
    st.tuples(st.text(st.characters(codec="ascii"), min_size=1, max_size=9), st.text(max_size=9)),
    max_size=3,
).map(tuple)
FRAMES = st.one_of(
    st.builds(frames.SynStream, NUMBERS, HEADERS, st.booleans(), st.booleans()),
    st.builds(frames.SynReply, NUMBERS, HEADERS, st.booleans()),
    st.builds(frames.Headers, NUMBERS, HEADERS, st.booleans()),
    st.builds(frames.RstStream, NUMBERS, NUMBERS),
    st.builds(frames.Settings, st.lists(st.tuples(st.integers(0, 9), NUMBERS)).map(tuple)),
    st.builds(frames.Ping, NUMBERS),
    st.builds(frames.GoAway, NUMBERS, NUMBERS),
    st.builds(frames.WindowUpdate, NUMBERS, NUMBERS),
    st.builds(frames.Data, NUMBERS, st.binary(max_size=300), st.booleans()),
)


def feed_in_pieces(connection: SpdyConnection, wire: bytes, piece: int) -> None:
    """Anything may be refused, in one way only, and nothing piles up."""
    try:
        for at in range(0, len(wire), piece):
            for event in connection.receive_data(wire[at : at + piece]):
                if isinstance(event, StreamOpened):
                    connection.reply(event.stream_id)
                elif isinstance(event, DataReceived):
                    connection.acknowledge(event.stream_id, len(event.data))
            assert connection.buffered_bytes <= frames.CONTROL_FRAME_MAX_BYTES + 8
            connection.data_to_send()
    except RemoteProtocolError:
        return


@settings(max_examples=100, deadline=None)
@given(st.lists(FRAMES, max_size=30), st.integers(1, 500), st.sampled_from(list(Role)))
def test_any_frames_in_any_order(sent: list, piece: int, role: Role) -> None:
    writer = frames.FrameWriter()
    wire = b"".join(writer.encode(frame) for frame in sent)
    connection = SpdyConnection(role)
    connection.open_stream(STDIN)
    feed_in_pieces(connection, wire, piece)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=2000), st.integers(1, 500))
def test_any_bytes(wire: bytes, piece: int) -> None:
    feed_in_pieces(SpdyConnection(Role.SERVER), wire, piece)


@settings(max_examples=100, deadline=None)
@given(st.lists(FRAMES, min_size=1, max_size=8), st.data())
def test_any_damage_to_real_frames(sent: list, data: st.DataObject) -> None:
    writer = frames.FrameWriter()
    wire = bytearray(b"".join(writer.encode(frame) for frame in sent))
    for _ in range(data.draw(st.integers(1, 4))):
        wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    feed_in_pieces(SpdyConnection(Role.SERVER), bytes(wire), 64)


@settings(max_examples=100, deadline=None)
@given(st.lists(FRAMES, max_size=20))
def test_reading_is_the_inverse_of_writing(sent: list) -> None:
    writer = frames.FrameWriter()
    wire = b"".join(writer.encode(frame) for frame in sent)
    assert list(frames.FrameReader().feed(wire)) == [comparable(frame) for frame in sent]


def comparable(frame: frames.Frame) -> frames.Frame:
    """Names travel in lower case, and NUL parts values."""
    if not isinstance(frame, frames.SynStream | frames.SynReply | frames.Headers):
        return frame
    pairs = tuple((n.lower(), one) for n, v in frame.headers for one in v.split("\0"))
    if isinstance(frame, frames.SynStream):
        return frames.SynStream(
            frame.stream_id, pairs, frame.fin, frame.unidirectional, frame.associated_id
        )
    return type(frame)(frame.stream_id, pairs, frame.fin)
