"""Take away everything the pod network put on this machine: for `pinnace reset`."""

import asyncio
import shutil
from pathlib import Path

from cni.server import firewall, podnetwork


async def remove_all(state_dir: Path) -> list[str]:
    """Remove the pods' links, the bridge, the rules and the state; says what was there.

    For a node whose agent has stopped. Running it again finds nothing and is no error.
    Raises NetworkFailure when something could not be removed.
    """
    removed = []
    ports = await asyncio.to_thread(podnetwork.ports)
    if ports:
        await asyncio.to_thread(podnetwork.remove_ports, ports)
        removed.append(f"{len(ports)} network links of pods")
    if await asyncio.to_thread(podnetwork.remove_bridge):
        removed.append(f"bridge {podnetwork.BRIDGE}")
    if await firewall.remove():
        removed.append(f"iptables chains {firewall.NAT_CHAIN} and {firewall.FILTER_CHAIN}")
    if await asyncio.to_thread(_remove_tree, state_dir):
        removed.append(f"addresses and tombstones in {state_dir}")
    return removed


def _remove_tree(path: Path) -> bool:
    present = path.exists()
    if present:
        shutil.rmtree(path)
    return present
