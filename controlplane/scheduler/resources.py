"""What a pod asks for and a node has, as whole numbers: millicores, bytes, pieces.

Source: Kubernetes, `resourcehelper.PodRequests`; KEP-753 (sidecars), KEP-2837 (pod level).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kubeapi import quantity
from kubeapi.types import core_v1

Amounts = dict[str, int]
# What a container without a request is taken to use when nodes are compared, never when it is
# decided whether the pod fits.
ASSUMED_CPU_MILLIS = 100
ASSUMED_MEMORY_BYTES = 200 * 1024 * 1024
CPU, MEMORY, PODS = "cpu", "memory", "pods"


def amounts(quantities: Mapping[str, str] | None) -> Amounts:
    """Parsed: cpu in thousandths, everything else in units."""
    return {
        name: quantity.parse(text).millis if name == CPU else quantity.parse(text).units
        for name, text in (quantities or {}).items()
    }


def add(total: Amounts, more: Mapping[str, int]) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, 0) + amount


def raise_to(total: Amounts, least: Mapping[str, int]) -> None:
    for name, amount in least.items():
        if amount > total.get(name, 0):
            total[name] = amount


def _requests(container: core_v1.Container, assumed: Mapping[str, int]) -> Amounts:
    own = amounts(container.resources.requests) if container.resources else {}
    return {**assumed, **{name: amount for name, amount in own.items() if amount or not assumed}}


def _sum(spec: core_v1.PodSpec, assumed: Mapping[str, int]) -> Amounts:
    """Containers run together; init containers one by one before them, beside the sidecars that
    were started by then."""
    total: Amounts = {}
    for container in spec.containers or ():
        add(total, _requests(container, assumed))
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in spec.initContainers or ():
        own = _requests(container, assumed)
        if container.restartPolicy == "Always":
            add(sidecars, own)
            raise_to(peak, sidecars)
        else:
            add(own, sidecars)
            raise_to(peak, own)
    add(total, sidecars)
    raise_to(total, peak)
    if spec.resources and spec.resources.requests:
        total |= amounts(spec.resources.requests)
    add(total, amounts(spec.overhead))
    return total


@dataclass(frozen=True, slots=True)
class PodRequests:
    """`exact` decides whether the pod fits, `cpu` and `memory` (with the assumed amounts) where
    it fits best."""

    exact: Mapping[str, int]
    cpu: int
    memory: int

    @property
    def signature(self) -> tuple[object, ...]:
        """Equal for pods that ask for the same."""
        return (tuple(sorted(self.exact.items())), self.cpu, self.memory)


_ASSUMED = {CPU: ASSUMED_CPU_MILLIS, MEMORY: ASSUMED_MEMORY_BYTES}


def pod_requests(pod: core_v1.Pod) -> PodRequests:
    spec = pod.spec or core_v1.PodSpec()
    exact = {name: amount for name, amount in _sum(spec, {}).items() if amount}
    padded = _sum(spec, _ASSUMED)
    return PodRequests(exact, padded.get(CPU, 0), padded.get(MEMORY, 0))


def allocatable(node: core_v1.Node) -> Amounts:
    status = node.status
    if status is None:
        return {}
    return amounts(status.allocatable if status.allocatable is not None else status.capacity)


@dataclass(slots=True)
class Usage:
    """Sums over the pods of one node."""

    exact: Amounts = field(default_factory=dict)
    cpu: int = 0
    memory: int = 0
    pods: int = 0

    def change(self, requests: Iterable[tuple[str, int]], padded: tuple[int, int], by: int) -> None:
        """Add (`by` = 1) or take away (-1) a pod."""
        for name, amount in requests:
            self.exact[name] = self.exact.get(name, 0) + by * amount
        self.cpu += by * padded[0]
        self.memory += by * padded[1]
        self.pods += by
