"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from typing import ClassVar

from kubeapi.scalars import Int32, Message, MicroTime, Time
from kubeapi.types import core_v1, meta_v1


class Event(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("events.k8s.io", "v1", "Event")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    action: str | None = None
    deprecatedCount: Int32 | None = None
    deprecatedFirstTimestamp: Time | None = None
    deprecatedLastTimestamp: Time | None = None
    deprecatedSource: core_v1.EventSource | None = None
    eventTime: MicroTime | None = None
    note: str | None = None
    reason: str | None = None
    regarding: core_v1.ObjectReference | None = None
    related: core_v1.ObjectReference | None = None
    reportingController: str | None = None
    reportingInstance: str | None = None
    series: EventSeries | None = None
    type: str | None = None


class EventList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("events.k8s.io", "v1", "EventList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[Event] | None = None


class EventSeries(Message, frozen=True, kw_only=True):
    count: Int32 | None = None
    lastObservedTime: MicroTime | None = None
