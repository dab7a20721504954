"""SPDY/3.1 frames as values, to bytes and back.

Source: the SPDY Protocol, Draft 3.1, sections 2.2 (framing) and 2.6 (control frames). The reader
keeps at most one incomplete control frame; DATA comes out in the pieces in which it arrives, so a
frame of 16 MB is never held.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

VERSION: Final = 3
# The draft allows 16 MB; what Kubernetes puts into a header block is below 200 bytes.
CONTROL_FRAME_MAX_BYTES: Final = 32 * 1024
HEADER_BLOCK_MAX_BYTES: Final = 16 * 1024

FLAG_FIN: Final = 0x01
FLAG_UNIDIRECTIONAL: Final = 0x02

# RST_STREAM status codes, section 2.6.3.
PROTOCOL_ERROR: Final = 1
INVALID_STREAM: Final = 2
REFUSED_STREAM: Final = 3
CANCEL: Final = 5
FLOW_CONTROL_ERROR: Final = 7
STREAM_IN_USE: Final = 8

# SETTINGS ids, section 2.6.4.
SETTINGS_INITIAL_WINDOW_SIZE: Final = 7

HeaderList = tuple[tuple[str, str], ...]


class SpdyError(Exception):
    """The protocol was not kept."""


class RemoteProtocolError(SpdyError):
    """The peer broke the protocol; the connection cannot go on."""


class LocalProtocolError(SpdyError):
    """This side asked for something that the protocol does not allow now."""


@dataclass(frozen=True, slots=True)
class SynStream:
    stream_id: int
    headers: HeaderList
    fin: bool = False
    unidirectional: bool = False
    associated_id: int = 0
    priority: int = 0


@dataclass(frozen=True, slots=True)
class SynReply:
    stream_id: int
    headers: HeaderList
    fin: bool = False


@dataclass(frozen=True, slots=True)
class Headers:
    stream_id: int
    headers: HeaderList
    fin: bool = False


@dataclass(frozen=True, slots=True)
class RstStream:
    stream_id: int
    status: int


@dataclass(frozen=True, slots=True)
class Settings:
    values: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Ping:
    ping_id: int


@dataclass(frozen=True, slots=True)
class GoAway:
    last_good_id: int
    status: int = 0


@dataclass(frozen=True, slots=True)
class WindowUpdate:
    stream_id: int
    delta_bytes: int


@dataclass(frozen=True, slots=True)
class Data:
    """A piece of a DATA frame; `fin` is set on the last piece only."""

    stream_id: int
    data: bytes
    fin: bool = False


Frame = SynStream | SynReply | Headers | RstStream | Settings | Ping | GoAway | WindowUpdate | Data

_HEADER_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language "
    "accept-ranges age allow authorization cache-control connection content-base "
    "content-encoding content-language content-length content-location content-md5 content-range "
    "content-type date etag expect expires from host if-match if-modified-since if-none-match "
    "if-range if-unmodified-since last-modified location max-forwards pragma proxy-authenticate "
    "proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url "
    "public set-cookie keep-alive origin"
)
_HEADER_TEXT = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request"
    "401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented"
    "503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00"
    " Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,"
    "application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age="
    "gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _dictionary() -> bytes:
    """The zlib dictionary of section 2.6.10.1: length-prefixed words, then common text."""
    words = (word.replace("_", " ").encode() for word in _HEADER_WORDS.split())
    return b"".join(struct.pack("!I", len(w)) + w for w in words) + _HEADER_TEXT.encode()


DICTIONARY: Final = _dictionary()


class HeaderCompressor:
    """One direction's header blocks: a single zlib stream, flushed after each block."""

    def __init__(self) -> None:
        self._zlib = zlib.compressobj(zdict=DICTIONARY)

    def compress(self, headers: HeaderList) -> bytes:
        parts = [struct.pack("!I", len(headers))]
        for name, value in headers:
            for text in (name.lower().encode(), value.encode()):
                parts.append(struct.pack("!I", len(text)) + text)
        return self._zlib.compress(b"".join(parts)) + self._zlib.flush(zlib.Z_SYNC_FLUSH)


class HeaderDecompressor:
    """The other end of `HeaderCompressor`; its output is bounded whatever the input claims."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(zdict=DICTIONARY)

    def decompress(self, block: bytes) -> HeaderList:
        try:
            plain = self._zlib.decompress(block, HEADER_BLOCK_MAX_BYTES)
        except zlib.error as error:
            raise RemoteProtocolError(f"header block: {error}") from error
        if self._zlib.unconsumed_tail or self._zlib.eof:
            raise RemoteProtocolError("header block is too large or ends the compressed stream")
        return tuple(_pairs(plain))


def _pairs(plain: bytes) -> Iterator[tuple[str, str]]:
    texts = _length_prefixed(plain)
    for name in texts:
        value = next(texts, None)
        if value is None or not name:
            raise RemoteProtocolError("header block does not hold pairs")
        # Several values of one name are joined by NUL, section 2.6.10.
        yield from ((name, one) for one in value.split("\0"))


def _length_prefixed(plain: bytes) -> Iterator[str]:
    try:
        (pairs,) = struct.unpack_from("!I", plain)
        at = 4
        for _ in range(2 * pairs):
            (length,) = struct.unpack_from("!I", plain, at)
            at += 4
            if at + length > len(plain):
                raise RemoteProtocolError("header block is cut short")
            yield plain[at : at + length].decode()
            at += length
    except (struct.error, UnicodeDecodeError) as error:
        raise RemoteProtocolError(f"header block: {error}") from error


def _control(kind: int, flags: int, body: bytes) -> bytes:
    return struct.pack("!HHI", 0x8000 | VERSION, kind, flags << 24 | len(body)) + body


class FrameWriter:
    """Frames to bytes, in the order in which they leave: header compression has a memory."""

    def __init__(self) -> None:
        self._compressor = HeaderCompressor()

    def encode(self, frame: Frame) -> bytes:
        match frame:
            case Data(stream_id, data, fin):
                return struct.pack("!II", stream_id, fin << 24 | len(data)) + data
            case SynStream():
                flags = FLAG_FIN * frame.fin | FLAG_UNIDIRECTIONAL * frame.unidirectional
                head = struct.pack(
                    "!IIH", frame.stream_id, frame.associated_id, frame.priority << 13
                )
                return _control(1, flags, head + self._compressor.compress(frame.headers))
            case SynReply(stream_id, headers, fin):
                return _control(2, fin, self._with_headers(stream_id, headers))
            case Headers(stream_id, headers, fin):
                return _control(8, fin, self._with_headers(stream_id, headers))
            case RstStream(stream_id, status):
                return _control(3, 0, struct.pack("!II", stream_id, status))
            case Settings(values):
                pairs = b"".join(struct.pack("!II", key, value) for key, value in values)
                return _control(4, 0, struct.pack("!I", len(values)) + pairs)
            case Ping(ping_id):
                return _control(6, 0, struct.pack("!I", ping_id))
            case GoAway(last_good_id, status):
                return _control(7, 0, struct.pack("!II", last_good_id, status))
            case WindowUpdate(stream_id, delta):
                return _control(9, 0, struct.pack("!II", stream_id, delta))

    def _with_headers(self, stream_id: int, headers: HeaderList) -> bytes:
        return struct.pack("!I", stream_id) + self._compressor.compress(headers)


class FrameReader:
    """Bytes to frames; a frame of a type that this draft does not know is skipped."""

    def __init__(self) -> None:
        self._decompressor = HeaderDecompressor()
        self._buffer = bytearray()
        # The DATA frame whose payload is arriving: stream, bytes still to come, FIN at its end.
        self._data: tuple[int, int, bool] | None = None

    @property
    def buffered_bytes(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> Iterable[Frame]:
        self._buffer += data
        while True:
            frame = self._next_piece() if self._data else self._next_frame()
            if frame is None:
                return
            yield from frame

    def _next_piece(self) -> tuple[Data, ...] | None:
        assert self._data is not None
        stream_id, missing, fin = self._data
        if missing and not self._buffer:
            return None
        piece = bytes(self._buffer[:missing])
        del self._buffer[:missing]
        missing -= len(piece)
        self._data = (stream_id, missing, fin) if missing else None
        return (Data(stream_id, piece, fin and not missing),)

    def _next_frame(self) -> tuple[Frame, ...] | None:
        if len(self._buffer) < 8:
            return None
        first, second = struct.unpack_from("!II", self._buffer)
        flags, length = second >> 24, second & 0xFFFFFF
        if not first & 0x80000000:
            del self._buffer[:8]
            self._data = (first, length, bool(flags & FLAG_FIN))
            return ()
        if first >> 16 & 0x7FFF != VERSION:
            raise RemoteProtocolError(f"SPDY version {first >> 16 & 0x7FFF}, this is {VERSION}")
        if length > CONTROL_FRAME_MAX_BYTES:
            raise RemoteProtocolError(f"control frame of {length} bytes")
        if len(self._buffer) < 8 + length:
            return None
        body = bytes(self._buffer[8 : 8 + length])
        del self._buffer[: 8 + length]
        try:
            return self._control_frame(first & 0xFFFF, flags, body)
        except struct.error as error:
            raise RemoteProtocolError(f"control frame is cut short: {error}") from error

    def _control_frame(self, kind: int, flags: int, body: bytes) -> tuple[Frame, ...]:
        fin = bool(flags & FLAG_FIN)
        match kind:
            case 1:
                return (self._syn_stream(flags, body),)
            case 2 | 8:
                (stream_id,) = struct.unpack_from("!I", body)
                headers = self._decompressor.decompress(body[4:])
                made = SynReply if kind == 2 else Headers
                return (made(stream_id & 0x7FFFFFFF, headers, fin),)
            case 3:
                stream_id, status = struct.unpack_from("!II", body)
                return (RstStream(stream_id & 0x7FFFFFFF, status),)
            case 4:
                return (_settings(body),)
            case 6:
                return (Ping(*struct.unpack_from("!I", body)),)
            case 7:
                last_good_id, status = struct.unpack_from("!II", body)
                return (GoAway(last_good_id & 0x7FFFFFFF, status),)
            case 9:
                stream_id, delta = struct.unpack_from("!II", body)
                return (WindowUpdate(stream_id & 0x7FFFFFFF, delta & 0x7FFFFFFF),)
        return ()

    def _syn_stream(self, flags: int, body: bytes) -> SynStream:
        stream_id, associated_id, priority = struct.unpack_from("!IIH", body)
        return SynStream(
            stream_id & 0x7FFFFFFF,
            self._decompressor.decompress(body[10:]),
            bool(flags & FLAG_FIN),
            bool(flags & FLAG_UNIDIRECTIONAL),
            associated_id & 0x7FFFFFFF,
            priority >> 13,
        )


def _settings(body: bytes) -> Settings:
    (count,) = struct.unpack_from("!I", body)
    if len(body) < 4 + 8 * count:
        raise RemoteProtocolError("SETTINGS is cut short")
    pairs = (struct.unpack_from("!II", body, 4 + 8 * i) for i in range(count))
    return Settings(tuple((key & 0xFFFFFF, value) for key, value in pairs))
