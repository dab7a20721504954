"""What members tell and ask each other beside the messages of Raft itself."""

from typing import Any

import msgspec

from raftstore.core import Message
from raftstore.mvcc import MemberRecord
from raftstore.mvcc.hashing import HashResult


class Forward(msgspec.Struct, frozen=True, array_like=True, tag=32):
    """Proposals, each with its id, for who leads in `term` and for nobody else: a member that does
    not lead in a term now never will again. `life` is one start of the sender; `number` grows with
    each Forward of that, so that one that comes twice is told."""

    sender: int
    to: int
    term: int
    life: int
    number: int
    proposals: list[tuple[int, bytes]]


class ForwardRefused(msgspec.Struct, frozen=True, array_like=True, tag=33):
    """These were not appended and will not be: they may be given to another leader."""

    sender: int
    to: int
    term: int
    ids: list[int]


PeerMessage = Message | Forward | ForwardRefused


class LeaseRenew(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Of the leader: count the lease's TTL anew. Answer: the TTL in seconds."""

    lease_id: int


class LeaseRemaining(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Of the leader: how long the lease lives on. Answer: seconds, -1.0 where it is gone."""

    lease_id: int


class HashKv(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """Of any member: the hash of its keys at `revision`."""

    revision: int


class AddMember(msgspec.Struct, frozen=True, array_like=True, tag=4):
    member_id: int
    peer_urls: tuple[str, ...]
    is_learner: bool = False


class RemoveMember(msgspec.Struct, frozen=True, array_like=True, tag=5):
    member_id: int


class PromoteMember(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """A learner that has caught up becomes a voter."""

    member_id: int


class Members(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """Of any member: the cluster's id and members, for one that is about to join."""


class Cluster(msgspec.Struct, frozen=True, array_like=True):
    cluster_id: int
    members: list[MemberRecord]


MembershipQuestion = AddMember | RemoveMember | PromoteMember
Question = LeaseRenew | LeaseRemaining | HashKv | MembershipQuestion | Members

# What each question is answered with.
ANSWERS: dict[type[Any], Any] = {
    LeaseRenew: int,
    LeaseRemaining: float,
    HashKv: HashResult,
    AddMember: list[MemberRecord],
    RemoveMember: list[MemberRecord],
    PromoteMember: list[MemberRecord],
    Members: Cluster,
}
