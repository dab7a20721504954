"""The seam between the control plane and its store: etcd's semantics as one Protocol.

`embedded` opens a raftstore in this process; any etcd v3 endpoint can stand behind the same
Protocol. Nothing above this package knows which it is.
"""

from controlplane.store.protocol import (
    Compacted,
    Compare,
    Event,
    KeyValue,
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
    "Op",
    "RangeResult",
    "Store",
    "StoreError",
    "TxnResult",
    "Watcher",
]
