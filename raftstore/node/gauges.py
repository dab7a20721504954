"""What a scrape reads of a node (etcd's metric names)."""

from typing import TYPE_CHECKING

from raftstore.core import NOBODY

if TYPE_CHECKING:
    from raftstore.node import Node
    from raftstore.node.proposals import Proposals


def expose_gauges(node: "Node", proposals: "Proposals") -> None:
    node.metrics.gauges.update(
        {
            "etcd_server_has_leader": lambda: float(node.leader != NOBODY),
            "etcd_server_is_leader": lambda: float(node.leader_term != 0),
            "etcd_server_is_learner": lambda: float(node.is_learner),
            "etcd_server_proposals_pending": lambda: float(len(proposals)),
            "etcd_server_proposals_committed_total": lambda: float(node.raft_index),
            "etcd_server_proposals_applied_total": lambda: float(node.applied_index),
            "etcd_server_quota_backend_bytes": lambda: float(node.quota_bytes),
            "etcd_mvcc_db_total_size_in_bytes": lambda: float(node.size_bytes),
            "etcd_debugging_mvcc_keys_total": lambda: float(len(node.state.keyspace.live)),
            "etcd_debugging_mvcc_watcher_total": lambda: float(node.hub.watcher_count),
            "etcd_debugging_mvcc_current_revision": lambda: float(node.state.keyspace.revision),
            "etcd_debugging_mvcc_compact_revision": lambda: float(
                node.state.keyspace.compact_revision
            ),
        }
    )
