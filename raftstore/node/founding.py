"""How a cluster begins: the same first entry in the log of every founding member.

It stands at index 1 of term 1 and counts as committed: as if a leader of term 1, whom nobody
remembers, had written it. A member that joins later begins with an empty log.
"""

import random
from collections.abc import Sequence
from hashlib import sha1

from msgspec import msgpack

from raftstore.core import NOBODY, Entry, EntryKind, HardState, Membership
from raftstore.core.messages import MembershipChange
from raftstore.disk import Founding, Identity
from raftstore.mvcc import MemberRecord, encode_members

_FOUNDERS_STATE = HardState(term=1, vote=NOBODY, commit=1)


def member_id_of(peer_urls: Sequence[str], token: str) -> int:
    """As etcd derives it (etcd `membership/member.go`), so that all founders agree."""
    return _first_eight("".join(sorted(peer_urls)).encode() + token.encode())


def cluster_id_of(member_ids: Sequence[int]) -> int:
    return _first_eight(b"".join(member_id.to_bytes(8, "big") for member_id in sorted(member_ids)))


def founding(member_id: int, cluster_id: int, members: Sequence[MemberRecord]) -> Founding:
    """The start of a founding member."""
    voters = tuple(sorted(record.member_id for record in members))
    in_order = sorted(members, key=lambda record: record.member_id)
    change = MembershipChange(Membership(voters), encode_members(in_order))
    entry = Entry(1, 1, msgpack.encode(change), EntryKind.MEMBERSHIP)
    return Founding(Identity(cluster_id, member_id), [entry], _FOUNDERS_STATE)


def founding_alone(rng: random.Random) -> Founding:
    """A cluster of one that nobody else will name: its ids are made by chance."""
    member_id, cluster_id = rng.getrandbits(63) | 1, rng.getrandbits(63) | 1
    return founding(member_id, cluster_id, [MemberRecord(member_id, "default", (), (), False)])


def joining(member_id: int, cluster_id: int) -> Founding:
    """The start of a member that an existing cluster has added: it waits for the leader."""
    return Founding(Identity(cluster_id, member_id), (), HardState())


def _first_eight(data: bytes) -> int:
    # A name, not a secret: what etcd uses.
    return int.from_bytes(sha1(data, usedforsecurity=False).digest()[:8], "big")
