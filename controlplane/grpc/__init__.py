"""The gRPC door: Kubernetes' verbs for agents, proxies and programs, and the nodes' tunnels.

Every caller shows a client certificate of the cluster's CA, and is who it names. Neighbours:
`controlplane.registry` does what is asked, `controlplane.rest` asks nodes for logs and exec
through `tunnel.NodeTunnels`. It never decides what a caller may do: authorization is the
registry's, the same for every door.
"""
