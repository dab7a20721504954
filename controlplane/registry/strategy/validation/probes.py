"""Probes and lifecycle hooks of containers."""

from typing import Any

from controlplane.registry.strategy.validation import values
from controlplane.registry.strategy.validation.faults import Faults
from controlplane.registry.strategy.validation.rules import Rules, Table
from kubeapi import names
from kubeapi.types import core_v1

_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")


def _handler(handler: Any, faults: Faults, path: str) -> None:
    """Exactly one way to act."""
    found = [name for name in _HANDLERS if getattr(handler, name, None) is not None]
    if not found:
        faults.required(path, "must specify a handler type")
    for name in found[1:]:
        faults.forbidden(f"{path}.{name}", "may not specify more than 1 handler type")


def _http_get(action: core_v1.HTTPGetAction, faults: Faults, path: str) -> None:
    values.port_or_name(0 if action.port is None else action.port, faults, path, "port")
    for header in action.httpHeaders or ():
        problems = names.http_header_problems(header.name or "")
        faults.each_invalid(f"{path}.httpHeaders", header.name or "", problems)


def _port(action: Any, faults: Faults, path: str) -> None:
    values.port_or_name(0 if action.port is None else action.port, faults, path, "port")


def check_container_probes(container: Any, faults: Faults, path: str) -> None:
    """What only one of the three probes may say."""
    for name in ("livenessProbe", "startupProbe"):
        probe = getattr(container, name)
        if probe is not None and probe.successThreshold not in (None, 0, 1):
            value = probe.successThreshold
            faults.invalid(f"{path}.{name}.successThreshold", value, "must be 1")
    readiness = container.readinessProbe
    if readiness is not None and readiness.terminationGracePeriodSeconds is not None:
        faults.invalid(
            f"{path}.readinessProbe.terminationGracePeriodSeconds",
            readiness.terminationGracePeriodSeconds,
            "must not be set for readinessProbes",
        )


def check_sleeps(
    lifecycle: core_v1.Lifecycle, grace_s: int | None, faults: Faults, path: str
) -> None:
    """A hook can not sleep longer than the pod has to end."""
    for name in ("postStart", "preStop"):
        handler = getattr(lifecycle, name)
        if handler is None or handler.sleep is None or grace_s is None:
            continue
        seconds = handler.sleep.seconds or 0
        if not 0 <= seconds <= grace_s:
            text = f"must be non-negative and less than terminationGracePeriodSeconds ({grace_s})"
            faults.invalid(f"{path}.lifecycle.{name}.sleep", seconds, text)


RULES: Table = {
    core_v1.ExecAction: Rules(required=("command",)),
    core_v1.GRPCAction: Rules(whole=_port),
    core_v1.HTTPGetAction: Rules(each={"scheme": values.one_of("HTTP", "HTTPS")}, whole=_http_get),
    core_v1.LifecycleHandler: Rules(whole=_handler),
    core_v1.Probe: Rules(
        each={
            "initialDelaySeconds": values.not_negative,
            "timeoutSeconds": values.not_negative,
            "periodSeconds": values.not_negative,
            "successThreshold": values.not_negative,
            "failureThreshold": values.not_negative,
            "terminationGracePeriodSeconds": values.positive,
        },
        whole=_handler,
    ),
    core_v1.TCPSocketAction: Rules(whole=_port),
}
