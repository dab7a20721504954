"""The replicated store: etcd's semantics over a Raft log of our own.

`core` is the Raft algorithm and `mvcc` the state machine, both pure; `disk` keeps the log and the
snapshots; `node` joins the three on an event loop. Neighbours: `controlplane.store` opens it in
the control plane's process. It knows nothing of Kubernetes: keys and values are bytes.
"""
