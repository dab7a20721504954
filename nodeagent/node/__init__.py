"""The Node object of this machine and its Lease.

`facts` reads the machine, `status` turns facts into a NodeStatus (pure), `registrar` keeps the
object and the Lease in the API. Neighbours: `main` starts it, the CRI says whether the runtime and
its network are ready. It never taints, cordons or evicts: that is the control plane's.
"""
