"""Event of the core group and of events.k8s.io: the same fields under other names.

Source: KEP-383 and `pkg/apis/events/v1/conversion.go`.
"""

from typing import Any

_NAMES = {
    "involvedObject": "regarding",
    "message": "note",
    "reportingComponent": "reportingController",
    "count": "deprecatedCount",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "source": "deprecatedSource",
}
_CORE_NAMES = {new: core for core, new in _NAMES.items()}


def from_core(event: dict[str, Any]) -> dict[str, Any]:
    return {_NAMES.get(key, key): value for key, value in event.items()}


def to_core(event: dict[str, Any]) -> dict[str, Any]:
    return {_CORE_NAMES.get(key, key): value for key, value in event.items()}
