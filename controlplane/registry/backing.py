"""What the verbs stand on: the registry, who may what, free addresses, time and chance."""

import random
from dataclasses import dataclass

from base.clock import Clock, rfc3339
from controlplane.auth.rbac import Authorizer
from controlplane.registry.cache import ResourceCache
from controlplane.registry.keys import object_key
from controlplane.registry.options import Call
from controlplane.registry.registry import Registry
from controlplane.registry.service_addresses import ServiceAddresses
from controlplane.registry.stored import Stored
from kubeapi import errors


@dataclass(frozen=True)
class Backing:
    """Handed to the verbs, to subresources and to admission; none of them keeps state."""

    registry: Registry
    authorizer: Authorizer
    addresses: ServiceAddresses
    clock: Clock
    rng: random.Random

    def now(self) -> str:
        return rfc3339(self.clock.now_s())

    def cached(self, call: Call) -> tuple[ResourceCache, Stored]:
        """The object that the call names, with its cache. 404 where there is none."""
        cache = self.registry.cache_of(call.info)
        stored = cache.get(key_of(call))
        if stored is None:
            raise errors.not_found(call.info.resource, call.name, call.info.group)
        return cache, stored


def key_of(call: Call) -> str:
    """The key, within its cache, of the object that the call names."""
    return object_key(call.namespace if call.info.namespaced else "", call.name)
