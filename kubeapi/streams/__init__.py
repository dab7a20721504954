"""How bytes of exec, and later attach and port-forward, travel: SPDY/3.1 and Kubernetes' channels.

`spdy_frames` and `spdy` are the framing protocol, `channels` and `remotecommand` what Kubernetes
puts into SPDY streams and WebSocket messages; all four only turn bytes into events and commands
into bytes. `legs` and `tunnel` are the thin asyncio parts that move them.

Neighbours: `controlplane.rest` stands between a client's leg and a node's, `nodeagent` between
the tunnel's and the container runtime's. Nothing here knows a pod, a certificate or an HTTP route.
"""
