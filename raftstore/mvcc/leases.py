"""Leases as the log knows them: an id, a time to live, and the keys that end with it.

When a lease ends is not here: the leader measures that on its own clock (`raftstore.node.lessor`)
and puts the end into the log as a revocation, so that every member applies it at the same place.
"""

from raftstore.mvcc.errors import LeaseExists, LeaseNotFound, LeaseTtlTooLarge

# etcd: the shortest lease outlives an election (1.5 times its timeout, in whole seconds).
TTL_MIN_S = 2
TTL_MAX_S = 9_000_000_000


class Leases:
    def __init__(self) -> None:
        self._ttl_s: dict[int, int] = {}
        self._keys: dict[int, set[bytes]] = {}

    def __contains__(self, lease_id: int) -> bool:
        return lease_id in self._ttl_s

    def __len__(self) -> int:
        return len(self._ttl_s)

    def grant(self, lease_id: int, ttl_s: int) -> None:
        if lease_id == 0:
            raise LeaseNotFound
        if ttl_s > TTL_MAX_S:
            raise LeaseTtlTooLarge
        if lease_id in self._ttl_s:
            raise LeaseExists
        self._ttl_s[lease_id] = max(ttl_s, TTL_MIN_S)
        self._keys[lease_id] = set()

    def revoke(self, lease_id: int) -> list[bytes]:
        """Forget the lease; returns its keys in order."""
        self.check(lease_id)
        del self._ttl_s[lease_id]
        return sorted(self._keys.pop(lease_id))

    def check(self, lease_id: int) -> None:
        if lease_id not in self._ttl_s:
            raise LeaseNotFound

    def ttl_s(self, lease_id: int) -> int:
        self.check(lease_id)
        return self._ttl_s[lease_id]

    def keys(self, lease_id: int) -> list[bytes]:
        self.check(lease_id)
        return sorted(self._keys[lease_id])

    def all_ttl_s(self) -> dict[int, int]:
        return dict(self._ttl_s)

    def move(self, key: bytes, old_lease: int, new_lease: int) -> None:
        """The key hung on `old_lease` and now hangs on `new_lease` (0: on none)."""
        if old_lease == new_lease:
            return
        if old_lease in self._keys:
            self._keys[old_lease].discard(key)
        if new_lease:
            self._keys[new_lease].add(key)
