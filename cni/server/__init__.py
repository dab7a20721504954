"""The agent's half of the CNI plugin: answers the shim over a UNIX socket.

`server` takes requests, `protocol` decides what they ask and how an answer reads. `node` has the
bridge and the addresses (`addresses`: who has which); `podnetwork` wires one pod through
`netlink`, the only module that knows pyroute2; `firewall` is the only one that starts processes.
`teardown` removes all.
Neighbours: `nodeagent` owns a `CniServer`. It never asks the API server anything: it is told the
node's podCIDR and the live sandboxes.
"""

from cni.server.errors import NetworkFailure
from cni.server.server import CniServer

__all__ = ["CniServer", "NetworkFailure"]
