"""How much of the applied log stays in memory, for members that lag behind.

A member alone keeps nothing. Else the last few megabytes stay, and what a member will need that is
just being sent a snapshot.
"""

from collections import deque
from collections.abc import Sequence

from raftstore.core import Entry
from raftstore.node.member import Member

# Beyond this many times `log_keep_bytes` a member that takes its time gets another snapshot.
_SENDING_FACTOR = 8


class LogRetention:
    def __init__(self, member: Member) -> None:
        self._member = member
        self._raft = member.raft
        # Index of the last entry of a Ready and the bytes of its entries, oldest first.
        self._kept: deque[tuple[int, int]] = deque()
        self._kept_bytes = 0
        self._sending: dict[int, int] = {}

    def applied(self, entries: Sequence[Entry]) -> None:
        raft = self._raft
        if raft.membership.members == (raft.id,):
            raft.compact_log(raft.log.applied)
            self._kept.clear()
            self._kept_bytes = 0
            return
        size_bytes = sum(len(entry.data) for entry in entries)
        self._kept.append((entries[-1].index, size_bytes))
        self._kept_bytes += size_bytes
        self._release()

    def _release(self) -> None:
        keep_bytes = self._member.options.log_keep_bytes
        if self._kept_bytes <= keep_bytes * 1.25:
            return
        needed = self._raft.log.applied
        if self._kept_bytes <= keep_bytes * _SENDING_FACTOR:
            needed = min(self._sending.values(), default=needed)
        index = 0
        while self._kept_bytes > keep_bytes and self._kept[0][0] <= needed:
            index, size_bytes = self._kept.popleft()
            self._kept_bytes -= size_bytes
        if index:
            self._raft.compact_log(index)

    def sending(self, peer: int, index: int) -> None:
        """`peer` gets a snapshot and will go on behind `index`."""
        self._sending[peer] = index

    def sent(self, peer: int) -> None:
        self._sending.pop(peer, None)

    def installed(self) -> None:
        """The log begins anew."""
        self._kept.clear()
        self._kept_bytes = 0
