"""The Cluster service: members come, go, are promoted and move."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pinnace_wire import etcd_rpc_pb2 as rpc
from raftstore.errors import BadMemberUrls
from raftstore.mvcc import MemberRecord
from raftstore.peers.messages import AddMember, PromoteMember, RemoveMember
from raftstore.server.wire import Headers
from raftstore.urls import address_of

if TYPE_CHECKING:
    from raftstore.node import Node


class ClusterService:
    def __init__(self, node: "Node", headers: Headers) -> None:
        self._node = node
        self._headers = headers

    async def member_list(self, request: bytes) -> bytes:
        message = rpc.MemberListRequest.FromString(request)
        if message.linearizable:
            await self._node.read_barrier()
        # Who was added by a member alone is not committed before it has come: it is a member.
        members = self._node.members_of_log().values()
        return self._now() + rpc.MemberListResponse(members=_members(members)).SerializeToString()

    async def member_add(self, request: bytes) -> bytes:
        message = rpc.MemberAddRequest.FromString(request)
        peer_urls = _checked_urls(message.peerURLs)
        member_id = self._node.new_member_id()
        question = AddMember(member_id, peer_urls, message.isLearner)
        members = await self._node.change_membership(question)
        answer = rpc.MemberAddResponse(
            member=rpc.Member(ID=member_id, peerURLs=peer_urls, isLearner=message.isLearner),
            members=_members(members),
        )
        return self._now() + answer.SerializeToString()

    async def member_remove(self, request: bytes) -> bytes:
        message = rpc.MemberRemoveRequest.FromString(request)
        members = await self._node.change_membership(RemoveMember(message.ID))
        answer = rpc.MemberRemoveResponse(members=_members(members))
        return self._now() + answer.SerializeToString()

    async def member_promote(self, request: bytes) -> bytes:
        message = rpc.MemberPromoteRequest.FromString(request)
        members = await self._node.change_membership(PromoteMember(message.ID))
        answer = rpc.MemberPromoteResponse(members=_members(members))
        return self._now() + answer.SerializeToString()

    async def member_update(self, request: bytes) -> bytes:
        message = rpc.MemberUpdateRequest.FromString(request)
        await self._node.update_member(message.ID, _checked_urls(message.peerURLs))
        answer = rpc.MemberUpdateResponse(members=_members(self._node.state.members.values()))
        return self._now() + answer.SerializeToString()

    def _now(self) -> bytes:
        return self._headers.field(self._node.state.keyspace.revision)


def _members(records: Iterable[MemberRecord]) -> list[rpc.Member]:
    return [
        rpc.Member(
            ID=record.member_id,
            name=record.name,
            peerURLs=record.peer_urls,
            clientURLs=record.client_urls,
            isLearner=record.is_learner,
        )
        for record in sorted(records, key=lambda record: record.member_id)
    ]


def _checked_urls(urls: Iterable[str]) -> tuple[str, ...]:
    """Sorted, as etcd keeps them. Raises BadMemberUrls."""
    checked = tuple(sorted(url.strip() for url in urls))
    try:
        for url in checked:
            address_of(url)
    except ValueError:
        raise BadMemberUrls from None
    if not checked:
        raise BadMemberUrls
    return checked
