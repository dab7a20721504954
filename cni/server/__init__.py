"""The agent's half of the CNI plugin: answers the shim over a UNIX socket.

`protocol` decides what a request asks and how an answer reads; `addresses` remembers who has
which address; `podnetwork` wires one pod through `netlink`, the only module that knows pyroute2;
`firewall` is the only one that starts processes. `server` joins them; `teardown` removes all.
Neighbours: `nodeagent` owns a `CniServer`. It never asks the API server anything: it is told the
node's podCIDR and the live sandboxes.
"""

from cni.server.errors import NetworkFailure
from cni.server.server import CniServer

__all__ = ["CniServer", "NetworkFailure"]
