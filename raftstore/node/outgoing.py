"""What this member says to the others: each turn's messages, and whole states to who lags behind.

The word of a commit alone may wait a moment for what else there is to say: each frame costs both
ends as much as a write.
"""

import asyncio
from collections.abc import Sequence

from raftstore.core import Heartbeat, InstallSnapshot, Message
from raftstore.node.member import Member
from raftstore.node.retention import LogRetention
from raftstore.node.transfers import HeldSlices, present_snapshot
from raftstore.peers.messages import PeerMessage
from raftstore.peers.transport import Transport

# How long a commit is kept from a member that has nothing else to hear.
_HOLD_S = 0.003


class Outgoing:
    def __init__(self, member: Member, transport: Transport, retention: LogRetention) -> None:
        self._member = member
        self._transport = transport
        self._retention = retention
        # What others are to hear of the commit, and the last entry that each has handed over.
        self._held: dict[int, Heartbeat] = {}
        self._held_timer: asyncio.TimerHandle | None = None
        self._handed_over: dict[int, int] = {}
        self._closed = False

    def send(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        of_peer: dict[int, list[PeerMessage]] = {}
        for message in messages:
            if isinstance(message, InstallSnapshot):
                self._send_snapshot(message)
            elif type(message) is Heartbeat and not message.round and self._may_hold(message):
                self._held[message.to] = message
            else:
                of_peer.setdefault(message.to, []).append(message)
        for peer, its_messages in of_peer.items():
            held = self._held.pop(peer, None)
            if held is not None:
                its_messages.insert(0, held)
            self._transport.send(peer, its_messages)
        if self._held and self._held_timer is None:
            loop = asyncio.get_running_loop()
            self._held_timer = loop.call_later(_HOLD_S, self._send_held)

    def send_one(self, peer: int, message: PeerMessage) -> None:
        self._transport.send(peer, [message])

    def wrote(self, peer: int, index: int) -> None:
        """The entries up to `index` hold writes of `peer`: it waits to hear of their commit."""
        self._handed_over[peer] = index

    def role_changed(self) -> None:
        self._handed_over.clear()

    def close(self) -> None:
        """Say what was held back; nothing is held back any more."""
        self._closed = True
        self._send_held()

    def drop(self) -> None:
        """The member has failed: what was held back is not said."""
        self._held.clear()
        self.close()

    def _may_hold(self, commit: Heartbeat) -> bool:
        """Not where a write of that member waits for it."""
        wanted = self._handed_over.get(commit.to)
        if wanted is None:
            return not self._closed
        if wanted <= commit.leader_commit:
            del self._handed_over[commit.to]
        return False

    def _send_held(self) -> None:
        if self._held_timer is not None:
            self._held_timer.cancel()
            self._held_timer = None
        held, self._held = self._held, {}
        for peer, message in held.items():
            self._transport.send(peer, [message])

    def _send_snapshot(self, message: InstallSnapshot) -> None:
        """The state as it is now, in place of the older one that Raft knows of."""
        snapshot = present_snapshot(self._member)
        self._retention.sending(message.to, snapshot.index)
        whole = InstallSnapshot(message.sender, message.to, message.term, snapshot)
        self._transport.send_snapshot(whole, HeldSlices(self._member))
