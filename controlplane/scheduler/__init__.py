"""Finds a node for each pod: queue, snapshot, plugins, binder.

`framework.schedule(pod, snapshot)` is pure: the same values give the same placement, or say per
node and rule why there is none. The scheduler around it keeps the snapshot current from informers,
takes pods from the queue, and writes bindings, conditions and events. Neighbours: `kubeapi` below,
`controllers` beside it for what both need of pods. It never starts a pod, and asks no node.
"""
