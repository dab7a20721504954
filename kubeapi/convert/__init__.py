"""One object in the version of another API version that serves it.

Works on JSON values, for objects that `kubeapi.resources` serves in more than one version. Most
differ in nothing but their apiVersion; the rest have functions here, each way a pure one. A field
that the other version lacks is carried in an annotation where Kubernetes does so.
"""

from collections.abc import Callable
from typing import Any

from kubeapi.convert import autoscaling, devices, events

Map = dict[str, Any]

# (kind, from, to); the apiVersion is set by `convert`.
_CONVERSIONS: dict[tuple[str, str, str], Callable[[Map], Map]] = {
    ("Event", "v1", "events.k8s.io/v1"): events.from_core,
    ("Event", "events.k8s.io/v1", "v1"): events.to_core,
    ("HorizontalPodAutoscaler", "autoscaling/v1", "autoscaling/v2"): autoscaling.to_v2,
    ("HorizontalPodAutoscaler", "autoscaling/v2", "autoscaling/v1"): autoscaling.to_v1,
    ("ResourceClaim", "resource.k8s.io/v1beta1", "resource.k8s.io/v1"): devices.claim_to_v1,
    ("ResourceClaim", "resource.k8s.io/v1", "resource.k8s.io/v1beta1"): devices.claim_to_v1beta1,
    ("ResourceClaimTemplate", "resource.k8s.io/v1beta1", "resource.k8s.io/v1"): (
        devices.template_to_v1
    ),
    ("ResourceClaimTemplate", "resource.k8s.io/v1", "resource.k8s.io/v1beta1"): (
        devices.template_to_v1beta1
    ),
    ("ResourceSlice", "resource.k8s.io/v1beta1", "resource.k8s.io/v1"): devices.slice_to_v1,
    ("ResourceSlice", "resource.k8s.io/v1", "resource.k8s.io/v1beta1"): devices.slice_to_v1beta1,
}


def convert(value: Map, api_version: str) -> Map:
    """`value` as an object of `api_version`; `value` itself is not changed."""
    key = (value.get("kind", ""), value.get("apiVersion", ""), api_version)
    change = _CONVERSIONS.get(key)
    converted = change(value) if change else value
    return converted | {"apiVersion": api_version}


def is_identical(kind: str, api_version: str, other: str) -> bool:
    """Whether two versions of a kind differ in their apiVersion only."""
    return (kind, api_version, other) not in _CONVERSIONS
