"""Old revisions are forgotten after five minutes, as kube-apiserver's compactor does it.

Until then a list can be continued page by page as of its revision.
"""

import logging
from typing import Final

from base.clock import Clock
from controlplane.store import Store, StoreError

log = logging.getLogger("compaction")

INTERVAL_S: Final = 300.0


async def compact_for_ever(store: Store, clock: Clock) -> None:
    """Each interval, forget what was overwritten before the interval began."""
    previous = store.revision
    while True:
        await clock.sleep(INTERVAL_S)
        current = store.revision
        if current == previous:
            continue
        try:
            await store.compact(previous)
        except StoreError as error:
            log.warning("the store could not be compacted: %s", error)
        previous = current
