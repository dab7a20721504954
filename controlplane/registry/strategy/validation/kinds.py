"""All rules together, and the kinds about which Kubernetes asks nothing."""

from typing import Final

from controlplane.registry.strategy.validation import (
    access,
    autoscaling,
    batch,
    config,
    devices,
    endpoints,
    extension,
    limits,
    networking,
    pods,
    rbac,
    services,
    storage,
    workloads,
)
from controlplane.registry.strategy.validation.rules import Table
from kubeapi.types import core_v1

RULES: Final[Table] = {
    **access.RULES,
    **autoscaling.RULES,
    **batch.RULES,
    **config.RULES,
    **devices.RULES,
    **endpoints.RULES,
    **extension.RULES,
    **limits.RULES,
    **networking.RULES,
    **pods.RULES,
    **rbac.RULES,
    **services.RULES,
    **storage.RULES,
    **workloads.RULES,
}

UNCHECKED: Final[frozenset[type]] = frozenset(
    {core_v1.Endpoints, core_v1.LimitRange, core_v1.PodTemplate, core_v1.ServiceAccount}
)
