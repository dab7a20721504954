"""Which attachment has which address: one small file per address, so nothing is lost or shared.

Like host-local IPAM: a file is made under a temporary name and linked to its own, so it is there
whole or not at all. There is no sync: after a power failure the pods are gone as well, and
`reconcile` frees what a torn or lost file still claims.
"""

import ipaddress
import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from cni.server.protocol import Attachment, CniError, ErrorCode

logger = logging.getLogger("cni")


@dataclass(frozen=True)
class Lease:
    """An address in use, by whom, where, and since when (seconds since the epoch)."""

    address: str
    container_id: str
    ifname: str
    netns: str
    since_s: float

    @property
    def attachment(self) -> Attachment:
        return Attachment(self.container_id, self.ifname)


def usable_addresses(network: ipaddress.IPv4Network) -> tuple[int, int]:
    """The first address for a pod, as a number, and how many there are: all but the network's,
    the gateway's and the broadcast address."""
    return int(network.network_address) + 2, network.num_addresses - 3


def gateway_of(network: ipaddress.IPv4Network) -> str:
    return str(network.network_address + 1)


def parse_pod_cidr(text: str) -> ipaddress.IPv4Network:
    """An IPv4 network with room for a gateway and a pod. Raises ValueError naming what is wrong."""
    network = ipaddress.ip_network(text)
    if isinstance(network, ipaddress.IPv6Network):
        raise ValueError(f"podCIDR {text} is IPv6; Pinnace's pod network is IPv4 only")
    if network.prefixlen > 30:
        raise ValueError(f"podCIDR {text} has no room for pods: it needs /30 or larger")
    return network


class Addresses:
    """The addresses of one node's podCIDR. Methods take microseconds and never wait."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._leases: dict[str, Lease] = {}
        self._by_attachment: dict[Attachment, Lease] = {}
        self._network: ipaddress.IPv4Network | None = None
        self._last: ipaddress.IPv4Address | None = None

    @property
    def network(self) -> ipaddress.IPv4Network | None:
        return self._network

    def load(self) -> None:
        """Read what an earlier process left; a torn file frees its address."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in sorted(self._directory.iterdir()):
            try:
                lease = Lease(**json.loads(path.read_text()))
            except (ValueError, TypeError) as error:
                logger.warning("freed the address of unreadable %s: %s", path, error)
                path.unlink()
                continue
            if path.name != lease.address:  # a temporary file of a crash
                path.unlink()
                continue
            self._remember(lease)
        newest = max(self._leases.values(), key=lambda lease: lease.since_s, default=None)
        self._last = ipaddress.IPv4Address(newest.address) if newest else None

    def set_network(self, network: ipaddress.IPv4Network) -> None:
        """Addresses are given out from here on; those of an earlier network stay until released."""
        self._network = network

    def leases(self) -> list[Lease]:
        return list(self._leases.values())

    def find(self, attachment: Attachment) -> Lease | None:
        return self._by_attachment.get(attachment)

    def acquire(self, attachment: Attachment, netns: str, now_s: float) -> Lease:
        """The attachment's address: the one it has, or the next free one. Raises CniError."""
        held = self.find(attachment)
        if held is not None:
            address = ipaddress.IPv4Address(held.address)
            if held.netns == netns and address in self._present_network():
                return held
            self.release(attachment)
        free = self._next_free()
        lease = Lease(str(free), attachment.container_id, attachment.ifname, netns, now_s)
        self._write(lease)
        self._remember(lease)
        self._last = free
        return lease

    def release(self, attachment: Attachment) -> Lease | None:
        """Free the attachment's address, if it has one."""
        lease = self._by_attachment.pop(attachment, None)
        if lease is not None:
            (self._directory / lease.address).unlink(missing_ok=True)
            del self._leases[lease.address]
        return lease

    def _present_network(self) -> ipaddress.IPv4Network:
        if self._network is None:
            raise CniError(ErrorCode.TRY_AGAIN_LATER, "the node has no podCIDR yet")
        return self._network

    def _next_free(self) -> ipaddress.IPv4Address:
        """The free address after the last one given: one just released rests as long as it can,
        since somebody may still talk to its former owner."""
        network = self._present_network()
        first, count = usable_addresses(network)
        last = int(self._last) if self._last is not None and self._last in network else first - 1
        for step in range(1, count + 1):
            address = ipaddress.IPv4Address(first + (last - first + step) % count)
            if str(address) not in self._leases:
                return address
        raise CniError(
            ErrorCode.NO_FREE_ADDRESS, f"all {count} addresses of podCIDR {network} are in use"
        )

    def _remember(self, lease: Lease) -> None:
        self._leases[lease.address] = lease
        self._by_attachment[lease.attachment] = lease

    def _write(self, lease: Lease) -> None:
        temporary = self._directory / f".{lease.address}.tmp"
        temporary.write_text(json.dumps(asdict(lease)))
        # link(2) fails where the name exists: two owners of one address cannot happen.
        try:
            os.link(temporary, self._directory / lease.address)
        finally:
            temporary.unlink()
