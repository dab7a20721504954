"""What a row of probe results means: thresholds, and the moment a verdict changes. Pure."""

from dataclasses import dataclass, field
from enum import Enum

from kubeapi.types import core_v1
from nodeagent.probes.checks import Outcome

# While a container is not ready its readiness is looked at more often than periodSeconds says,
# so that a service is up when its process is, and not up to ten seconds later (Kubernetes'
# documentation of readiness probes allows it).
EARLY_DELAYS_S = (0.1, 0.2, 0.4, 0.8, 1.6)


class ProbeKind(Enum):
    """The three probes of a container."""

    LIVENESS = "Liveness"
    READINESS = "Readiness"
    STARTUP = "Startup"


def probe_of(container: core_v1.Container, kind: ProbeKind) -> core_v1.Probe | None:
    if kind is ProbeKind.LIVENESS:
        return container.livenessProbe
    return container.readinessProbe if kind is ProbeKind.READINESS else container.startupProbe


@dataclass
class Counter:
    """Counts equal results in a row; `verdict` is None until there is one."""

    probe: core_v1.Probe
    kind: ProbeKind
    verdict: bool | None = field(init=False)
    _last: bool | None = field(default=None, init=False)
    _run: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        # A container lives until proven dead, and serves only once proven ready.
        initial = {ProbeKind.LIVENESS: True, ProbeKind.READINESS: False, ProbeKind.STARTUP: None}
        self.verdict = initial[self.kind]

    def take(self, outcome: Outcome) -> bool:
        """Count one result; True where the verdict changed."""
        if outcome is Outcome.UNKNOWN:
            return False
        good = outcome is not Outcome.FAILURE
        self._run = self._run + 1 if good is self._last else 1
        self._last = good
        needed = (self.probe.successThreshold or 1) if good else (self.probe.failureThreshold or 3)
        if self._run < needed or good is self.verdict:
            return False
        self.verdict = good
        return True

    @property
    def finished(self) -> bool:
        """Nothing more to find out: it has started, or it is to be killed."""
        if self.kind is ProbeKind.STARTUP:
            return self.verdict is not None
        return self.kind is ProbeKind.LIVENESS and self.verdict is False


def first_delay_s(probe: core_v1.Probe, ran_for_s: float) -> float:
    return max(0.0, float(probe.initialDelaySeconds or 0) - ran_for_s)


def next_delay_s(counter: Counter, probes_done: int) -> float:
    """The pause before the next probe, `probes_done` after the first."""
    period_s = float(counter.probe.periodSeconds or 10)
    early = counter.kind is ProbeKind.READINESS and counter.verdict is False
    if early and probes_done <= len(EARLY_DELAYS_S):
        return min(period_s, EARLY_DELAYS_S[probes_done - 1])
    return period_s
