"""ClusterRoles that take in the rules of others (`aggregationRule`).

As pkg/controller/clusterroleaggregation does it: every role that any selector chooses, in the
order of their names, each rule once, never the role itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def aggregated_rules(
    role: Mapping[str, Any], cluster_roles: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The rules that `role` has by its aggregationRule. Objects are in JSON form."""
    selectors = (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or []
    name = role["metadata"]["name"]
    rules: list[dict[str, Any]] = []
    for selector in selectors:
        chosen = [
            other
            for other in cluster_roles
            if other["metadata"]["name"] != name
            and _selected(selector, other["metadata"].get("labels") or {})
        ]
        for other in sorted(chosen, key=lambda found: str(found["metadata"]["name"])):
            for rule in other.get("rules") or ():
                if rule not in rules:
                    rules.append(rule)
    return rules


def _selected(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    wanted: Mapping[str, str] = selector.get("matchLabels") or {}
    expressions: Sequence[Mapping[str, Any]] = selector.get("matchExpressions") or ()
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _holds(expression, labels) for expression in expressions
    )


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels
