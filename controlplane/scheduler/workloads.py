"""By which selector a pod's workload is told from others': for spreading without constraints.

Source: Kubernetes, `plugins/helper/spread.go` (DefaultSelector).
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

from controlplane.controllers.indices import BY_NAMESPACE, by_namespace
from controlplane.controllers.ownership import controller_of
from controlplane.scheduler.podinfo import PodInfo
from kubeapi.informer import Informer, SharedInformers
from kubeapi.selectors import LabelMatcher, Requirement, of_selector, of_set
from kubeapi.types import apps_v1, core_v1

NOTHING = LabelMatcher(nothing=True)
REMEMBERED_MAX = 1024


class Workloads:
    """The Services that select a pod and the selector of its controller, joined."""

    def __init__(self, informers: SharedInformers) -> None:
        self._services = informers.of(core_v1.Service)
        self._services.add_index(BY_NAMESPACE, by_namespace)
        self._services.add_handler(self._service_changed)
        self._owners: dict[tuple[str, str], Informer[Any]] = {
            ("v1", "ReplicationController"): informers.of(core_v1.ReplicationController),
            ("apps/v1", "ReplicaSet"): informers.of(apps_v1.ReplicaSet),
            ("apps/v1", "StatefulSet"): informers.of(apps_v1.StatefulSet),
        }
        self._known: OrderedDict[Hashable, LabelMatcher] = OrderedDict()

    def _service_changed(self, old: core_v1.Service | None, new: core_v1.Service | None) -> None:
        if _selector(old) != _selector(new):
            self._known.clear()

    def of(self, pod: PodInfo) -> LabelMatcher:
        """Matches nothing where the pod belongs to no workload."""
        owner = controller_of(pod.pod)
        key = (pod.namespace, owner.uid if owner else "", frozenset(pod.labels.items()))
        known = self._known.get(key)
        if known is not None:
            return known
        requirements: set[Requirement] = set()
        for service in self._services.by_index(BY_NAMESPACE, pod.namespace):
            selector = _selector(service)
            matcher = of_set(selector)
            if selector and matcher.matches(pod.labels):
                requirements.update(matcher.requirements)
        if owner is not None:
            informer = self._owners.get((owner.apiVersion or "", owner.kind or ""))
            found = informer.get(f"{pod.namespace}/{owner.name}") if informer else None
            if informer is not None and found is None:
                return NOTHING  # not shown yet: asked again for the next pod
            if found is not None:
                requirements.update(_requirements(found))
        ordered = sorted(requirements, key=lambda r: (r.key, r.operator, sorted(r.values)))
        matcher = LabelMatcher(tuple(ordered), nothing=not ordered)
        self._known[key] = matcher
        if len(self._known) > REMEMBERED_MAX:
            self._known.popitem(last=False)
        return matcher


def _selector(service: core_v1.Service | None) -> dict[str, str] | None:
    return service.spec.selector if service is not None and service.spec else None


def _requirements(owner: Any) -> tuple[Requirement, ...]:
    selector = owner.spec.selector if owner.spec else None
    matcher = of_set(selector) if isinstance(selector, dict) else of_selector(selector)
    return matcher.requirements
