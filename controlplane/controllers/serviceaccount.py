"""A `default` ServiceAccount in every namespace.

Source: Kubernetes, `pkg/controller/serviceaccount/serviceaccounts_controller.go`.
"""

import random

from base.clock import Clock
from controlplane.controllers.pods import meta_of
from controlplane.controllers.reconciler import DONE, ControlLoop, Result
from controlplane.controllers.refusals import namespace_ends
from kubeapi.client import Client
from kubeapi.errors import StatusError
from kubeapi.informer import SharedInformers, object_key
from kubeapi.types import core_v1, meta_v1

DEFAULT_NAME = "default"


class ServiceAccountController:
    name = "service-account-controller"

    def __init__(
        self, client: Client, informers: SharedInformers, clock: Clock, rng: random.Random
    ) -> None:
        self._client = client
        self.loop = ControlLoop("serviceaccount", self.reconcile, clock, rng, workers=1)
        self._namespaces = informers.of(core_v1.Namespace)
        self._accounts = informers.of(core_v1.ServiceAccount)
        self._namespaces.add_handler(self._namespace_changed)
        self._accounts.add_handler(self._account_changed)

    def _namespace_changed(
        self, old: core_v1.Namespace | None, new: core_v1.Namespace | None
    ) -> None:
        if new is not None:
            self.loop.enqueue(object_key(new))

    def _account_changed(
        self, old: core_v1.ServiceAccount | None, new: core_v1.ServiceAccount | None
    ) -> None:
        if new is None and old is not None and meta_of(old).name == DEFAULT_NAME:
            self.loop.enqueue(meta_of(old).namespace or "")

    async def reconcile(self, key: str) -> Result:
        namespace = self._namespaces.get(key)
        if namespace is None or not is_active(namespace):
            return DONE
        if self._accounts.get(f"{key}/{DEFAULT_NAME}") is not None:
            return DONE
        meta = meta_v1.ObjectMeta(name=DEFAULT_NAME, namespace=key)
        try:
            await self._client.create(core_v1.ServiceAccount(metadata=meta))
        except StatusError as error:
            if error.reason != "AlreadyExists" and not namespace_ends(error):
                raise
        return DONE


def is_active(namespace: core_v1.Namespace) -> bool:
    """Not being deleted."""
    return meta_of(namespace).deletionTimestamp is None
