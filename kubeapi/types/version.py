"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from kubeapi.scalars import Message


class Info(Message, frozen=True, kw_only=True):
    buildDate: str | None = None
    compiler: str | None = None
    emulationMajor: str | None = None
    emulationMinor: str | None = None
    gitCommit: str | None = None
    gitTreeState: str | None = None
    gitVersion: str | None = None
    goVersion: str | None = None
    major: str | None = None
    minCompatibilityMajor: str | None = None
    minCompatibilityMinor: str | None = None
    minor: str | None = None
    platform: str | None = None
