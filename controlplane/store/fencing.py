"""Writes that only a leader may make, refused whole once somebody else leads.

One seam: what is given this Store instead of its own writes as the leader, without knowing it.
"""

from collections.abc import Sequence

from controlplane.store.protocol import Compare, Leadership, Op, Store, StoreError, TxnResult


class Deposed(StoreError):
    """Somebody else leads by now; nothing was written."""


class FencedWrites:
    """The transactions of one leadership."""

    def __init__(self, store: Store, leadership: Leadership) -> None:
        self._store = store
        self._fence = leadership.fence

    async def txn(
        self, compares: Sequence[Compare], success: Sequence[Op], failure: Sequence[Op] = ()
    ) -> TxnResult:
        """As `Store.txn`; a transaction that was too late raises Deposed."""
        fence = self._fence
        result = await self._store.txn([fence, *compares], success, [Op.get(fence.key), *failure])
        if result.succeeded:
            return result
        found, *others = result.results
        if found is None or [kv.mod_revision for kv in found.kvs] != [fence.value]:
            raise Deposed("this control plane leads no longer")
        return TxnResult(False, result.revision, others)
