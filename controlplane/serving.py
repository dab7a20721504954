"""Which control planes serve the API: the endpoints of the Service `kubernetes`.

Each has a key in the store, bound to a lease that it renews, and writes the addresses of all such
keys into the endpoints; the address of one that is gone goes with its lease. Source: kube-apiserver
`controlplane/reconcilers/lease.go`.
"""

import asyncio
import logging
from typing import Final

from base.clock import Clock
from controlplane import bootstrap
from controlplane.registry.api import Api
from controlplane.store import Op, Store, StoreError
from controlplane.store.protocol import prefix_end
from kubeapi.errors import StatusError

log = logging.getLogger("serving")

KEY_PREFIX: Final = b"/pinnace/apiservers/"
LEASE_TTL_S: Final = 15
INTERVAL_S: Final = 5.0
STOP_S: Final = 2.0


class Serving:
    """One control plane, whose API is reached at `address` and `port`."""

    def __init__(self, store: Store, api: Api, clock: Clock, address: str, port: int) -> None:
        self._store = store
        self._api = api
        self._clock = clock
        self._address = address
        self._port = port
        self._lease_id = 0

    async def run(self) -> None:
        """Keep on saying so, and the endpoints right, until cancelled."""
        while True:
            await self._clock.sleep(INTERVAL_S)
            try:
                await self.reconcile()
            except (StoreError, StatusError) as error:
                log.warning("the endpoints of the API could not be looked after: %s", error)

    async def reconcile(self) -> None:
        """Raises StoreError, StatusError."""
        await self._renew()
        await self._write_endpoints()

    async def _renew(self) -> None:
        if self._lease_id and await self._store.lease_keepalive(self._lease_id):
            return
        self._lease_id = await self._store.lease_grant(LEASE_TTL_S)
        key = KEY_PREFIX + self._address.encode()
        await self._store.txn([], [Op.put(key, b"", self._lease_id)])

    async def _write_endpoints(self) -> None:
        found = await self._store.range(KEY_PREFIX, prefix_end(KEY_PREFIX), keys_only=True)
        addresses = [kv.key.removeprefix(KEY_PREFIX).decode() for kv in found.kvs]
        await bootstrap.ensure_api_endpoints(self._api, addresses, self._port)

    async def stop(self) -> None:
        """This one serves no longer; what cannot be written now goes with the lease."""
        try:
            async with asyncio.timeout(STOP_S):
                if self._lease_id:
                    await self._store.lease_revoke(self._lease_id)
                    await self._write_endpoints()
        except (StoreError, StatusError, TimeoutError) as error:
            why = error or "timeout"
            log.info("the endpoints of the API keep %s for a while: %s", self._address, why)
