"""Keeps the Node object and its Lease in the API: registered, beating, and true.

The Lease is renewed every 10 s; the status is written every 5 minutes, and at once when something
in it changes (KEP-589).
"""

import asyncio
import logging
import random
from collections.abc import Callable

import msgspec

from base.backoff import Backoff
from base.clock import Clock, rfc3339_micro
from kubeapi.client import Client, PatchType
from kubeapi.errors import StatusError
from kubeapi.types import coordination_v1, core_v1, meta_v1
from nodeagent.node.facts import MachineFacts
from nodeagent.node.status import NodeFacts, build_status, labels

log = logging.getLogger(__name__)

LEASE_NAMESPACE = "kube-node-lease"
LEASE_DURATION_S = 40
LEASE_PERIOD_S = 10.0
STATUS_PERIOD_S = 300.0
LOOK_PERIOD_S = 10.0
CALL_TIMEOUT_S = 10.0
VOLUMES_ANNOTATION = "volumes.kubernetes.io/controller-managed-attach-detach"

EMPTY_STATUS = core_v1.NodeStatus()


class Registrar:
    """`node` is the object as the API had it last."""

    def __init__(
        self,
        client: Client,
        machine: MachineFacts,
        name: str,
        look: Callable[[], NodeFacts],
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self.node: core_v1.Node | None = None
        self.registered = asyncio.Event()
        self._client = client
        self._machine = machine
        self._name = name
        self._look = look
        self._clock = clock
        self._rng = rng
        self._now = asyncio.Event()
        self._written_at_s = float("-inf")

    def hurry(self) -> None:
        """Something that the status shows may have changed: look now."""
        self._now.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_status(), name="node status")
            group.create_task(self._keep_lease(), name="node lease")

    async def _keep_status(self) -> None:
        backoff = Backoff(0.2, 10.0, rng=self._rng)
        while True:
            try:
                async with asyncio.timeout(CALL_TIMEOUT_S):
                    if self.node is None:
                        await self._register()
                    await self._write_status()
                backoff.reset()
                delay_s = LOOK_PERIOD_S
            except (StatusError, OSError) as error:
                if isinstance(error, StatusError) and error.code in (404, 409):
                    self.node = None
                delay_s = backoff.next_delay_s()
                log.warning("node not written, again in %.1f s: %s", delay_s, error)
            await self._pause(delay_s)

    async def _pause(self, delay_s: float) -> None:
        try:
            async with asyncio.timeout(delay_s):
                await self._now.wait()
        except TimeoutError:
            pass
        self._now.clear()

    async def _register(self) -> None:
        """Create the Node, or take over the one of this name, with our labels on it."""
        wanted = labels(self._name, self._machine)
        try:
            self.node = await self._client.create(
                core_v1.Node(
                    metadata=meta_v1.ObjectMeta(
                        name=self._name,
                        labels=wanted,
                        annotations={VOLUMES_ANNOTATION: "true"},
                    ),
                    spec=core_v1.NodeSpec(),
                    status=build_status(self._look(), EMPTY_STATUS, self._clock.now_s()),
                )
            )
            log.info("registered node %s", self._name)
        except StatusError as error:
            if error.code != 409:
                raise
            self.node = await self._client.get(core_v1.Node, self._name)
            have = (self.node.metadata.labels if self.node.metadata else None) or {}
            if wanted.items() - have.items():
                patch = {"metadata": {"labels": wanted}}
                self.node = await self._client.patch(core_v1.Node, self._name, patch)
        self.registered.set()

    async def _write_status(self) -> None:
        assert self.node is not None
        old = self.node.status or EMPTY_STATUS
        now_s = self._clock.monotonic_s()
        new = build_status(self._look(), old, self._clock.now_s())
        due = now_s - self._written_at_s >= STATUS_PERIOD_S
        if not due and _without_heartbeats(new) == _without_heartbeats(old):
            return
        before, after = msgspec.to_builtins(old), msgspec.to_builtins(new)
        changed = {
            key: after.get(key)
            for key in before.keys() | after.keys()
            if before.get(key) != after.get(key)
        }
        self.node = await self._client.patch(
            core_v1.Node,
            self._name,
            {"status": changed},
            patch_type=PatchType.STRATEGIC,
            subresource="status",
        )
        self._written_at_s = now_s

    async def _keep_lease(self) -> None:
        await self.registered.wait()
        backoff = Backoff(0.2, 7.0, rng=self._rng)
        lease: coordination_v1.Lease | None = None
        while True:
            try:
                async with asyncio.timeout(CALL_TIMEOUT_S):
                    lease = await self._renew(lease)
                backoff.reset()
                delay_s = LEASE_PERIOD_S
            except (StatusError, TimeoutError) as error:
                lease = None
                delay_s = backoff.next_delay_s()
                log.warning("lease not renewed, again in %.1f s: %s", delay_s, error)
            await self._clock.sleep(delay_s)

    async def _renew(self, lease: coordination_v1.Lease | None) -> coordination_v1.Lease:
        now = rfc3339_micro(self._clock.now_s())
        if lease is None:
            try:
                lease = await self._client.get(coordination_v1.Lease, self._name, LEASE_NAMESPACE)
            except StatusError as error:
                if error.code != 404:
                    raise
                return await self._client.create(self._new_lease(now))
        spec = msgspec.structs.replace(
            lease.spec or coordination_v1.LeaseSpec(),
            holderIdentity=self._name,
            leaseDurationSeconds=LEASE_DURATION_S,
            renewTime=now,
        )
        return await self._client.update(msgspec.structs.replace(lease, spec=spec))

    def _new_lease(self, now: str) -> coordination_v1.Lease:
        owner = None
        if self.node is not None and self.node.metadata is not None:
            owner = meta_v1.OwnerReference(
                apiVersion="v1", kind="Node", name=self._name, uid=self.node.metadata.uid
            )
        return coordination_v1.Lease(
            metadata=meta_v1.ObjectMeta(
                name=self._name,
                namespace=LEASE_NAMESPACE,
                ownerReferences=[owner] if owner else None,
            ),
            spec=coordination_v1.LeaseSpec(
                holderIdentity=self._name, leaseDurationSeconds=LEASE_DURATION_S, renewTime=now
            ),
        )


def _without_heartbeats(status: core_v1.NodeStatus) -> core_v1.NodeStatus:
    conditions = [
        msgspec.structs.replace(c, lastHeartbeatTime=None) for c in status.conditions or ()
    ]
    return msgspec.structs.replace(status, conditions=conditions)
