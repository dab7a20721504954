"""Nodes, namespaces, events, configuration and accounts."""

from typing import Any, Final

from controlplane.rest.table.duration import since
from controlplane.rest.table.text import (
    NONE,
    age_of,
    condition_status,
    name_of,
)
from kubeapi.types import coordination_v1, core_v1, events_v1, node_v1, scheduling_v1

ROLE_PREFIX: Final = "node-role.kubernetes.io/"
ROLE_LABEL: Final = "kubernetes.io/role"
UNKNOWN: Final = "<unknown>"


def node_cells(obj: core_v1.Node, now_s: float) -> list[Any]:
    status = obj.status or core_v1.NodeStatus()
    system = status.nodeInfo or core_v1.NodeSystemInfo()
    kernel = system.kernelVersion or UNKNOWN
    if system.kernelVersion and system.architecture:
        kernel = f"{kernel} ({system.architecture})"
    return [
        name_of(obj),
        _node_state(obj, status),
        _roles((obj.metadata.labels if obj.metadata else None) or {}),
        age_of(obj, now_s),
        system.kubeletVersion or "",
        _address(status, "InternalIP"),
        _address(status, "ExternalIP"),
        system.osImage or UNKNOWN,
        kernel,
        system.containerRuntimeVersion or UNKNOWN,
    ]


def _node_state(obj: core_v1.Node, status: core_v1.NodeStatus) -> str:
    ready = condition_status(status.conditions, "Ready")
    state = "Unknown" if not ready else "Ready" if ready == "True" else "NotReady"
    cordoned = obj.spec is not None and obj.spec.unschedulable
    return f"{state},SchedulingDisabled" if cordoned else state


def _roles(labels: dict[str, str]) -> str:
    roles = {key.removeprefix(ROLE_PREFIX) for key in labels if key.startswith(ROLE_PREFIX)}
    roles.add(labels.get(ROLE_LABEL, ""))
    return ",".join(sorted(roles - {""})) or NONE


def _address(status: core_v1.NodeStatus, type_: str) -> str:
    for address in status.addresses or ():
        if address.type == type_:
            return address.address or NONE
    return NONE


def namespace_cells(obj: core_v1.Namespace, now_s: float) -> list[Any]:
    return [name_of(obj), (obj.status.phase if obj.status else None) or "", age_of(obj, now_s)]


def config_map_cells(obj: core_v1.ConfigMap, now_s: float) -> list[Any]:
    return [name_of(obj), len(obj.data or ()) + len(obj.binaryData or ()), age_of(obj, now_s)]


def secret_cells(obj: core_v1.Secret, now_s: float) -> list[Any]:
    return [name_of(obj), obj.type or "", len(obj.data or ()), age_of(obj, now_s)]


def name_and_age_cells(obj: Any, now_s: float) -> list[Any]:
    return [name_of(obj), age_of(obj, now_s)]


def quota_cells(obj: core_v1.ResourceQuota, now_s: float) -> list[Any]:
    status = obj.status or core_v1.ResourceQuotaStatus()
    used = status.used or {}
    requests: list[str] = []
    limits: list[str] = []
    for resource, hard in sorted((status.hard or {}).items()):
        into = limits if resource.startswith("limits.") else requests
        into.append(f"{resource}: {used.get(resource, '0')}/{hard}")
    return [name_of(obj), ", ".join(requests), ", ".join(limits), age_of(obj, now_s)]


def component_cells(obj: core_v1.ComponentStatus, _now_s: float) -> list[Any]:
    status, message, error = "Unknown", "", ""
    for condition in obj.conditions or ():
        if condition.type == "Healthy":
            status = "Healthy" if condition.status == "True" else "Unhealthy"
            message, error = condition.message or "", condition.error or ""
            break
    return [name_of(obj), status, message, error]


def event_cells(obj: core_v1.Event | events_v1.Event, now_s: float) -> list[Any]:
    """Events are one set of objects, served in two groups with different fields."""
    series = (obj.series.lastObservedTime, obj.series.count) if obj.series else None
    if isinstance(obj, events_v1.Event):
        times = (
            obj.deprecatedFirstTimestamp,
            obj.deprecatedLastTimestamp,
            obj.deprecatedCount,
            series,
        )
        involved, component = obj.regarding, obj.reportingController
        source, message = obj.deprecatedSource, obj.note
    else:
        times = (obj.firstTimestamp, obj.lastTimestamp, obj.count, series)
        involved, component = obj.involvedObject, obj.reportingComponent
        source, message = obj.source, obj.message
    source = source or core_v1.EventSource()
    reported = (source.component or component, source.host or obj.reportingInstance)
    return _event(obj, times, involved or core_v1.ObjectReference(), reported, message, now_s)


_Times = tuple[str | None, str | None, int | None, tuple[str | None, int | None] | None]


def _event(
    obj: core_v1.Event | events_v1.Event,
    times: _Times,
    involved: core_v1.ObjectReference,
    source: tuple[str | None, str | None],
    message: str | None,
    now_s: float,
) -> list[Any]:
    """The row that both forms of an event share."""
    first_time, last_time, count, series = times
    first = since(first_time or obj.eventTime, now_s)
    last = since(last_time, now_s) if last_time else first
    if series is not None:
        last, count = since(series[0], now_s), series[1]
    kind = (involved.kind or "").lower()
    return [
        last,
        obj.type or "",
        obj.reason or "",
        f"{kind}/{involved.name}" if involved.name else kind,
        involved.fieldPath or "",
        ", ".join(part for part in source if part),
        (message or "").strip(),
        first,
        count or 1,
        name_of(obj),
    ]


def priority_class_cells(obj: scheduling_v1.PriorityClass, now_s: float) -> list[Any]:
    return [
        name_of(obj),
        obj.value or 0,
        bool(obj.globalDefault),
        age_of(obj, now_s),
        obj.preemptionPolicy or "",
    ]


def lease_cells(obj: coordination_v1.Lease, now_s: float) -> list[Any]:
    holder = obj.spec.holderIdentity if obj.spec else None
    return [name_of(obj), holder or "", age_of(obj, now_s)]


def runtime_class_cells(obj: node_v1.RuntimeClass, now_s: float) -> list[Any]:
    return [name_of(obj), obj.handler or "", age_of(obj, now_s)]
