"""The pod network of this node: the CNI server, and the plugin installed once podCIDR is known.

Neighbours: `cni.server` wires pods; the informer of this Node says what its podCIDR is.
"""

import logging

from cni.install import install
from cni.server import CniServer
from kubeapi.types import core_v1
from nodeagent.flags import Flags
from nodeagent.runtime_reader import RuntimeReader

log = logging.getLogger(__name__)


class PodNetwork:
    """Follows the Node object; containerd calls the network ready when the files are there."""

    def __init__(self, flags: Flags, server: CniServer, reader: RuntimeReader) -> None:
        self._flags = flags
        self._server = server
        self._reader = reader
        self._pod_cidr = ""

    async def follow(self, node: core_v1.Node) -> bool:
        """Serve the node's podCIDR; True where it was not served before."""
        pod_cidr = (node.spec.podCIDR if node.spec else None) or ""
        if not pod_cidr or pod_cidr == self._pod_cidr:
            return False
        await self._server.set_pod_cidr(pod_cidr)
        flags = self._flags
        install(flags.cni_bin_dir, flags.cni_conf_dir, flags.cni_socket, flags.data_dir / "cni")
        self._pod_cidr = pod_cidr
        log.info("pods of this node get addresses of %s", pod_cidr)
        return True

    async def reconcile(self) -> None:
        """Free the addresses of sandboxes that are gone."""
        live = [s.id for pod in self._reader.pods.values() for s in pod.sandboxes]
        for freed in await self._server.reconcile(live):
            log.info("freed the address of sandbox %s, which is gone", freed)
