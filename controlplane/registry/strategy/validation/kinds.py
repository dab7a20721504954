"""All rules together, and the kinds about which Kubernetes asks nothing."""

from typing import Final

from controlplane.registry.strategy.validation import (
    batch,
    config,
    networking,
    pods,
    services,
    workloads,
)
from controlplane.registry.strategy.validation.rules import Table
from kubeapi.types import core_v1

RULES: Final[Table] = {
    **batch.RULES,
    **config.RULES,
    **networking.RULES,
    **pods.RULES,
    **services.RULES,
    **workloads.RULES,
}

UNCHECKED: Final[frozenset[type]] = frozenset(
    {core_v1.ServiceAccount, core_v1.Endpoints, core_v1.PodTemplate}
)
