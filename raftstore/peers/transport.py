"""What a node asks of whatever carries its messages, and what that calls on the node."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Protocol

from raftstore.core import InstallSnapshot
from raftstore.errors import Unreachable
from raftstore.peers.messages import PeerMessage, Question


class Receiver(Protocol):
    """The node. Everything is called on its loop."""

    def receive(self, messages: Sequence[PeerMessage]) -> None: ...

    async def receive_snapshot(
        self, message: InstallSnapshot, slices: AsyncIterator[bytes]
    ) -> None: ...

    async def answer(self, question: Question) -> Any:
        """The answer (`messages.ANSWERS`). Raises MvccError, NodeError, ClusterError."""
        ...

    def snapshot_sent(self, peer: int, *, ok: bool) -> None: ...

    def unreachable(self, peer: int) -> None: ...

    def knows_member(self, member_id: int) -> bool | None:
        """False: it was removed; None: never heard of it, it may be about to join."""
        ...

    def removed(self) -> None:
        """Another member said that this one was removed."""
        ...


class Transport(Protocol):
    def start(self, receiver: Receiver) -> None: ...

    def set_members(self, addresses: Mapping[int, Sequence[str]]) -> None:
        """Who else there is and at which peer URLs; others are let go."""
        ...

    def send(self, peer: int, messages: Sequence[PeerMessage]) -> None:
        """Never blocks; may lose."""
        ...

    def send_snapshot(self, message: InstallSnapshot, slices: Iterator[bytes]) -> None:
        """Pull `slices` as they can be sent and close it; then tell `snapshot_sent`."""
        ...

    async def ask(self, peer: int, question: Question) -> Any:
        """The peer's answer, or what it raised. Raises Unreachable, at the latest at the
        deadline."""
        ...

    async def close(self) -> None: ...


class Alone:
    """For a member that is the only one and stays it."""

    def start(self, receiver: Receiver) -> None: ...

    def set_members(self, addresses: Mapping[int, Sequence[str]]) -> None: ...

    def send(self, peer: int, messages: Sequence[PeerMessage]) -> None: ...

    def send_snapshot(self, message: InstallSnapshot, slices: Iterator[bytes]) -> None: ...

    async def ask(self, peer: int, question: Question) -> Any:
        raise Unreachable(peer, "this member is the only one")

    async def close(self) -> None: ...
