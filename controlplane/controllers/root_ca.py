"""The ConfigMap `kube-root-ca.crt` in every namespace: how pods come to trust the API server.

Source: Kubernetes, `pkg/controller/certificates/rootcacertpublisher`.
"""

import random

import msgspec

from base.clock import Clock
from controlplane.controllers.pods import meta_of
from controlplane.controllers.reconciler import DONE, ControlLoop, Result
from controlplane.controllers.refusals import namespace_ends
from controlplane.controllers.serviceaccount import is_active
from kubeapi.client import Client
from kubeapi.errors import StatusError
from kubeapi.informer import SharedInformers, object_key
from kubeapi.types import core_v1, meta_v1

CONFIG_MAP_NAME = "kube-root-ca.crt"
DESCRIPTION = {
    "kubernetes.io/description": "Contains a CA bundle that can be used to verify the "
    "kube-apiserver when using internal endpoints such as the internal service IP or "
    "kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
}


class RootCaPublisher:
    name = "root-ca-cert-publisher"

    def __init__(
        self,
        client: Client,
        informers: SharedInformers,
        clock: Clock,
        rng: random.Random,
        *,
        root_ca_pem: str,
    ) -> None:
        self._client = client
        self._data = {"ca.crt": root_ca_pem}
        self.loop = ControlLoop("root_ca_cert_publisher", self.reconcile, clock, rng, workers=1)
        self._namespaces = informers.of(core_v1.Namespace)
        self._config_maps = informers.of(core_v1.ConfigMap)
        self._namespaces.add_handler(self._namespace_changed)
        self._config_maps.add_handler(self._config_map_changed)

    def _namespace_changed(
        self, old: core_v1.Namespace | None, new: core_v1.Namespace | None
    ) -> None:
        if new is not None:
            self.loop.enqueue(object_key(new))

    def _config_map_changed(
        self, old: core_v1.ConfigMap | None, new: core_v1.ConfigMap | None
    ) -> None:
        changed = new or old
        if changed is not None and meta_of(changed).name == CONFIG_MAP_NAME:
            self.loop.enqueue(meta_of(changed).namespace or "")

    async def reconcile(self, key: str) -> Result:
        namespace = self._namespaces.get(key)
        if namespace is None or not is_active(namespace):
            return DONE
        present = self._config_maps.get(f"{key}/{CONFIG_MAP_NAME}")
        try:
            if present is None:
                await self._create(key)
            elif not self._is_right(present):
                await self._client.update(self._corrected(present))
        except StatusError as error:
            if error.reason != "AlreadyExists" and not namespace_ends(error):
                raise
        return DONE

    def _is_right(self, present: core_v1.ConfigMap) -> bool:
        annotations = meta_of(present).annotations or {}
        return present.data == self._data and DESCRIPTION.items() <= annotations.items()

    def _corrected(self, present: core_v1.ConfigMap) -> core_v1.ConfigMap:
        meta = meta_of(present)
        annotations = (meta.annotations or {}) | DESCRIPTION
        return msgspec.structs.replace(
            present,
            data=self._data,
            metadata=msgspec.structs.replace(meta, annotations=annotations),
        )

    async def _create(self, namespace: str) -> None:
        meta = meta_v1.ObjectMeta(
            name=CONFIG_MAP_NAME, namespace=namespace, annotations=DESCRIPTION
        )
        await self._client.create(core_v1.ConfigMap(metadata=meta, data=self._data))
