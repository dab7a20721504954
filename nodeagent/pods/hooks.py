"""Lifecycle hooks: postStart and preStop, by exec, httpGet or sleep."""

from base.clock import Clock
from kubeapi.types import core_v1
from nodeagent.cri import CriClient, RuntimeServiceError
from nodeagent.pods.spec import Container
from nodeagent.probes.checks import BadProbe, http_target
from nodeagent.probes.http import HttpProblem, http_get

# A postStart hook has no deadline of its own in Kubernetes; nothing waits for ever here.
HOOK_TIMEOUT_S = 3600.0


class HookError(Exception):
    """The hook failed; the message is what the event says."""


async def run_hook(
    cri: CriClient,
    clock: Clock,
    handler: core_v1.LifecycleHandler,
    container: Container,
    container_id: str,
    pod_ip: str,
    timeout_s: float = HOOK_TIMEOUT_S,
) -> None:
    """Run one hook to its end. Raises HookError."""
    if handler.exec is not None:
        await _exec(cri, list(handler.exec.command or ()), container_id, timeout_s)
    elif handler.httpGet is not None:
        await _http(handler.httpGet, container, pod_ip, timeout_s)
    elif handler.sleep is not None:
        await clock.sleep(min(timeout_s, float(handler.sleep.seconds or 0)))
    elif handler.tcpSocket is not None:
        # Kubernetes never ran tcpSocket handlers: they are kept for compatibility and fail.
        raise HookError("tcpSocket is not a valid lifecycle handler")


async def _exec(cri: CriClient, command: list[str], container_id: str, timeout_s: float) -> None:
    try:
        answer = await cri.exec_sync(container_id, command, timeout_s)
    except RuntimeServiceError as error:
        raise HookError(str(error)) from None
    if answer.exit_code != 0:
        said = (answer.stdout + answer.stderr).decode(errors="replace")
        raise HookError(
            f'command "{" ".join(command)}" exited with {answer.exit_code}: {said[:1024]}'
        )


async def _http(
    action: core_v1.HTTPGetAction, container: Container, pod_ip: str, timeout_s: float
) -> None:
    try:
        answer = await http_get(http_target(action, container, pod_ip), timeout_s)
    except (HttpProblem, BadProbe) as error:
        raise HookError(str(error)) from None
    if answer.status >= 400:
        raise HookError(f"http hook answered with status {answer.status}")
