"""One file per plugin; this table is the order in which they filter, and their weights.

A node shows the reason of the first plugin that rejects it, so the order is Kubernetes'
(`pkg/scheduler/apis/config/v1/default_plugins.go`).
"""

from controlplane.scheduler.plugins import (
    inter_pod_affinity,
    node_affinity,
    node_name,
    node_ports,
    node_resources,
    node_unschedulable,
    pod_topology_spread,
    taint_toleration,
    volume_binding,
)
from controlplane.scheduler.verdicts import Plugin

PLUGINS: tuple[Plugin, ...] = (
    node_unschedulable.PLUGIN,
    node_name.PLUGIN,
    taint_toleration.PLUGIN,
    node_affinity.PLUGIN,
    node_ports.PLUGIN,
    node_resources.PLUGIN,
    volume_binding.PLUGIN,
    pod_topology_spread.PLUGIN,
    inter_pod_affinity.PLUGIN,
    node_resources.BALANCED,
)
