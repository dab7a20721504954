"""Names and amounts of resources (ValidateResourceRequirements, ValidateResourceQuotaResourceName).

A name without a slash must be one that Kubernetes knows; others are extended resources, which are
counted in whole units.
"""

import re
from typing import Final

from controlplane.registry.strategy.validation.faults import Faults, join
from controlplane.registry.strategy.validation.rules import Rules, Table
from controlplane.registry.strategy.validation.values import NOT_NEGATIVE
from kubeapi import names
from kubeapi.quantity import NANO_PER_UNIT, parse
from kubeapi.types import core_v1

_COMPUTE: Final = frozenset({"cpu", "memory"})
_CONTAINER: Final = frozenset({"cpu", "memory", "ephemeral-storage"})
_COUNTED: Final = frozenset(
    {
        "pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "configmaps",
        "persistentvolumeclaims", "services.nodeports", "services.loadbalancers",
    }
)  # fmt: skip
_QUOTA: Final = _COUNTED | {
    "cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory", "requests.storage",
    "requests.ephemeral-storage", "limits.cpu", "limits.memory", "limits.ephemeral-storage",
}  # fmt: skip
_STANDARD: Final = _QUOTA | {"storage"}
_HUGEPAGES = "hugepages-"
_QUOTA_HUGEPAGES = ("hugepages-", "requests.hugepages-")


def is_huge_page(name: str) -> bool:
    return name.startswith(_HUGEPAGES)


def is_native(name: str) -> bool:
    return "/" not in name or "kubernetes.io/" in name


def is_extended(name: str) -> bool:
    """A resource of a device plugin, such as `example.com/gpu`."""
    if is_native(name) or name.startswith("requests."):
        return False
    return not names.qualified_name_problems(f"requests.{name}")


def check_name(name: str, faults: Faults, path: str) -> None:
    problems = names.qualified_name_problems(name)
    if problems:
        faults.each_invalid(path, name, problems)
    elif "/" not in name and name not in _STANDARD and not name.startswith(_QUOTA_HUGEPAGES):
        faults.invalid(path, name, "must be a standard resource type or fully qualified")


def _check_container_name(name: str, faults: Faults, path: str) -> None:
    if name in _CONTAINER or is_huge_page(name):
        return
    check_name(name, faults, path)
    if "/" not in name:
        faults.invalid(path, name, "must be a standard resource for containers")
    elif not is_native(name) and not is_extended(name):
        faults.invalid(path, name, "doesn't follow extended resource name standard")


def check_quota_name(name: str, faults: Faults, path: str) -> None:
    check_name(name, faults, path)
    if "/" not in name and name not in _QUOTA and not name.startswith(_QUOTA_HUGEPAGES):
        faults.invalid(path, name, "must be a standard resource for quota")


def check_amount(name: str, amount: str, faults: Faults, path: str) -> None:
    """Not negative; whole where the resource is counted."""
    quantity = parse(amount)
    if quantity.nanos < 0:
        faults.invalid(path, str(quantity), NOT_NEGATIVE)
    if quantity.nanos % NANO_PER_UNIT and (name in _COUNTED or is_extended(name)):
        faults.invalid(path, str(quantity), "must be an integer")


def _check_huge_page(name: str, amount: str, faults: Faults, path: str) -> None:
    page = re.fullmatch(r"hugepages-(\d+[KMGTPE]i)", name)
    if page is not None and parse(amount).nanos % parse(page[1]).nanos:
        text = f"{amount} is not positive integer multiple of {name}"
        faults.invalid(path, amount, text)


def _check_list(amounts: dict[str, str], faults: Faults, path: str) -> None:
    for name, amount in amounts.items():
        where = f"{path}[{name}]"
        _check_container_name(name, faults, where)
        check_amount(name, amount, faults, where)
        if is_huge_page(name):
            _check_huge_page(name, amount, faults, where)


def _requirements(resources: core_v1.ResourceRequirements, faults: Faults, path: str) -> None:
    limits, requests = resources.limits or {}, resources.requests or {}
    if not limits and not requests:
        return
    if limits:
        _check_list(limits, faults, f"{path}.limits")
    if requests:
        _check_list(requests, faults, f"{path}.requests")
    for name, amount in requests.items():
        _check_against_limit(name, amount, limits.get(name), faults, path)
    both = limits.keys() | requests.keys()
    if any(is_huge_page(name) for name in both) and not both & _COMPUTE:
        faults.forbidden(path, "HugePages require cpu or memory")


def _check_against_limit(
    name: str, amount: str, limit: str | None, faults: Faults, path: str
) -> None:
    overcommits = is_native(name) and not is_huge_page(name)
    if limit is None:
        if not overcommits:
            text = "Limit must be set for non overcommitable resources"
            faults.required(f"{path}.limits", text)
    elif parse(amount) > parse(limit):
        text = f"must be less than or equal to {name} limit of {limit}"
        if not overcommits:
            text = f"must be equal to {name} limit of {limit}"
        faults.invalid(f"{path}.requests", amount, text)
    elif not overcommits and parse(amount) != parse(limit):
        faults.invalid(f"{path}.requests", amount, f"must be equal to {name} limit of {limit}")


def check_claims(
    resources: core_v1.ResourceRequirements | None, known: set[str], faults: Faults, path: str
) -> None:
    """A container's claims must be among the pod's."""
    seen: set[str] = set()
    for index, claim in enumerate((resources.claims if resources else None) or ()):
        where, name = f"{path}.resources.claims[{index}]", claim.name or ""
        if not name:
            faults.required(join(where, "name"))
            continue
        if name in seen:
            faults.duplicate(where, name)
        elif name not in known:
            among = "which is empty" if not known else f"[{', '.join(sorted(known))}]"
            text = f"must be one of the names in pod.spec.resourceClaims {among}"
            faults.not_found(where, name, text)
        seen.add(name)


RULES: Table = {
    core_v1.ResourceRequirements: Rules(whole=_requirements, skip=("claims",)),
}
