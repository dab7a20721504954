"""Volumes, claims and storage classes. Source: pkg/apis/core/v1, pkg/apis/storage/v1."""

from typing import Any, Final

from controlplane.registry.strategy.defaults.fill import default_zero, put
from kubeapi.types import core_v1, storage_v1


def _claim(spec: core_v1.PersistentVolumeClaimSpec) -> None:
    """`dataSource` and the newer `dataSourceRef` say the same, unless it crosses namespaces."""
    ref, source = spec.dataSourceRef, spec.dataSource
    if source is not None and ref is None:
        copied = core_v1.TypedObjectReference(
            apiGroup=source.apiGroup, kind=source.kind, name=source.name
        )
        put(spec, "dataSourceRef", copied)
    elif ref is not None and source is None and ref.namespace is None:
        back = core_v1.TypedLocalObjectReference(
            apiGroup=ref.apiGroup, kind=ref.kind, name=ref.name
        )
        put(spec, "dataSource", back)


def _driver(spec: storage_v1.CSIDriverSpec) -> None:
    default_zero(spec, "volumeLifecycleModes", ["Persistent"])


RULES: Final[dict[Any, Any]] = {
    core_v1.PersistentVolumeClaimSpec: _claim,
    storage_v1.CSIDriverSpec: _driver,
}
