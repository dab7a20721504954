"""The Service proxy of a node: makes ClusterIPs, NodePorts and external IPs answer.

`model` decides what traffic goes where (`build_rules`, pure), `tracker` keeps that current from
the informers, a backend under `backends` writes it into the kernel, `syncer` says when, `main`
is the daemon. Neighbours: `kubeapi` for types and informers, the kernel's packet filter.
It never makes a pod's network (`cni` does) and never writes to the API.
"""
