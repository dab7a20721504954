"""What a pod may ask for that this agent does not do, by name: refused, never passed over."""

from collections.abc import Callable

from kubeapi.types import core_v1
from nodeagent.pods.spec import all_containers, host_network, spec_of

_POD_FIELDS: dict[str, Callable[[core_v1.PodSpec], bool]] = {
    "spec.hostUsers=false": lambda spec: spec.hostUsers is False,
    "spec.resourceClaims": lambda spec: bool(spec.resourceClaims),
    "spec.runtimeClassName": lambda spec: bool(spec.runtimeClassName),
    "spec.os.name=windows": lambda spec: spec.os is not None and spec.os.name == "windows",
}


def unsupported(pod: core_v1.Pod) -> list[str]:
    """Paths of the fields that keep this pod from running here; empty for a pod that can."""
    found = [path for path, asked in _POD_FIELDS.items() if asked(spec_of(pod))]
    for container in all_containers(pod):
        where = f"container {container.name}:"
        if container.volumeDevices:
            found.append(f"{where} volumeDevices")
        if container.lifecycle is not None and container.lifecycle.stopSignal:
            found.append(f"{where} lifecycle.stopSignal")
        if not host_network(pod) and any(port.hostPort for port in container.ports or ()):
            found.append(f"{where} hostPort (use hostNetwork or a NodePort Service)")
        for rule in container.restartPolicyRules or ():
            if rule.action not in (None, "Restart"):
                found.append(f"{where} restartPolicyRules action {rule.action}")
    return found
