"""Kubernetes' API as data: kinds, resources, codec, patches, selectors, and the client protocol.

For everything that speaks the API: the server decodes, patches and encodes with what is here,
controllers, agents and proxies use the same types through `kubeapi.client`. Neighbours:
`controlplane` (the server), `nodeagent` and `netproxy` (its users). It imports only `base`.

What it never does: decide whether an object is valid or allowed, choose defaults, or keep state;
that is the server's. Only `grpc_client`, `informer` and `streams` know of connections.
"""
