"""HorizontalPodAutoscaler v1, which knows only CPU utilisation, and v2.

What v1 has no field for travels in annotations, in the words of the types that v1 once had.
Source: `pkg/apis/autoscaling/v1/conversion.go` and `autoscaling/annotations.go`.
"""

from typing import Any

import msgspec

Map = dict[str, Any]

_METRICS = "autoscaling.alpha.kubernetes.io/metrics"
_CURRENT_METRICS = "autoscaling.alpha.kubernetes.io/current-metrics"
_CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
_BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"
_CARRIED = (_METRICS, _CURRENT_METRICS, _CONDITIONS, _BEHAVIOR)

_Path = tuple[str, ...]
# Of each type of metric: where v2 has it, and for each name in v1 the path in v2. `%` is `target`
# in a spec and `current` in a status.
_SOURCES: dict[str, tuple[str, dict[str, _Path]]] = {
    "Resource": (
        "resource",
        {
            "name": ("name",),
            "%AverageUtilization": ("%", "averageUtilization"),
            "%AverageValue": ("%", "averageValue"),
        },
    ),
    "ContainerResource": (
        "containerResource",
        {
            "name": ("name",),
            "container": ("container",),
            "%AverageUtilization": ("%", "averageUtilization"),
            "%AverageValue": ("%", "averageValue"),
        },
    ),
    "Pods": (
        "pods",
        {
            "metricName": ("metric", "name"),
            "selector": ("metric", "selector"),
            "%AverageValue": ("%", "averageValue"),
        },
    ),
    "Object": (
        "object",
        {
            "target": ("describedObject",),
            "metricName": ("metric", "name"),
            "selector": ("metric", "selector"),
            "%Value": ("%", "value"),
            "averageValue": ("%", "averageValue"),
        },
    ),
    "External": (
        "external",
        {
            "metricName": ("metric", "name"),
            "metricSelector": ("metric", "selector"),
            "%Value": ("%", "value"),
            "%AverageValue": ("%", "averageValue"),
        },
    ),
}


def to_v1(hpa: Map) -> Map:
    """A v2 object as v1."""
    spec, status = dict(hpa.get("spec") or {}), dict(hpa.get("status") or {})
    carried: dict[str, Any] = {}
    cpu, others = _split_cpu(spec.pop("metrics", None), "target")
    if cpu is not None:
        spec["targetCPUUtilizationPercentage"] = cpu
    carried[_METRICS] = [_metric_to_v1(metric, "target") for metric in others]
    carried[_BEHAVIOR] = spec.pop("behavior", None)
    current, others = _split_cpu(status.pop("currentMetrics", None), "current")
    if current is not None:
        status["currentCPUUtilizationPercentage"] = current
    carried[_CURRENT_METRICS] = [_metric_to_v1(metric, "current") for metric in others]
    carried[_CONDITIONS] = status.pop("conditions", None)
    added = {key: msgspec.json.encode(value).decode() for key, value in carried.items() if value}
    return _assembled(hpa, spec, status, _annotations(hpa) | added)


def to_v2(hpa: Map) -> Map:
    """A v1 object as v2; annotations that are not JSON of the right shape are left out."""
    spec, status = dict(hpa.get("spec") or {}), dict(hpa.get("status") or {})
    carried = {key: _carried(hpa, key) for key in _CARRIED}
    metrics = _cpu_metric(spec.pop("targetCPUUtilizationPercentage", None), "target")
    metrics += [_metric_to_v2(m, "target") for m in _maps(carried[_METRICS])]
    if metrics:
        spec["metrics"] = metrics
    if isinstance(carried[_BEHAVIOR], dict):
        spec["behavior"] = carried[_BEHAVIOR]
    current = _cpu_metric(status.pop("currentCPUUtilizationPercentage", None), "current")
    current += [_metric_to_v2(m, "current") for m in _maps(carried[_CURRENT_METRICS])]
    if current:
        status["currentMetrics"] = current
    conditions = _maps(carried[_CONDITIONS])
    if conditions:
        status["conditions"] = conditions
    return _assembled(hpa, spec, status, _annotations(hpa))


def _annotations(hpa: Map) -> Map:
    """The user's annotations, without what is carried."""
    all_ = (hpa.get("metadata") or {}).get("annotations") or {}
    return {key: value for key, value in all_.items() if key not in _CARRIED}


def _assembled(hpa: Map, spec: Map, status: Map, annotations: Map) -> Map:
    metadata = dict(hpa.get("metadata") or {})
    metadata.pop("annotations", None)
    if annotations:
        metadata["annotations"] = annotations
    parts = {"metadata": metadata, "spec": spec, "status": status}
    return hpa | {key: value for key, value in parts.items() if value or key in hpa}


def _carried(hpa: Map, key: str) -> Any:
    text = ((hpa.get("metadata") or {}).get("annotations") or {}).get(key, "null")
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None


def _maps(value: Any) -> list[Map]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _split_cpu(metrics: Any, part: str) -> tuple[int | None, list[Map]]:
    """The first figure for the CPU utilisation of pods, and all other metrics."""
    cpu: int | None = None
    others: list[Map] = []
    for metric in metrics or ():
        resource = metric.get("resource") or {}
        used = (resource.get(part) or {}).get("averageUtilization")
        if cpu is None and resource.get("name") == "cpu" and used is not None:
            cpu = used
        else:
            others.append(metric)
    return cpu, others


def _cpu_metric(percent: int | None, part: str) -> list[Map]:
    if percent is None:
        return []
    figure: Map = {"averageUtilization": percent}
    if part == "target":
        figure["type"] = "Utilization"
    return [{"type": "Resource", "resource": {"name": "cpu", part: figure}}]


def _metric_to_v1(metric: Map, part: str) -> Map:
    home, names = _SOURCES.get(metric.get("type", ""), ("", {}))
    flat: Map = {}
    for name, path in names.items():
        value: Any = metric.get(home) or {}
        for step in path:
            value = (value or {}).get(part if step == "%" else step)
        if value is not None:
            flat[name.replace("%", part)] = value
    return {"type": metric.get("type"), home: flat} if home else metric


def _metric_to_v2(metric: Map, part: str) -> Map:
    home, names = _SOURCES.get(metric.get("type", ""), ("", {}))
    flat = metric.get(home)
    if not isinstance(flat, dict):
        return metric
    deep: Map = {}
    for name, path in names.items():
        value = flat.get(name.replace("%", part))
        if value is not None:
            at = deep
            for step in path[:-1]:
                at = at.setdefault(part if step == "%" else step, {})
            at[path[-1]] = value
    if part == "target" and part in deep:
        deep[part]["type"] = _target_type(deep[part])
    return {"type": metric.get("type"), home: deep}


def _target_type(target: Map) -> str:
    if "averageUtilization" in target:
        return "Utilization"
    return "AverageValue" if "averageValue" in target else "Value"
