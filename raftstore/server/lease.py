"""The Lease service."""

import asyncio
import contextlib
from typing import TYPE_CHECKING

from pinnace_wire import etcd_rpc_pb2 as rpc
from raftstore.mvcc import LeaseGrant, LeaseRevoke
from raftstore.mvcc.errors import LeaseNotFound
from raftstore.mvcc.leases import TTL_MIN_S
from raftstore.server.calls import Calls, Context, Streams, refuse, requests
from raftstore.server.wire import Headers

if TYPE_CHECKING:
    from raftstore.node import Node

# What LeaseTimeToLive says of a lease that is not there.
_GONE_TTL_S = -1


class LeaseService:
    def __init__(self, node: "Node", headers: Headers, calls: Calls, streams: Streams) -> None:
        self._node = node
        self._headers = headers
        self._calls = calls
        self._streams = streams

    async def grant(self, request: bytes) -> bytes:
        message = rpc.LeaseGrantRequest.FromString(request)
        lease_id = message.ID or self._node.new_lease_id()
        result = await self._node.propose(LeaseGrant(lease_id, message.TTL))
        granted = rpc.LeaseGrantResponse(ID=lease_id, TTL=max(message.TTL, TTL_MIN_S))
        return self._headers.field(result.revision) + granted.SerializeToString()

    async def revoke(self, request: bytes) -> bytes:
        message = rpc.LeaseRevokeRequest.FromString(request)
        result = await self._node.propose(LeaseRevoke(message.ID))
        return self._headers.field(result.revision)

    async def time_to_live(self, request: bytes) -> bytes:
        message = rpc.LeaseTimeToLiveRequest.FromString(request)
        await self._node.read_barrier()
        answer = rpc.LeaseTimeToLiveResponse(ID=message.ID)
        try:
            remaining_s = await self._node.lease_remaining_s(message.ID)
            leases = self._node.state.leases
            answer.TTL = int(remaining_s)
            answer.grantedTTL = leases.ttl_s(message.ID)
            if message.keys:
                answer.keys.extend(leases.keys(message.ID))
        except LeaseNotFound:
            answer = rpc.LeaseTimeToLiveResponse(ID=message.ID, TTL=_GONE_TTL_S)
        return self._now() + answer.SerializeToString()

    async def leases(self, request: bytes) -> bytes:
        rpc.LeaseLeasesRequest.FromString(request)
        await self._node.read_barrier()
        answer = rpc.LeaseLeasesResponse()
        for lease_id in self._node.state.leases.all_ttl_s():
            answer.leases.add(ID=lease_id)
        return self._now() + answer.SerializeToString()

    async def keep_alive(self, _: object, context: Context) -> None:
        """One answer per request, in order, until the caller has no more."""
        try:
            self._calls.check(context, learner=False)
            await self._keep_alive(context)
        except Exception as error:
            await refuse(context, error)

    async def _keep_alive(self, context: Context) -> None:
        ended = self._streams.add(context)
        renewing = asyncio.ensure_future(self._renew_all(context))
        try:
            await asyncio.wait([renewing, ended], return_when=asyncio.FIRST_COMPLETED)
            (renewing if renewing.done() else ended).result()
        finally:
            self._streams.remove(ended)
            renewing.cancel()
            # What it failed with is raised above; here it only has to be over.
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await renewing

    async def _renew_all(self, context: Context) -> None:
        async for request in requests(context):
            await context.write(await self._renew(request))

    async def _renew(self, request: bytes) -> bytes:
        """A lease that is gone has a TTL of 0. The header is older than the renewal: a lease
        revoked at a revision is never said to have lived after it."""
        lease_id = rpc.LeaseKeepAliveRequest.FromString(request).ID
        header = self._now()
        try:
            ttl_s = await self._node.renew_lease(lease_id)
        except LeaseNotFound:
            ttl_s = 0
        return header + rpc.LeaseKeepAliveResponse(ID=lease_id, TTL=ttl_s).SerializeToString()

    def _now(self) -> bytes:
        return self._headers.field(self._node.state.keyspace.revision)
