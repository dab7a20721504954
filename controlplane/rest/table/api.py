"""Kinds about the API itself: who may do what, admission, flow control, certificates."""

from typing import Any

from controlplane.rest.table.duration import human_duration, since
from controlplane.rest.table.text import (
    NONE,
    UNSET,
    age_of,
    condition_status,
    is_being_deleted,
    name_of,
)
from kubeapi.types import (
    apiregistration_v1,
    certificates_v1,
    flowcontrol_v1,
    rbac_v1,
)


def binding_cells(obj: rbac_v1.RoleBinding | rbac_v1.ClusterRoleBinding, now_s: float) -> list[Any]:
    names: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for subject in obj.subjects or ():
        name = subject.name or ""
        if subject.kind == "ServiceAccount":
            name = f"{subject.namespace or ''}/{name}"
        names.setdefault(subject.kind or "", []).append(name)
    ref = obj.roleRef or rbac_v1.RoleRef()
    return [
        name_of(obj),
        f"{ref.kind}/{ref.name}",
        age_of(obj, now_s),
        *(", ".join(names[kind]) for kind in ("User", "Group", "ServiceAccount")),
    ]


def webhook_cells(obj: Any, now_s: float) -> list[Any]:
    return [name_of(obj), len(obj.webhooks or ()), age_of(obj, now_s)]


def validating_policy_cells(obj: Any, now_s: float) -> list[Any]:
    return _policy(obj, "validations", now_s)


def mutating_policy_cells(obj: Any, now_s: float) -> list[Any]:
    return _policy(obj, "mutations", now_s)


def _policy(obj: Any, field: str, now_s: float) -> list[Any]:
    kind = obj.spec.paramKind if obj.spec else None
    count = len((getattr(obj.spec, field) if obj.spec else None) or ())
    parameters = f"{kind.apiVersion}/{kind.kind}" if kind else UNSET
    return [name_of(obj), count, parameters, age_of(obj, now_s)]


def policy_binding_cells(obj: Any, now_s: float) -> list[Any]:
    ref = obj.spec.paramRef if obj.spec else None
    parameters = UNSET
    if ref is not None:
        name = ref.name or "*"
        parameters = f"{ref.namespace}/{name}" if ref.namespace else name
    policy = (obj.spec.policyName if obj.spec else None) or ""
    return [name_of(obj), policy, parameters, age_of(obj, now_s)]


def api_service_cells(obj: apiregistration_v1.APIService, now_s: float) -> list[Any]:
    service = obj.spec.service if obj.spec else None
    where = f"{service.namespace}/{service.name}" if service else "Local"
    available = "Unknown"
    for condition in (obj.status.conditions if obj.status else None) or ():
        if condition.type == "Available":
            available = condition.status or ""
            if available != "True" and condition.reason:
                available = f"{available} ({condition.reason})"
    return [name_of(obj), where, available, age_of(obj, now_s)]


def signing_request_cells(
    obj: certificates_v1.CertificateSigningRequest, now_s: float
) -> list[Any]:
    spec = obj.spec or certificates_v1.CertificateSigningRequestSpec()
    seconds = spec.expirationSeconds
    return [
        name_of(obj),
        age_of(obj, now_s),
        spec.signerName or NONE,
        spec.username or "",
        NONE if seconds is None else human_duration(seconds),
        _signing_state(obj.status or certificates_v1.CertificateSigningRequestStatus()),
    ]


def _signing_state(status: certificates_v1.CertificateSigningRequestStatus) -> str:
    types = {condition.type for condition in status.conditions or ()}
    states = ["Denied" if "Denied" in types else "Approved" if "Approved" in types else "Pending"]
    if "Failed" in types:
        states.append("Failed")
    if status.certificate:
        states.append("Issued")
    return ",".join(states)


def trust_bundle_cells(obj: Any, _now_s: float) -> list[Any]:
    return [name_of(obj), (obj.spec.signerName if obj.spec else None) or NONE]


def flow_schema_cells(obj: flowcontrol_v1.FlowSchema, now_s: float) -> list[Any]:
    spec = obj.spec or flowcontrol_v1.FlowSchemaSpec()
    level, method = spec.priorityLevelConfiguration, spec.distinguisherMethod
    conditions = obj.status.conditions if obj.status else None
    return [
        name_of(obj),
        (level.name if level else None) or NONE,
        spec.matchingPrecedence or 0,
        (method.type if method else None) or NONE,
        age_of(obj, now_s),
        condition_status(conditions, "Dangling") or "?",
    ]


def flow_schema_order(obj: flowcontrol_v1.FlowSchema) -> tuple[int, str]:
    """Schemas are listed as they are matched."""
    precedence = obj.spec.matchingPrecedence if obj.spec else None
    return (precedence or 0, name_of(obj))


def priority_level_cells(obj: flowcontrol_v1.PriorityLevelConfiguration, now_s: float) -> list[Any]:
    spec = obj.spec or flowcontrol_v1.PriorityLevelConfigurationSpec()
    level = spec.limited or spec.exempt
    response = spec.limited.limitResponse if spec.limited else None
    queuing = response.queuing if response else None
    shares = level.nominalConcurrencyShares if level else None
    return [
        name_of(obj),
        spec.type or "",
        NONE if shares is None else shares,
        queuing.queues if queuing else NONE,
        queuing.handSize if queuing else NONE,
        queuing.queueLengthLimit if queuing else NONE,
        age_of(obj, now_s),
    ]


def created_at_cells(obj: Any, _now_s: float) -> list[Any]:
    """What kinds without columns of their own show."""
    return [name_of(obj), (obj.metadata.creationTimestamp if obj.metadata else None) or ""]


def resource_claim_cells(obj: Any, now_s: float) -> list[Any]:
    states = ["deleted"] if is_being_deleted(obj) else []
    if obj.status is not None and obj.status.allocation is not None:
        states.append("allocated")
        if obj.status.reservedFor:
            states.append("reserved")
    elif not states:
        states.append("pending")
    return [name_of(obj), ",".join(states), age_of(obj, now_s)]


def resource_slice_cells(obj: Any, now_s: float) -> list[Any]:
    spec = obj.spec
    pool = spec.pool.name if spec and spec.pool else None
    node, driver = (spec.nodeName, spec.driver) if spec else (None, None)
    return [name_of(obj), node or "", driver or "", pool or "", age_of(obj, now_s)]


def lease_candidate_cells(obj: Any, now_s: float) -> list[Any]:
    spec = obj.spec
    fields = ("leaseName", "binaryVersion", "emulationVersion", "strategy")
    texts = [(getattr(spec, field) if spec else None) or "" for field in fields]
    times = [
        since(getattr(spec, field) if spec else None, now_s) for field in ("pingTime", "renewTime")
    ]
    return [name_of(obj), *texts, *times, age_of(obj, now_s)]


def migration_cells(obj: Any, now_s: float) -> list[Any]:
    resource = obj.spec.resource if obj.spec else None
    group, name = (resource.group, resource.resource) if resource else (None, None)
    return [name_of(obj), group or "", name or "", age_of(obj, now_s)]
