"""When a Job has failed or succeeded early (KEP-3329, KEP-3998)."""

import re
from typing import Any, Final

from controlplane.registry.strategy.validation import values
from controlplane.registry.strategy.validation.faults import Faults
from kubeapi.types import batch_v1

NEEDS_INDEXES: Final = "requires indexed completion mode"
_ACTIONS: Final = ("Count", "FailIndex", "FailJob", "Ignore")


def check_failure_policy(spec: batch_v1.JobSpec, faults: Faults, path: str) -> None:
    template = spec.template.spec if spec.template is not None else None
    if template is not None and template.restartPolicy != "Never":
        text = 'only "Never" is supported when podFailurePolicy is specified'
        faults.invalid(f"{path}.template.spec.restartPolicy", template.restartPolicy or "", text)
    known = {
        container.name
        for container in [
            *((template.containers if template else None) or ()),
            *((template.initContainers if template else None) or ()),
        ]
    }
    rules = (spec.podFailurePolicy.rules if spec.podFailurePolicy else None) or ()
    for index, rule in enumerate(rules):
        where = f"{path}.podFailurePolicy.rules[{index}]"
        _failure_action(rule, spec, faults, where)
        if rule.onExitCodes is not None:
            _exit_codes(rule.onExitCodes, known, faults, f"{where}.onExitCodes")
            if rule.onPodConditions:
                text = "specifying both OnExitCodes and OnPodConditions is not supported"
                faults.invalid(where, "", text)
        elif not rule.onPodConditions:
            text = "specifying one of OnExitCodes and OnPodConditions is required"
            faults.bare_invalid(where, text)


def _failure_action(rule: Any, spec: batch_v1.JobSpec, faults: Faults, path: str) -> None:
    action = rule.action or ""
    if not action:
        listed = " ".join(f'"{name}"' for name in _ACTIONS)
        faults.required(f"{path}.action", f"valid values: [{listed}]")
    elif action not in _ACTIONS:
        faults.unsupported(f"{path}.action", action, _ACTIONS)
    elif action == "FailIndex" and spec.backoffLimitPerIndex is None:
        faults.invalid(f"{path}.action", action, "requires the backoffLimitPerIndex to be set")


def _exit_codes(codes: Any, known: set[Any], faults: Faults, path: str) -> None:
    if codes.operator not in ("In", "NotIn"):
        faults.unsupported(f"{path}.operator", codes.operator or "", ("In", "NotIn"))
    if codes.containerName and codes.containerName not in known:
        text = "must be one of the container or initContainer names in the pod template"
        faults.invalid(f"{path}.containerName", codes.containerName, text)
    given = codes.values or []
    if not given:
        faults.invalid(f"{path}.values", given, "at least one value is required")
    for index, value in enumerate(given):
        if codes.operator == "In" and value == 0:
            faults.invalid(f"{path}.values[{index}]", 0, "must not be 0 for the In operator")
        elif value in given[:index]:
            faults.duplicate(f"{path}.values[{index}]", value)
    if sorted(given) != given:
        faults.invalid(f"{path}.values", given, "must be ordered")


def check_success_policy(spec: batch_v1.JobSpec, faults: Faults, path: str) -> None:
    where = f"{path}.successPolicy"
    rules = (spec.successPolicy.rules if spec.successPolicy else None) or []
    if spec.completionMode != "Indexed":
        shown = {
            "Rules": [
                {"SucceededIndexes": rule.succeededIndexes, "SucceededCount": rule.succeededCount}
                for rule in rules
            ]
        }
        faults.invalid(where, shown, NEEDS_INDEXES)
    if not rules:
        text = "at least one rules must be specified when the successPolicy is specified"
        faults.required(f"{where}.rules", text)
    for index, rule in enumerate(rules):
        _success_rule(rule, spec.completions or 0, faults, f"{where}.rules[{index}]")


def _success_rule(rule: Any, completions: int, faults: Faults, path: str) -> None:
    count, text = rule.succeededCount, rule.succeededIndexes
    if count is None and text is None:
        message = "at least one of succeededCount or succeededIndexes must be specified"
        faults.required(path, message)
        return
    if count is not None:
        values.not_negative(count, faults, path, "succeededCount")
        if count > completions:
            message = (
                f"must be less than or equal to {completions} (the number of specified completions)"
            )
            faults.invalid(f"{path}.succeededCount", count, message)
    if text is not None:
        problem = _indexes_problem(text, completions)
        if problem:
            message = f"error parsing succeededIndexes: {problem}"
            faults.invalid(f"{path}.succeededIndexes", text, message)


def _indexes_problem(text: str, completions: int) -> str:
    """What is wrong with `1,3-5`."""
    for part in text.split(",") if text else ():
        for number in part.split("-", 1):
            if not re.fullmatch(r"[0-9]+", number):
                return f'cannot convert string to integer for index: "{number}"'
            if int(number) >= completions:
                return f'too large index: "{number}"'
    return ""
