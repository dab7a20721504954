"""A pod with what the plugins read of it, worked out once per version."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import msgspec

from controlplane.controllers.pods import meta_of, spec_of
from controlplane.scheduler.resources import PodRequests, pod_requests
from kubeapi.selectors import LabelMatcher, Requirement, of_selector
from kubeapi.types import core_v1, meta_v1

NO_LABELS: Mapping[str, str] = MappingProxyType({})
HostPort = tuple[str, str, int]


@dataclass(frozen=True)
class AffinityTerm:
    """A term of pod (anti-)affinity, ready to be matched."""

    matcher: LabelMatcher
    namespaces: frozenset[str]
    namespace_matcher: LabelMatcher | None
    topology_key: str
    weight: int = 0

    def covers_namespace(self, name: str, labels: Mapping[str, str]) -> bool:
        if name in self.namespaces:
            return True
        return self.namespace_matcher is not None and self.namespace_matcher.matches(labels)

    def matches(self, pod: "PodInfo", namespace_labels: Mapping[str, str]) -> bool:
        return self.covers_namespace(pod.namespace, namespace_labels) and self.matcher.matches(
            pod.labels
        )


@dataclass(frozen=True)
class AffinityTerms:
    required: tuple[AffinityTerm, ...] = ()
    preferred: tuple[AffinityTerm, ...] = ()


@dataclass(eq=False)
class PodInfo:
    """One version of a pod."""

    pod: core_v1.Pod
    key: str
    uid: str
    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def requests(self) -> PodRequests:
        return pod_requests(self.pod)

    @property
    def spec(self) -> core_v1.PodSpec:
        return spec_of(self.pod)

    @property
    def priority(self) -> int:
        return self.spec.priority or 0

    @cached_property
    def host_ports(self) -> frozenset[HostPort]:
        """(address, protocol, port) that the pod takes on its node."""
        sidecars = (c for c in self.spec.initContainers or () if c.restartPolicy == "Always")
        return frozenset(
            (port.hostIP or "0.0.0.0", port.protocol or "TCP", port.hostPort)  # noqa: S104
            for container in (*(self.spec.containers or ()), *sidecars)
            for port in container.ports or ()
            if port.hostPort
        )

    @cached_property
    def placement_signature(self) -> bytes:
        """Equal for pods that the same nodes suit, whatever runs on those nodes."""
        spec = self.spec
        node_affinity = spec.affinity.nodeAffinity if spec.affinity else None
        parts = (spec.nodeName, spec.nodeSelector, node_affinity, spec.tolerations)
        return msgspec.json.encode(parts, order="deterministic")

    @cached_property
    def affinity(self) -> AffinityTerms:
        given = self.spec.affinity.podAffinity if self.spec.affinity else None
        return self._terms(given) if given else AffinityTerms()

    @cached_property
    def anti_affinity(self) -> AffinityTerms:
        given = self.spec.affinity.podAntiAffinity if self.spec.affinity else None
        return self._terms(given) if given else AffinityTerms()

    @property
    def has_affinity(self) -> bool:
        affinity = self.spec.affinity
        return affinity is not None and bool(affinity.podAffinity or affinity.podAntiAffinity)

    def _terms(self, given: core_v1.PodAffinity | core_v1.PodAntiAffinity) -> AffinityTerms:
        required = given.requiredDuringSchedulingIgnoredDuringExecution or ()
        preferred = given.preferredDuringSchedulingIgnoredDuringExecution or ()
        return AffinityTerms(
            tuple(self._term(term, 0) for term in required),
            tuple(
                self._term(item.podAffinityTerm, item.weight or 0)
                for item in preferred
                if item.podAffinityTerm is not None
            ),
        )

    def _term(self, term: core_v1.PodAffinityTerm, weight: int) -> AffinityTerm:
        selector = term.namespaceSelector
        own_only = not term.namespaces and selector is None
        return AffinityTerm(
            matcher=with_label_keys(
                term.labelSelector, self.labels, term.matchLabelKeys, term.mismatchLabelKeys
            ),
            namespaces=frozenset(term.namespaces or ((self.namespace,) if own_only else ())),
            namespace_matcher=of_selector(selector) if selector is not None else None,
            topology_key=term.topologyKey or "",
            weight=weight,
        )


def with_label_keys(
    selector: meta_v1.LabelSelector | None,
    labels: Mapping[str, str],
    same: Iterable[str] | None,
    different: Iterable[str] | None = None,
) -> LabelMatcher:
    """The selector, narrowed to pods with equal (or other) values of these keys (KEP-3633)."""
    matcher = of_selector(selector)
    extra = [
        Requirement(key, operator, frozenset((labels[key],)))
        for keys, operator in ((same, "in"), (different, "notin"))
        for key in keys or ()
        if key in labels
    ]
    if not extra or matcher.nothing:
        return matcher
    return LabelMatcher((*matcher.requirements, *extra))


def pod_info(pod: core_v1.Pod) -> PodInfo:
    meta = meta_of(pod)
    return PodInfo(
        pod,
        key=f"{meta.namespace}/{meta.name}",
        uid=meta.uid or "",
        namespace=meta.namespace or "",
        labels=meta.labels or NO_LABELS,
    )
