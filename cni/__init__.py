"""The pod network of a node, by the CNI specification (github.com/containernetworking/cni).

`plugin` is the executable that containerd starts: standard library only, up in 10 ms; it passes
its environment and stdin to the agent. `server` lives in the agent and does the work. `install`
puts the executable and the network configuration where containerd looks.
Neighbours: `nodeagent` runs the server, `cluster` calls `cni.server.teardown` on reset.
It never knows a Service or a Kubernetes API object; VIPs are `netproxy`'s.
"""
