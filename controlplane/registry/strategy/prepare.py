"""Fields that a kind's objects begin with, or keep, whatever the client sent."""

from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import force_setattr, replace

from controlplane.auth.user import User
from kubeapi.types import apps_v1, batch_v1, certificates_v1, core_v1, meta_v1

_CreateHook = Callable[[Any, User, str | None], None]
_UpdateHook = Callable[[Any, Any], None]

# An agent registers its node with the status that it has.
KEEPS_STATUS: Final[frozenset[type]] = frozenset({core_v1.Node})
TEMPLATE_GENERATION: Final = "deprecated.daemonset.template.generation"
_GATED_TEXT: Final = "Scheduling is blocked due to non-empty scheduling gates"


def before_create(obj: Any, user: User, now: str | None) -> None:
    hook = _ON_CREATE.get(type(obj))
    if hook is not None:
        hook(obj, user, now)


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
    # Where the pod as a whole has resources, they decide (KEP-2837).
    whole = spec.resources is not None and (spec.resources.limits or spec.resources.requests)
    containers: list[Any] = [*(spec.containers or ()), *(spec.initContainers or ())]
    if whole:
        containers = [spec]
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


def _new_pod(pod: core_v1.Pod, user: User, now: str | None) -> None:
    spec = pod.spec
    if spec is None:
        return
    if (spec.terminationGracePeriodSeconds or 0) < 0:
        force_setattr(spec, "terminationGracePeriodSeconds", 1)
    status = core_v1.PodStatus(phase="Pending", qosClass=qos_class(spec))
    if spec.schedulingGates:
        gated = core_v1.PodCondition(
            type="PodScheduled", status="False", reason="SchedulingGated", message=_GATED_TEXT,
            lastTransitionTime=now,
        )  # fmt: skip
        status = replace(status, conditions=[gated])
    force_setattr(pod, "status", status)


def _new_namespace(namespace: core_v1.Namespace, user: User, now: str | None) -> None:
    spec = namespace.spec or core_v1.NamespaceSpec()
    if "kubernetes" not in (spec.finalizers or ()):
        spec = replace(spec, finalizers=[*(spec.finalizers or ()), "kubernetes"])
    force_setattr(namespace, "spec", spec)
    force_setattr(namespace, "status", core_v1.NamespaceStatus(phase="Active"))


def _new_node(node: core_v1.Node, user: User, now: str | None) -> None:
    if node.spec is None:
        force_setattr(node, "spec", core_v1.NodeSpec())
    _agree_on_pod_cidrs(node)


def _keep_pod_cidrs(node: core_v1.Node, old: core_v1.Node) -> None:
    _agree_on_pod_cidrs(node)


def _agree_on_pod_cidrs(node: core_v1.Node) -> None:
    """`podCIDR` is the old name of the first of `podCIDRs`, and decides."""
    spec = node.spec
    if spec is None:
        return
    if spec.podCIDR and (spec.podCIDRs or [""])[0] != spec.podCIDR:
        force_setattr(spec, "podCIDRs", [spec.podCIDR])
    elif spec.podCIDRs and not spec.podCIDR:
        force_setattr(spec, "podCIDR", spec.podCIDRs[0])


def _new_service(service: core_v1.Service, user: User, now: str | None) -> None:
    force_setattr(
        service, "status", core_v1.ServiceStatus(loadBalancer=core_v1.LoadBalancerStatus())
    )


def _new_claim(claim: core_v1.PersistentVolumeClaim, user: User, now: str | None) -> None:
    force_setattr(claim, "status", core_v1.PersistentVolumeClaimStatus(phase="Pending"))


def _new_volume(volume: core_v1.PersistentVolume, user: User, now: str | None) -> None:
    status = core_v1.PersistentVolumeStatus(phase="Pending", lastPhaseTransitionTime=now)
    force_setattr(volume, "status", status)


def _new_job(job: batch_v1.Job, user: User, now: str | None) -> None:
    """A selector of the job's own, by its uid (batch/job/strategy `generateSelector`)."""
    spec, meta = job.spec, job.metadata
    if spec is None or meta is None or spec.manualSelector:
        return
    uid, name = meta.uid or "", meta.name or ""
    added = {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    template = spec.template or core_v1.PodTemplateSpec()
    template_meta = template.metadata or meta_v1.ObjectMeta()
    labels = (template_meta.labels or {}) | added
    template = replace(template, metadata=replace(template_meta, labels=labels))
    force_setattr(spec, "template", template)
    selector = spec.selector or meta_v1.LabelSelector()
    chosen = (selector.matchLabels or {}) | {"batch.kubernetes.io/controller-uid": uid}
    force_setattr(spec, "selector", replace(selector, matchLabels=chosen))
    if not meta.labels:
        force_setattr(meta, "labels", dict(labels))


def _new_daemon_set(daemon_set: apps_v1.DaemonSet, user: User, now: str | None) -> None:
    _set_template_generation(daemon_set, "1")


def _set_template_generation(daemon_set: apps_v1.DaemonSet, generation: str) -> None:
    meta = daemon_set.metadata
    if meta is not None:
        annotations = (meta.annotations or {}) | {TEMPLATE_GENERATION: generation}
        force_setattr(meta, "annotations", annotations)


def _new_signing_request(
    request: certificates_v1.CertificateSigningRequest, user: User, now: str | None
) -> None:
    """Who asks is what the server knows, not what the request says."""
    spec = request.spec or certificates_v1.CertificateSigningRequestSpec()
    extra = {key: list(found) for key, found in user.extra.items()}
    asked_by = replace(
        spec,
        username=user.name,
        uid=user.uid or None,
        groups=list(user.groups) or None,
        extra=extra or None,
    )
    force_setattr(request, "spec", asked_by)


def _keep_namespace_finalizers(namespace: core_v1.Namespace, old: core_v1.Namespace) -> None:
    """They go through /finalize alone."""
    force_setattr(namespace, "spec", old.spec)


_PORT_TYPES: Final = ("NodePort", "LoadBalancer")
_ADDRESS_FIELDS: Final = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")


def _drop_of_other_type(spec: core_v1.ServiceSpec, was: core_v1.ServiceSpec) -> None:
    """What was allocated for the type that the service had goes with it, if the client only sent
    back what it got (core/service/strategy `dropTypeDependentFields`)."""
    lost: list[str] = []
    if was.type in _PORT_TYPES and spec.type not in _PORT_TYPES:
        if not spec.externalIPs:
            lost.append("externalTrafficPolicy")
        before = {port.nodePort for port in was.ports or ()}
        if {port.nodePort for port in spec.ports or ()} <= before:
            for port in spec.ports or ():
                force_setattr(port, "nodePort", None)
    if was.type == "LoadBalancer" != spec.type:
        lost += ["allocateLoadBalancerNodePorts", "loadBalancerClass", "healthCheckNodePort"]
    if was.type != "ExternalName" == spec.type:
        lost += _ADDRESS_FIELDS
    for field in lost:
        if getattr(spec, field) == getattr(was, field):
            force_setattr(spec, field, None)


def _keep_service_addresses(service: core_v1.Service, old: core_v1.Service) -> None:
    """A client that leaves allocated fields out means to keep them, while the type allows it."""
    spec, was = service.spec, old.spec
    if spec is None or was is None:
        return
    _drop_of_other_type(spec, was)
    if spec.clusterIP != was.clusterIP and spec.clusterIPs == was.clusterIPs:
        # Clients from before dual-stack know one address only.
        force_setattr(spec, "clusterIPs", [spec.clusterIP] if spec.clusterIP else None)
    if "ExternalName" not in (spec.type, was.type):
        for field in _ADDRESS_FIELDS:
            if not getattr(spec, field):
                force_setattr(spec, field, getattr(was, field))
    if spec.type in ("NodePort", "LoadBalancer") and was.type in ("NodePort", "LoadBalancer"):
        known = {(p.protocol, p.port): p.nodePort for p in was.ports or ()}
        used = {p.nodePort for p in spec.ports or () if p.nodePort}
        for port in spec.ports or ():
            kept = known.get((port.protocol, port.port))
            if not port.nodePort and kept and kept not in used:
                force_setattr(port, "nodePort", kept)


def _bump_template(daemon_set: apps_v1.DaemonSet, old: apps_v1.DaemonSet) -> None:
    """The template's own generation, from before there were ControllerRevisions."""
    spec, was = daemon_set.spec, old.spec
    before = (old.metadata.annotations if old.metadata else None) or {}
    text = before.get(TEMPLATE_GENERATION, "")
    generation = int(text) if text.isdecimal() else 0
    changed = spec is not None and was is not None and spec.template != was.template
    if generation or changed:
        _set_template_generation(daemon_set, str(generation + changed))


def _keep_request(
    request: certificates_v1.CertificateSigningRequest,
    old: certificates_v1.CertificateSigningRequest,
) -> None:
    """What was asked for stays; only metadata and, elsewhere, status change."""
    force_setattr(request, "spec", old.spec)


def _keep_end_of_pod(pod: core_v1.Pod, old: core_v1.Pod) -> None:
    if pod.spec is not None and (pod.spec.terminationGracePeriodSeconds or 0) < 0:
        force_setattr(pod.spec, "terminationGracePeriodSeconds", 1)


_ON_CREATE: dict[type, _CreateHook] = {
    apps_v1.DaemonSet: _new_daemon_set,
    batch_v1.Job: _new_job,
    certificates_v1.CertificateSigningRequest: _new_signing_request,
    core_v1.Namespace: _new_namespace,
    core_v1.Node: _new_node,
    core_v1.PersistentVolume: _new_volume,
    core_v1.PersistentVolumeClaim: _new_claim,
    core_v1.Pod: _new_pod,
    core_v1.Service: _new_service,
}
_ON_UPDATE: dict[type, _UpdateHook] = {
    apps_v1.DaemonSet: _bump_template,
    certificates_v1.CertificateSigningRequest: _keep_request,
    core_v1.Node: _keep_pod_cidrs,
    core_v1.Pod: _keep_end_of_pod,
    core_v1.Namespace: _keep_namespace_finalizers,
    core_v1.Service: _keep_service_addresses,
}
