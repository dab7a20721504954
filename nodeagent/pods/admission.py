"""Whether the node takes a pod: room for it, and no sysctl that reaches beyond it.

The last check, also for pods that no scheduler placed.

Source: the kubelet's GeneralPredicates, in so far as they are about resources.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kubeapi.quantity import millis, units
from kubeapi.types import core_v1
from nodeagent.pods.observed import PodFailure
from nodeagent.pods.qos import requested
from nodeagent.pods.spec import spec_of, uid_of

# Those that cannot reach beyond the pod (Kubernetes' "Using sysctls", safe set).
SAFE_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)


@dataclass
class Admission:
    """`allocatable` of the node, and what the pods that were admitted take of it."""

    allocatable: Mapping[str, str]
    _taken: dict[str, dict[str, int]] = field(default_factory=dict)

    def _forbidden_sysctl(self, pod: core_v1.Pod) -> PodFailure | None:
        context = spec_of(pod).securityContext
        for sysctl in (context.sysctls if context else None) or ():
            if (sysctl.name or "").replace("/", ".") not in SAFE_SYSCTLS:
                text = f'forbidden sysctl: "{sysctl.name}" not allowlisted'
                return PodFailure("SysctlForbidden", text)
        return None

    def admit(self, pod: core_v1.Pod, *, runs_already: bool) -> PodFailure | None:
        """Count the pod in, or say why it is rejected. One that runs already is never rejected."""
        uid = uid_of(pod)
        if uid in self._taken:
            return None
        forbidden = None if runs_already else self._forbidden_sysctl(pod)
        if forbidden is not None:
            return forbidden
        asked = {name: _asked(pod, name) for name in self.allocatable}
        for name in () if runs_already else self.allocatable:
            used = sum(taken[name] for taken in self._taken.values())
            room = _amount(name, self.allocatable[name])
            if asked[name] > 0 and used + asked[name] > room:
                text = (
                    "Pod was rejected: Node didn't have enough resource: "
                    f"{name}, requested: {asked[name]}, used: {used}, capacity: {room}"
                )
                return PodFailure(f"OutOf{name}", text)
        self._taken[uid] = asked
        return None

    def release(self, uid: str) -> None:
        self._taken.pop(uid, None)


def _asked(pod: core_v1.Pod, name: str) -> int:
    return 1 if name == "pods" else requested(spec_of(pod), name)


def _amount(name: str, text: str) -> int:
    return millis(text) if name == "cpu" else units(text)
