"""Who is in the cluster, as clients and operators see it: names and addresses.

Who votes is the business of `raftstore.core`; a change of that comes with what is said here about
the members that are new or changed (the context of a `MembershipChange`).
"""

from collections.abc import Mapping

import msgspec

from raftstore.core.messages import Membership, MembershipChange


class MemberRecord(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """`name` and `client_urls` are empty until the member has started and said them."""

    member_id: int
    name: str = ""
    peer_urls: tuple[str, ...] = ()
    client_urls: tuple[str, ...] = ()
    is_learner: bool = False


encode_members = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[list[MemberRecord]] = msgspec.msgpack.Decoder(list[MemberRecord])


def decode_members(context: bytes) -> list[MemberRecord]:
    """The members that a change says something about; an empty context says nothing."""
    return _decoder.decode(context) if context else []


def changed_members(
    members: Mapping[int, MemberRecord], change: MembershipChange
) -> dict[int, MemberRecord]:
    """The members after `change`, by id in order. Who is no longer in the membership is gone, and
    the membership alone says who is a learner."""
    known = {**members, **{record.member_id: record for record in decode_members(change.context)}}
    return {
        member_id: _placed(known.get(member_id, MemberRecord(member_id)), change.membership)
        for member_id in sorted(change.membership.members)
    }


def _placed(record: MemberRecord, membership: Membership) -> MemberRecord:
    is_learner = record.member_id in membership.learners
    return msgspec.structs.replace(record, is_learner=is_learner)
