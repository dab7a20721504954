"""Opens the store that the flags name."""

import random
from pathlib import Path

from base.clock import Clock
from controlplane.store.embedded import open_embedded, open_member
from controlplane.store.etcd import EtcdStore
from controlplane.store.flags import StoreFlags
from controlplane.store.protocol import Store


async def open_store(flags: StoreFlags, directory: Path, clock: Clock, rng: random.Random) -> Store:
    """`directory` is where an embedded one lies. A remote one connects when it is first used.
    Raises StoreError, in one line for the operator."""
    if flags.servers is not None:
        return EtcdStore(flags.servers, clock, rng, flags.lease_duration_s)
    if flags.member is not None:
        return await open_member(flags.member, clock, rng)
    return await open_embedded(directory, clock, rng)
