"""The seam between the control plane and its store: etcd's semantics as one Protocol.

`embedded` opens a raftstore in this process, `etcd` speaks to any etcd v3 endpoint. Nothing above
this package knows which it is. Leadership and its fence are of the Protocol as well: `raftleader`
ties them to raft, `election` to a lease.
"""

from controlplane.store.protocol import (
    Compacted,
    Compare,
    Event,
    KeyValue,
    Leadership,
    Op,
    RangeResult,
    Store,
    StoreError,
    TxnResult,
    Watcher,
)

__all__ = [
    "Compacted",
    "Compare",
    "Event",
    "KeyValue",
    "Leadership",
    "Op",
    "RangeResult",
    "Store",
    "StoreError",
    "TxnResult",
    "Watcher",
]
