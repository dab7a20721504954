"""Gives each node a range of pod addresses out of the cluster's.

Source: Kubernetes, `pkg/controller/nodeipam/ipam` (range_allocator.go).
"""

import ipaddress
import random
from collections.abc import Iterable, Iterator

from base.clock import Clock
from controlplane.controllers.pods import meta_of
from controlplane.controllers.reconciler import DONE, ControlLoop, Result
from controlplane.controllers.recorder import NORMAL, EventRecorder
from kubeapi.client import Client, PatchType
from kubeapi.errors import StatusError
from kubeapi.informer import SharedInformers, object_key
from kubeapi.types import core_v1

NODE_PREFIX_V4, NODE_PREFIX_V6 = 24, 64
FULL_RECHECK_S = 30.0

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def node_ranges(cluster_cidr: str) -> Iterator[Network]:
    """The ranges that the cluster's can be cut into; ValueError where it is too small for one."""
    cluster = ipaddress.ip_network(cluster_cidr)
    prefix = NODE_PREFIX_V4 if cluster.version == 4 else NODE_PREFIX_V6
    if cluster.prefixlen > prefix:
        raise ValueError(f"cluster CIDR {cluster_cidr} holds no /{prefix} for a node")
    return cluster.subnets(new_prefix=prefix)


def choose(cluster_cidr: str, taken: Iterable[str]) -> str | None:
    """The first free range; None where all are taken."""
    exact = set(taken)
    usual = (f"/{NODE_PREFIX_V4}", f"/{NODE_PREFIX_V6}")
    odd = [ipaddress.ip_network(cidr) for cidr in exact if not cidr.endswith(usual)]
    for candidate in node_ranges(cluster_cidr):
        if str(candidate) in exact:
            continue
        if not any(candidate.overlaps(network) for network in odd):
            return str(candidate)
    return None


class NodeIpamController:
    name = "node-controller"

    def __init__(
        self,
        client: Client,
        informers: SharedInformers,
        recorder: EventRecorder,
        clock: Clock,
        rng: random.Random,
        *,
        cluster_cidr: str,
    ) -> None:
        node_ranges(cluster_cidr)
        self._client = client
        self._recorder = recorder
        self._cluster_cidr = cluster_cidr
        self._given: dict[str, str] = {}
        # One worker: two nodes at once would be given the same range.
        self.loop = ControlLoop("node_ipam", self.reconcile, clock, rng, workers=1)
        self._nodes = informers.of(core_v1.Node)
        self._nodes.add_handler(self._node_changed)

    def _node_changed(self, old: core_v1.Node | None, new: core_v1.Node | None) -> None:
        if new is None and old is not None:
            self._given.pop(object_key(old), None)
        elif new is not None and not _range_of(new):
            self.loop.enqueue(object_key(new))

    async def reconcile(self, key: str) -> Result:
        node = self._nodes.get(key)
        if node is None or _range_of(node):
            return DONE
        cidr = self._given.get(key) or choose(self._cluster_cidr, self._taken())
        if cidr is None:
            self._recorder.event(
                node, NORMAL, "CIDRNotAvailable", f"Node {key} status is now: CIDRNotAvailable"
            )
            return Result(FULL_RECHECK_S)
        # Noted before it is written: the informer shows it only some time after.
        self._given[key] = cidr
        patch = {
            "metadata": {"uid": meta_of(node).uid},
            "spec": {"podCIDR": cidr, "podCIDRs": [cidr]},
        }
        try:
            await self._client.patch(core_v1.Node, key, patch, patch_type=PatchType.MERGE)
        except StatusError as error:
            # Of another failure it is not known whether the write was done: the range stays his.
            if error.code != 404:
                raise
            self._given.pop(key, None)
        return DONE

    def _taken(self) -> set[str]:
        nodes = (_range_of(node) for node in self._nodes.list())
        return {cidr for cidr in nodes if cidr} | set(self._given.values())


def _range_of(node: core_v1.Node) -> str:
    return (node.spec.podCIDR if node.spec else None) or ""
