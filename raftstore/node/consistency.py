"""Whether members hold the same: hashes of the keys at one revision, compared by the leader.

Two members that applied the same log hold the same; a difference means a defect or damaged memory.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping

from raftstore.errors import NodeError
from raftstore.mvcc import MvccError
from raftstore.mvcc.hashing import HashResult, hash_steps
from raftstore.node.member import Member
from raftstore.peers.messages import HashKv
from raftstore.peers.transport import Transport


async def hash_kv(member: Member, revision: int) -> HashResult:
    """The hash at `revision` (0: now), made in slices beside the writes. Raises Compacted,
    FutureRevision."""
    state = member.state
    steps = hash_steps(state, revision or state.keyspace.revision)
    member.history_holds += 1
    try:
        while True:
            try:
                next(steps)
            except StopIteration as done:
                result: HashResult = done.value
                return result
            await asyncio.sleep(0)
    finally:
        member.history_holds -= 1


async def find_corrupt(member: Member, transport: Transport, revision: int) -> list[int]:
    """The members whose keys at `revision` differ from most members'. Who cannot be asked, or
    lags behind, is left out: the next comparison will meet it."""
    hashes = {member.raft.id: await hash_kv(member, revision)}
    for peer in member.raft.membership.members:
        if peer != member.raft.id:
            try:
                hashes[peer] = await transport.ask(peer, HashKv(revision))
            except (NodeError, MvccError):
                continue
    return differing(hashes, member.raft.id)


def differing(hashes: Mapping[int, HashResult], leader: int) -> list[int]:
    """Who does not hold what most do; where halves disagree, the leader's half is believed."""
    compacted = hashes[leader].compact_revision
    comparable = {m: h.hash for m, h in hashes.items() if h.compact_revision == compacted}
    counts = Counter(comparable.values())
    own = comparable[leader]
    right = max(counts, key=lambda found: (counts[found], found == own))
    return sorted(m for m, found in comparable.items() if found != right)
