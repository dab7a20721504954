"""Fields that a kind's objects begin with, or keep, whatever the client sent."""

from collections.abc import Callable
from typing import Any

from msgspec.structs import force_setattr, replace

from kubeapi.types import core_v1

_CreateHook = Callable[[Any], None]
_UpdateHook = Callable[[Any, Any], None]


def before_create(obj: Any) -> None:
    hook = _ON_CREATE.get(type(obj))
    if hook is not None:
        hook(obj)


def before_update(obj: Any, old: Any) -> None:
    hook = _ON_UPDATE.get(type(obj))
    if hook is not None:
        hook(obj, old)


def before_delete(obj: Any) -> None:
    if type(obj) is core_v1.Namespace:
        status = obj.status or core_v1.NamespaceStatus()
        force_setattr(obj, "status", replace(status, phase="Terminating"))


def qos_class(spec: core_v1.PodSpec) -> str:
    """Guaranteed, Burstable or BestEffort (pkg/apis/core/v1/helper/qos)."""
    containers = [*(spec.containers or ()), *(spec.initContainers or ())]
    asked = False
    guaranteed = True
    for container in containers:
        resources = container.resources
        requests = (resources.requests if resources else None) or {}
        limits = (resources.limits if resources else None) or {}
        for name in ("cpu", "memory"):
            request, limit = requests.get(name), limits.get(name)
            asked = asked or request not in (None, "0") or limit not in (None, "0")
            if limit in (None, "0") or request not in (None, limit):
                guaranteed = False
    if not asked:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _new_pod(pod: core_v1.Pod) -> None:
    if pod.spec is not None:
        status = core_v1.PodStatus(phase="Pending", qosClass=qos_class(pod.spec))
        force_setattr(pod, "status", status)


def _new_namespace(namespace: core_v1.Namespace) -> None:
    spec = namespace.spec or core_v1.NamespaceSpec()
    if "kubernetes" not in (spec.finalizers or ()):
        spec = replace(spec, finalizers=[*(spec.finalizers or ()), "kubernetes"])
    force_setattr(namespace, "spec", spec)
    force_setattr(namespace, "status", core_v1.NamespaceStatus(phase="Active"))


def _new_node(node: core_v1.Node) -> None:
    # An agent registers its node with the status it has; `prepare_create` took that away.
    if node.spec is None:
        force_setattr(node, "spec", core_v1.NodeSpec())


def _new_service(service: core_v1.Service) -> None:
    force_setattr(
        service, "status", core_v1.ServiceStatus(loadBalancer=core_v1.LoadBalancerStatus())
    )


def _new_claim(claim: core_v1.PersistentVolumeClaim) -> None:
    force_setattr(claim, "status", core_v1.PersistentVolumeClaimStatus(phase="Pending"))


def _new_volume(volume: core_v1.PersistentVolume) -> None:
    force_setattr(volume, "status", core_v1.PersistentVolumeStatus(phase="Pending"))


def _keep_namespace_finalizers(namespace: core_v1.Namespace, old: core_v1.Namespace) -> None:
    """They go through /finalize alone."""
    force_setattr(namespace, "spec", old.spec)


def _keep_service_addresses(service: core_v1.Service, old: core_v1.Service) -> None:
    """A client that leaves allocated fields out means to keep them, while the type allows it."""
    spec, was = service.spec, old.spec
    if spec is None or was is None:
        return
    if "ExternalName" not in (spec.type, was.type):
        for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if not getattr(spec, field):
                force_setattr(spec, field, getattr(was, field))
    if spec.type in ("NodePort", "LoadBalancer") and was.type in ("NodePort", "LoadBalancer"):
        known = {(p.protocol, p.port): p.nodePort for p in was.ports or ()}
        used = {p.nodePort for p in spec.ports or () if p.nodePort}
        for port in spec.ports or ():
            kept = known.get((port.protocol, port.port))
            if not port.nodePort and kept and kept not in used:
                force_setattr(port, "nodePort", kept)


_ON_CREATE: dict[type, _CreateHook] = {
    core_v1.Namespace: _new_namespace,
    core_v1.Node: _new_node,
    core_v1.PersistentVolume: _new_volume,
    core_v1.PersistentVolumeClaim: _new_claim,
    core_v1.Pod: _new_pod,
    core_v1.Service: _new_service,
}
_ON_UPDATE: dict[type, _UpdateHook] = {
    core_v1.Namespace: _keep_namespace_finalizers,
    core_v1.Service: _keep_service_addresses,
}
