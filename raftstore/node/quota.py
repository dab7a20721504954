"""The NOSPACE alarm: raised by a write that would exceed the quota, and taken back with room.

The alarm is in the log, so that every member refuses the same writes (etcd
`etcdserver/apply/apply.go`). Deletions, compaction and reads go on under it.
"""

from raftstore.mvcc import AlarmKind, Command, LeaseGrant, Put, SetAlarm, Txn
from raftstore.mvcc.statemachine import has_put
from raftstore.node.member import Member

# Below this part of the quota the leader takes the alarm back by itself.
_ROOM_AGAIN = 0.9


class Quota:
    def __init__(self, member: Member) -> None:
        self._member = member
        self._quota_bytes = member.options.quota_bytes
        # The alarm is on its way into the log.
        self._raising = False
        # The term, and whose alarm is on its way out.
        self._clearing: set[tuple[int, int]] = set()

    def exceeded_by(self, command: Command, size_bytes: int) -> bool:
        """Whether this member has no room for `command`."""
        if not self._quota_bytes:
            return False
        if self._member.state.keyspace.size_bytes + size_bytes <= self._quota_bytes:
            self._raising = False
            return False
        if type(command) is Txn:
            return has_put(command)
        return type(command) in (Put, LeaseGrant)

    def alarm(self) -> SetAlarm | None:
        """What to put into the log, once."""
        member_id = self._member.raft.id
        if self._raising or (member_id, AlarmKind.NOSPACE) in self._member.state.alarms:
            return None
        self._raising = True
        return SetAlarm(member_id, AlarmKind.NOSPACE, True)

    def raised(self, _: object) -> None:
        """It is in the log, or was lost on its way: who meets the quota next raises it again."""
        self._raising = False

    def all_clear(self, term: int) -> list[SetAlarm]:
        """Alarms that the leader of `term`, with room again, takes back; each once."""
        state = self._member.state
        if not state.alarms:
            self._clearing.clear()
            return []
        raised = {who for who, kind in state.alarms if kind is AlarmKind.NOSPACE}
        self._clearing &= {(term, who) for who in raised}
        if not self._quota_bytes or state.keyspace.size_bytes >= _ROOM_AGAIN * self._quota_bytes:
            return []
        due = [who for who in sorted(raised) if (term, who) not in self._clearing]
        self._clearing |= {(term, who) for who in due}
        return [SetAlarm(who, AlarmKind.NOSPACE, False) for who in due]
