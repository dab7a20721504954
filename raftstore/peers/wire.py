"""How messages, questions and answers lie in a frame (`proto/raft_peers.proto`): MessagePack."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from raftstore import errors
from raftstore.mvcc import errors as mvcc_errors
from raftstore.peers.messages import ANSWERS, PeerMessage, Question

_encoder = msgspec.msgpack.Encoder()
_messages: msgspec.msgpack.Decoder[list[PeerMessage]] = msgspec.msgpack.Decoder(list[PeerMessage])
_slices: msgspec.msgpack.Decoder[list[bytes]] = msgspec.msgpack.Decoder(list[bytes])
_question: msgspec.msgpack.Decoder[Question] = msgspec.msgpack.Decoder(Question)


class Answered(msgspec.Struct, frozen=True, array_like=True, tag=1):
    answer: msgspec.Raw


class Refused(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """`error` is the name of a class of errors; `detail` what it was made with."""

    error: str
    detail: int | str = ""


_outcome: msgspec.msgpack.Decoder[Answered | Refused] = msgspec.msgpack.Decoder(Answered | Refused)

# The errors that may come across, by name. Those without a detail take no argument.
_WITHOUT_DETAIL: list[Callable[[], Exception]] = [
    mvcc_errors.FutureRevision,
    mvcc_errors.LeaseNotFound,
    mvcc_errors.Corrupt,
    errors.NotTheLeader,
    errors.NoLeader,
    errors.LeaderChanged,
    errors.TooManyRequests,
    *errors.ClusterError.__subclasses__(),
]
_PLAIN = {type(make()).__name__: make for make in _WITHOUT_DETAIL}
_DETAILED: dict[str, Callable[[Any], Exception]] = {
    "Compacted": mvcc_errors.Compacted,
    "Stopped": errors.Stopped,
    "RequestTimedOut": errors.RequestTimedOut,
}


class BadFrame(Exception):
    """Not what a member of this version says."""


def encode_messages(messages: Sequence[PeerMessage]) -> bytes:
    return _encoder.encode(messages)


def decode_messages(data: bytes) -> list[PeerMessage]:
    """Raises BadFrame."""
    try:
        return _messages.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadFrame(str(error)) from error


def encode_slices(slices: Sequence[bytes]) -> bytes:
    """A part of a snapshot; none at all is its end."""
    return _encoder.encode(slices)


def decode_slices(data: bytes) -> list[bytes]:
    """Raises BadFrame."""
    try:
        return _slices.decode(data)
    except msgspec.DecodeError as error:
        raise BadFrame(str(error)) from error


def encode_question(question: Question) -> bytes:
    return _encoder.encode(question)


def decode_question(data: bytes) -> Question:
    """Raises BadFrame."""
    try:
        return _question.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadFrame(str(error)) from error


def encode_answer(answer: Any) -> bytes:
    return _encoder.encode(Answered(msgspec.Raw(_encoder.encode(answer))))


def encode_refusal(error: Exception) -> bytes:
    name = type(error).__name__
    if isinstance(error, mvcc_errors.Compacted):
        return _encoder.encode(Refused(name, error.compact_revision))
    if name in _PLAIN or name in _DETAILED:
        return _encoder.encode(Refused(name))
    # What has no name on the other side says at least what it said here.
    return _encoder.encode(Refused("Stopped", str(error)))


def decode_answer(question: Question, data: bytes) -> Any:
    """The answer, or raises what the other member raised. Raises BadFrame."""
    try:
        outcome = _outcome.decode(data)
        if isinstance(outcome, Answered):
            return msgspec.msgpack.decode(outcome.answer, type=ANSWERS[type(question)])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadFrame(str(error)) from error
    if outcome.error in _PLAIN:
        raise _PLAIN[outcome.error]()
    if outcome.error in _DETAILED:
        raise _DETAILED[outcome.error](outcome.detail)
    raise BadFrame(f"an error of unknown kind {outcome.error!r}")
