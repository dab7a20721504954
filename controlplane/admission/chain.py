"""The plug-ins, in the order in which Kubernetes runs them."""

from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import force_setattr

from controlplane.admission.escalation import rbac_escalation
from controlplane.registry.backing import Backing
from controlplane.registry.options import Call
from controlplane.registry.stored import Stored
from kubeapi import errors
from kubeapi.types import core_v1, scheduling_v1

Plugin = Callable[[Backing, Call, Any, Any], None]

# These namespaces hold the cluster itself (plugin/namespace/lifecycle).
IMMORTAL_NAMESPACES: Final = frozenset({"default", "kube-public", "kube-system"})
NOT_READY_SECONDS: Final = 300


async def admit(backing: Backing, call: Call, obj: Any, old: Any) -> None:
    """Run every plug-in on a create (`old` is None) or an update. Raises StatusError."""
    for plugin in _PLUGINS:
        plugin(backing, call, obj, old)


async def admit_delete(backing: Backing, call: Call, stored: Stored) -> None:
    if call.info.resource == "namespaces" and call.name in IMMORTAL_NAMESPACES:
        raise errors.forbidden("namespaces", call.name, "this namespace may not be deleted")


def namespace_lifecycle(backing: Backing, call: Call, obj: Any, old: Any) -> None:
    """Nothing is created in a namespace that does not exist or is going away."""
    if old is not None or not call.info.namespaced:
        return
    stored = backing.registry.cache_named("", "namespaces").get(call.namespace)
    if stored is None:
        raise errors.not_found("namespaces", call.namespace)
    if stored.obj.metadata.deletionTimestamp:
        message = (
            f"unable to create new content in namespace {call.namespace} because it is being "
            "terminated"
        )
        error = errors.forbidden(call.info.resource, call.name, message, call.info.group)
        error.causes = (
            errors.Cause(
                "NamespaceTerminating",
                f"namespace {call.namespace} is being terminated",
                "metadata.namespace",
            ),
        )
        raise error


def taint_new_node(backing: Backing, call: Call, obj: Any, old: Any) -> None:
    """A node is tainted not-ready until the node controller saw it ready
    (TaintNodesByCondition)."""
    if old is not None or type(obj) is not core_v1.Node or obj.spec is None:
        return
    taint = core_v1.Taint(key="node.kubernetes.io/not-ready", effect="NoSchedule")
    taints = obj.spec.taints or []
    if not any(t.key == taint.key and t.effect == taint.effect for t in taints):
        force_setattr(obj.spec, "taints", [*taints, taint])


def service_account(backing: Backing, call: Call, obj: Any, old: Any) -> None:
    """A pod that names no ServiceAccount runs as `default`."""
    if old is None and type(obj) is core_v1.Pod and obj.spec is not None:
        name = obj.spec.serviceAccountName or "default"
        force_setattr(obj.spec, "serviceAccountName", name)
        force_setattr(obj.spec, "serviceAccount", name)


def priority(backing: Backing, call: Call, obj: Any, old: Any) -> None:
    """A pod's priority is the number of its PriorityClass."""
    if old is not None or type(obj) is not core_v1.Pod or obj.spec is None:
        return
    chosen = _priority_class(backing, obj.spec.priorityClassName)
    if chosen is None and obj.spec.priorityClassName:
        raise errors.forbidden(
            "pods", call.name,
            f"no PriorityClass with name {obj.spec.priorityClassName} was found",
        )  # fmt: skip
    value = chosen.value if chosen is not None and chosen.value is not None else 0
    policy = (chosen.preemptionPolicy if chosen else None) or "PreemptLowerPriority"
    if chosen is not None and chosen.metadata is not None:
        force_setattr(obj.spec, "priorityClassName", chosen.metadata.name)
    if obj.spec.priority is not None and obj.spec.priority != value:
        raise errors.forbidden(
            "pods", call.name,
            f"the integer value of priority ({obj.spec.priority}) must not be provided in pod "
            f"spec; priority admission controller computed {value} from the given PriorityClass "
            "name",
        )  # fmt: skip
    force_setattr(obj.spec, "priority", value)
    force_setattr(obj.spec, "preemptionPolicy", obj.spec.preemptionPolicy or policy)


def _priority_class(backing: Backing, name: str | None) -> scheduling_v1.PriorityClass | None:
    classes = backing.registry.cache_named("scheduling.k8s.io", "priorityclasses")
    if name:
        stored = classes.get(name)
        return stored.obj if stored else None
    for stored in classes.values():
        if stored.obj.globalDefault:
            default: scheduling_v1.PriorityClass = stored.obj
            return default
    return None


def default_tolerations(backing: Backing, call: Call, obj: Any, old: Any) -> None:
    """Pods stay for five minutes on a node that went away (DefaultTolerationSeconds)."""
    if call.subresource or type(obj) is not core_v1.Pod or obj.spec is None:
        return
    tolerations = list(obj.spec.tolerations or ())
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if not any(
            t.key in (key, None, "") and t.effect in ("NoExecute", None, "") for t in tolerations
        ):
            tolerations.append(
                core_v1.Toleration(
                    key=key,
                    operator="Exists",
                    effect="NoExecute",
                    tolerationSeconds=NOT_READY_SECONDS,
                )
            )
    force_setattr(obj.spec, "tolerations", tolerations)


_PLUGINS: Final[tuple[Plugin, ...]] = (
    namespace_lifecycle,
    service_account,
    taint_new_node,
    priority,
    default_tolerations,
    rbac_escalation,
)
