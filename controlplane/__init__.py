"""The control plane: Kubernetes' API over a replicated store, controllers and the scheduler.

Neighbours: `kubeapi` for kinds, `raftstore` (only inside `controlplane.store`). It never speaks
to a container runtime or a kernel: what happens on nodes, nodes do.
"""
