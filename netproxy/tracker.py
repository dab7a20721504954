"""The RuleSet of the informers' present state, worked out anew only where something changed."""

import logging
from collections.abc import Callable

from kubeapi.informer import Informer, SharedInformers
from kubeapi.types import core_v1, discovery_v1
from netproxy.model import (
    RuleSet,
    ServicePort,
    is_served,
    key_of,
    service_of,
    service_ports,
    with_services,
)

logger = logging.getLogger("netproxy")

BY_SERVICE = "netproxy/service"


class Tracker:
    """Level-triggered: a change only marks its Service; what counts is what the informers hold."""

    def __init__(
        self,
        informers: SharedInformers,
        node_name: str,
        base: RuleSet,
        changed: Callable[[], None],
    ) -> None:
        self._services: Informer[core_v1.Service] = informers.of(core_v1.Service)
        self._slices: Informer[discovery_v1.EndpointSlice] = informers.of(
            discovery_v1.EndpointSlice
        )
        self._node_name = node_name
        self._base = base
        self._changed = changed
        self._dirty: set[str] = set()
        self._ports: dict[str, list[ServicePort]] = {}
        self._slices.add_index(BY_SERVICE, lambda obj: [service_of(obj)])
        self._services.add_handler(self._mark_services)
        self._slices.add_handler(self._mark_slices)

    def rules(self) -> RuleSet:
        """What is to be in the kernel now."""
        while self._dirty:
            key = self._dirty.pop()
            if ports := self._ports_of(key):
                self._ports[key] = ports
            else:
                self._ports.pop(key, None)
        return with_services(self._base, (p for ports in self._ports.values() for p in ports))

    def _ports_of(self, key: str) -> list[ServicePort]:
        service = self._services.get(key)
        if service is None:
            return []
        if not is_served(service) and _has_ipv6(service):
            logger.warning("service %s has only IPv6 addresses and is not served", key)
        slices = list(self._slices.by_index(BY_SERVICE, key))
        return service_ports(service, slices, self._node_name)

    def _mark_services(self, old: core_v1.Service | None, new: core_v1.Service | None) -> None:
        self._mark({key_of(obj) for obj in (old, new) if obj is not None})

    def _mark_slices(
        self, old: discovery_v1.EndpointSlice | None, new: discovery_v1.EndpointSlice | None
    ) -> None:
        self._mark({service_of(obj) for obj in (old, new) if obj is not None} - {""})

    def _mark(self, keys: set[str]) -> None:
        if keys:
            self._dirty |= keys
            self._changed()


def _has_ipv6(service: core_v1.Service) -> bool:
    return bool(service.spec and ":" in (service.spec.clusterIP or ""))
