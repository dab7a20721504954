"""Which pods stand behind a Service and on which ports: what both endpoint controllers ask.

Source: Kubernetes, `staging/src/k8s.io/endpointslice/util` and `pkg/api/v1/pod/util.go`.
"""

from collections.abc import Iterable, Iterator

from controlplane.controllers import pods
from controlplane.controllers.indices import BY_NAMESPACE, by_namespace
from controlplane.controllers.pods import meta_of
from kubeapi.informer import Informer, object_key
from kubeapi.selectors import of_set
from kubeapi.types import core_v1

HEADLESS_LABEL = "service.kubernetes.io/headless"
# As with ReplicaSets: what has many pods is counted less often.
DELAY_PER_POD_S = 0.0002
DELAY_MAX_S = 0.5
AT_ONCE_PODS = 50


def has_own_endpoints(service: core_v1.Service) -> bool:
    """Only Services with a selector get their endpoints from pods."""
    spec = service.spec
    return spec is not None and bool(spec.selector) and spec.type != "ExternalName"


def is_headless(service: core_v1.Service) -> bool:
    address = service.spec.clusterIP if service.spec else None
    return address == "None"


def publishes_not_ready(service: core_v1.Service) -> bool:
    return bool(service.spec and service.spec.publishNotReadyAddresses)


def is_endpoint(pod: core_v1.Pod, *, include_terminating: bool) -> bool:
    """It has an address, and its containers have not ended."""
    status = pods.status_of(pod)
    if not (status.podIP or status.podIPs) or pods.is_terminated(pod):
        return False
    return include_terminating or meta_of(pod).deletionTimestamp is None


def addresses(pod: core_v1.Pod) -> Iterator[str]:
    """Every address of the pod, its first one first."""
    status = pods.status_of(pod)
    if status.podIPs:
        yield from (item.ip for item in status.podIPs if item.ip)
    elif status.podIP:
        yield status.podIP


def hostname(pod: core_v1.Pod, service: core_v1.Service) -> str | None:
    """The name under which the Service's DNS zone lists the pod."""
    spec = pods.spec_of(pod)
    return spec.hostname if spec.hostname and spec.subdomain == meta_of(service).name else None


def target_reference(pod: core_v1.Pod) -> core_v1.ObjectReference:
    meta = meta_of(pod)
    return core_v1.ObjectReference(
        kind="Pod", namespace=meta.namespace, name=meta.name, uid=meta.uid
    )


def _serving_containers(pod: core_v1.Pod) -> Iterator[core_v1.Container]:
    spec = pods.spec_of(pod)
    yield from spec.containers or ()
    # Sidecars are init containers that stay (KEP-753).
    yield from (c for c in spec.initContainers or () if c.restartPolicy == "Always")


def find_port(pod: core_v1.Pod, port: core_v1.ServicePort) -> int | None:
    """The number of a Service's target port in this pod; a name may differ from pod to pod."""
    target = port.targetPort if port.targetPort not in (None, "", 0) else port.port
    if isinstance(target, int):
        return target
    for container in _serving_containers(pod):
        for candidate in container.ports or ():
            if candidate.name == target and candidate.protocol == port.protocol:
                return candidate.containerPort
    return None


class ServicePods:
    """The Services of a pod and the pods of a Service, from the informers."""

    def __init__(
        self, services: Informer[core_v1.Service], pod_informer: Informer[core_v1.Pod]
    ) -> None:
        self._services = services
        self._pods = pod_informer
        services.add_index(BY_NAMESPACE, by_namespace)
        pod_informer.add_index(BY_NAMESPACE, by_namespace)

    def of(self, service: core_v1.Service) -> list[core_v1.Pod]:
        matcher = of_set(service.spec.selector if service.spec else None)
        return [
            pod
            for pod in self._pods.by_index(BY_NAMESPACE, meta_of(service).namespace)
            if matcher.matches(meta_of(pod).labels)
        ]

    def keys_affected(self, old: core_v1.Pod | None, new: core_v1.Pod | None) -> set[str]:
        """Services whose endpoints a change of a pod may change."""
        keys: set[str] = set()
        if old is not None and new is not None and not _matters(old, new):
            return keys
        for pod in (old, new):
            if pod is not None:
                keys.update(self._selecting(pod))
        return keys

    def _selecting(self, pod: core_v1.Pod) -> Iterable[str]:
        meta = meta_of(pod)
        for service in self._services.by_index(BY_NAMESPACE, meta.namespace):
            selector = service.spec.selector if service.spec else None
            if has_own_endpoints(service) and of_set(selector).matches(meta.labels):
                yield object_key(service)

    def delay_s(self, service_key: str) -> float:
        """How long to gather changes of a Service's pods before they are looked at together."""
        namespace = service_key.partition("/")[0]
        count = len(self._pods.by_index(BY_NAMESPACE, namespace))
        return min(DELAY_MAX_S, count * DELAY_PER_POD_S) if count > AT_ONCE_PODS else 0.0


def _matters(old: core_v1.Pod, new: core_v1.Pod) -> bool:
    """Whether anything changed that an endpoint shows, or that selects it."""

    def shown(pod: core_v1.Pod) -> tuple[object, ...]:
        meta, spec, status = meta_of(pod), pods.spec_of(pod), pods.status_of(pod)
        return (
            meta.labels,
            meta.deletionTimestamp,
            spec.nodeName,
            spec.hostname,
            spec.subdomain,
            status.podIP,
            status.podIPs,
            pods.is_terminated(pod),
            pods.is_ready(pod),
        )

    return shown(old) != shown(new)
