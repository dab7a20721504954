"""API priority and fairness as Kubernetes configures it at a first start.

Source: k8s.io/apiserver pkg/apis/flowcontrol/bootstrap. A flow schema says which requests go to
which priority level; a level says how many may run at once and how the rest queue.
"""

from collections.abc import Iterable
from typing import Any, Final

VERSION: Final = "flowcontrol.apiserver.k8s.io/v1"
AUTOUPDATE: Final = {"apf.kubernetes.io/autoupdate-spec": "true"}

# Level: (nominal concurrency shares, lendable percent, (queues, hand size) or None to reject).
LEVELS: Final[dict[str, tuple[int, int, tuple[int, int] | None]]] = {
    "catch-all": (5, 0, None),
    "global-default": (20, 50, (128, 6)),
    "leader-election": (10, 0, (16, 4)),
    "node-high": (40, 25, (64, 6)),
    "system": (30, 33, (64, 6)),
    "workload-high": (40, 50, (128, 6)),
    "workload-low": (100, 90, (128, 6)),
}
QUEUE_LENGTH_LIMIT: Final = 50

EVERYTHING: Final = {
    "resourceRules": [
        {
            "verbs": ["*"],
            "apiGroups": ["*"],
            "resources": ["*"],
            "clusterScope": True,
            "namespaces": ["*"],
        }
    ],
    "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
}
PROBES: Final = {
    "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]}]
}
LEADER_LEASES: Final = {
    "resourceRules": [
        {
            "verbs": ["get", "create", "update"],
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "namespaces": ["*"],
        }
    ]
}
NODE_HEARTBEATS: Final = {
    "resourceRules": [
        {
            "verbs": ["*"],
            "apiGroups": [""],
            "resources": ["nodes", "nodes/status"],
            "clusterScope": True,
            "namespaces": ["*"],
        },
        {
            "verbs": ["*"],
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "namespaces": ["*"],
        },
    ]
}

EVERYONE: Final = ("group system:unauthenticated", "group system:authenticated")
CONTROLLER_MANAGER: Final = "user system:kube-controller-manager"
SCHEDULER: Final = "user system:kube-scheduler"
SYSTEM_ACCOUNTS: Final = "accounts kube-system"

# Schema: (level, matching precedence, what tells flows apart, subjects, which requests).
Schema = tuple[str, int, str, tuple[str, ...], dict[str, Any]]
SCHEMAS: Final[dict[str, Schema]] = {
    "catch-all": ("catch-all", 10000, "ByUser", EVERYONE, EVERYTHING),
    "exempt": ("exempt", 1, "", ("group system:masters",), EVERYTHING),
    "global-default": ("global-default", 9900, "ByUser", EVERYONE, EVERYTHING),
    "kube-controller-manager": (
        "workload-high",
        800,
        "ByNamespace",
        (CONTROLLER_MANAGER,),
        EVERYTHING,
    ),
    "kube-scheduler": ("workload-high", 800, "ByNamespace", (SCHEDULER,), EVERYTHING),
    "kube-system-service-accounts": (
        "workload-high",
        900,
        "ByNamespace",
        (SYSTEM_ACCOUNTS,),
        EVERYTHING,
    ),
    "probes": ("exempt", 2, "", EVERYONE, PROBES),
    "service-accounts": (
        "workload-low",
        9000,
        "ByUser",
        ("group system:serviceaccounts",),
        EVERYTHING,
    ),
    "system-leader-election": (
        "leader-election",
        100,
        "ByUser",
        (CONTROLLER_MANAGER, SCHEDULER, SYSTEM_ACCOUNTS),
        LEADER_LEASES,
    ),
    "system-node-high": ("node-high", 400, "ByUser", ("group system:nodes",), NODE_HEARTBEATS),
    "system-nodes": ("system", 500, "ByUser", ("group system:nodes",), EVERYTHING),
}


def priority_levels() -> list[dict[str, Any]]:
    exempt = {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}}
    limited = {name: _limited(*row) for name, row in LEVELS.items()}
    return [
        _object("PriorityLevelConfiguration", name, spec, {})
        for name, spec in ({"exempt": exempt} | limited).items()
    ]


def flow_schemas() -> list[dict[str, Any]]:
    return [
        _object("FlowSchema", name, _schema_spec(*row), _schema_status(row[0]))
        for name, row in SCHEMAS.items()
    ]


def _object(kind: str, name: str, spec: Any, status: Any) -> dict[str, Any]:
    metadata = {"name": name, "generation": 1, "annotations": dict(AUTOUPDATE)}
    return {
        "apiVersion": VERSION,
        "kind": kind,
        "metadata": metadata,
        "spec": spec,
        "status": status,
    }


def _limited(shares: int, lendable: int, queues: tuple[int, int] | None) -> dict[str, Any]:
    response: dict[str, Any] = {"type": "Reject"}
    if queues is not None:
        response = {
            "type": "Queue",
            "queuing": {
                "queues": queues[0],
                "handSize": queues[1],
                "queueLengthLimit": QUEUE_LENGTH_LIMIT,
            },
        }
    limited = {
        "nominalConcurrencyShares": shares,
        "limitResponse": response,
        "lendablePercent": lendable,
    }
    return {"type": "Limited", "limited": limited}


def _schema_spec(
    level: str, precedence: int, distinguisher: str, subjects: Iterable[str], requests: Any
) -> dict[str, Any]:
    spec = {
        "priorityLevelConfiguration": {"name": level},
        "matchingPrecedence": precedence,
        "distinguisherMethod": {"type": distinguisher} if distinguisher else None,
        "rules": [{"subjects": [_subject(text) for text in subjects]} | requests],
    }
    return {key: value for key, value in spec.items() if value is not None}


def _schema_status(level: str) -> dict[str, Any]:
    message = (
        "This FlowSchema references the PriorityLevelConfiguration object named "
        f'"{level}" and it exists'
    )
    return {
        "conditions": [
            {"type": "Dangling", "status": "False", "reason": "Found", "message": message}
        ]
    }


def _subject(text: str) -> dict[str, Any]:
    kind, _, name = text.partition(" ")
    if kind == "accounts":
        account = {"namespace": name, "name": "*"}
        return {"kind": "ServiceAccount", "serviceAccount": account}
    return {"kind": kind.capitalize(), kind: {"name": name}}
