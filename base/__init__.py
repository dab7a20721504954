"""What every room needs and none should write twice.

Clock, randomness, TLS files, logging, metrics, keyed queue, back-off, and the virtual-time loop
of the tests. Neighbours: everybody imports `base`; `base` imports none of the rooms.
It never knows a Kubernetes kind, a raft term or a container.
"""

import os

# Read when grpc is imported, which is after this: agents start processes beside gRPC's threads.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
