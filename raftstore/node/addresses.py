"""Where the other members are: what the transport is told whenever that changes.

The log says it, from the moment a change is in it (thesis, 4.1): who is new may be needed to
commit the change. Who was removed is reached for a little longer, to hear of it.
"""

from collections.abc import Collection, Mapping, Sequence

from msgspec import msgpack

from raftstore.core import EntryKind, MembershipChange
from raftstore.mvcc import MemberRecord
from raftstore.mvcc.members import changed_members
from raftstore.node.member import Member
from raftstore.peers.transport import Transport


class Addresses:
    """`met`: where a member that comes to join was told that the others are."""

    def __init__(self, member: Member, transport: Transport) -> None:
        self._member = member
        self._transport = transport
        self.met: Mapping[int, Sequence[str]] = {}
        self._leaving: dict[int, tuple[str, ...]] = {}

    def of_log(self) -> Mapping[int, MemberRecord]:
        """The members as of the last change in the log, committed or not."""
        log, members = self._member.raft.log, self._member.state.members
        if log.memberships.latest_index <= log.applied:
            return members
        for entry in log.slice(log.applied + 1, log.last_index):
            if entry.kind is EntryKind.MEMBERSHIP:
                change = msgpack.decode(entry.data, type=MembershipChange)
                members = changed_members(members, change)
        return members

    def tell(self) -> None:
        # Whoever is about to go is still told things.
        records = {**self._member.state.members, **self.of_log()}
        others: dict[int, Sequence[str]] = {m: record.peer_urls for m, record in records.items()}
        others |= self._leaving
        member_id = self._member.raft.id
        if member_id not in records:
            # It has the beginning of the log, which may not know of who leads now.
            others |= self.met
        others.pop(member_id, None)
        self._transport.set_members(others)

    def keep(self, records: Collection[MemberRecord]) -> None:
        """These were removed a moment ago."""
        self._leaving |= {record.member_id: record.peer_urls for record in records}

    def let_go(self, records: Collection[MemberRecord]) -> None:
        for record in records:
            self._leaving.pop(record.member_id, None)
        self.tell()
