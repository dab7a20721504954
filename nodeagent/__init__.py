"""The agent of one node: registers it, runs the pods bound to it on containerd, says how they are.

`pods` (decide, then do), `volumes`, `probes`, `images`, `node` (Node object and Lease), `cri` and
`runtime_events` (containerd), `streams` and `tunnel` (logs and exec, over the connection that the
agent holds open). Neighbours: `kubeapi` for types and the client, `cni.server` for interfaces.
What it never does: import the control plane, keep state that its containers' labels do not hold,
or stop a container because the control plane, or it itself, went away.
"""
