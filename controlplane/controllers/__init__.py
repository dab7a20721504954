"""The reconcilers of the control plane: each brings one kind's objects a step closer to their spec.

A reconciler gets a key, reads the present state from the shared informers, decides in a pure
function, and writes through a client of its own Kubernetes identity. It depends on no event, so
it may be restarted between any two writes. Neighbours: `kubeapi.informer` and `kubeapi.client`
below, `manager` above. It never reaches the store, a node or another controller but through
objects of the API.
"""
