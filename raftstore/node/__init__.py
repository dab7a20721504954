"""The driver: joins core, mvcc, disk and peers on an event loop.

`Node` (node.py) is what others see, `Driver` (driver.py) does a turn at a time. Each of the other
modules is one concern of a member:

    proposals   writes that wait          reads        linearizable reads that wait
    leading     what the leader is asked  membership   changes of it, as values
    outgoing    what is said to others    addresses    where they are
    transfers   whole states on their way maintenance  snapshots; freeing history
    retention   how much log stays        syncing      who waits for the disk
    expiry, lessor  leases                quota        the NOSPACE alarm
    consistency     comparing members     founding     how a cluster begins
    member      the parts, opened         metrics, gauges

It knows no gRPC: a `Transport` (raftstore.peers) is handed in, and `raftstore.server` asks the
`Node`.
"""

from raftstore.node.node import Node

__all__ = ["Node"]
