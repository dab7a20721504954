"""A cluster of real members in one thread: its time, network, disks and faults come from one seed.

`processes` has the loop on which members are paused, killed and live by clocks of their own,
`disks` and `network` lose what real ones lose, `clients` load the cluster and write down what they
saw, `model` and `oracle` judge that. Neighbours: `raftstore.node` is what runs here, unchanged.
Nothing here reads a real clock, and nothing but the seed decides what happens.
"""
