"""Nobody may grant what they do not hold: the check on writes of roles and bindings.

Source: pkg/registry/rbac/validation of Kubernetes (`Covers`, `CompactRules`). Whoever has the
verb `escalate` on the role, or `bind` on the role that a binding names, is exempt; asking for
that is the caller's part.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Final

from controlplane.auth.user import User
from kubeapi.types.rbac_v1 import PolicyRule

ALL: Final = "*"


def covers(owner: Sequence[PolicyRule], requested: Iterable[PolicyRule]) -> bool:
    """Whether every right in `requested` is held by `owner`."""
    return not uncovered(owner, requested)


def uncovered(owner: Sequence[PolicyRule], requested: Iterable[PolicyRule]) -> list[PolicyRule]:
    """The rights in `requested` that `owner` lacks, one verb of one resource each."""
    return [
        single
        for rule in requested
        for single in _singles(rule)
        if not any(_rule_covers(held, single) for held in owner)
    ]


def escalation_message(user: User, missing: Iterable[PolicyRule]) -> str:
    """Why the write is refused, as Kubernetes words it."""
    groups = _quoted(user.groups)
    lines = sorted(_text(rule) for rule in _compact(missing))
    return "\n".join(
        [
            f'user "{user.name}" (groups={groups}) is attempting to grant RBAC permissions '
            "not currently held:",
            *lines,
        ]
    )


def _singles(rule: PolicyRule) -> Iterator[PolicyRule]:
    verbs = rule.verbs or ()
    for group, resource, verb in product(rule.apiGroups or (), rule.resources or (), verbs):
        for name in rule.resourceNames or (None,):
            yield PolicyRule(
                apiGroups=[group],
                resources=[resource],
                resourceNames=None if name is None else [name],
                verbs=[verb],
            )
    for url, verb in product(rule.nonResourceURLs or (), verbs):
        yield PolicyRule(nonResourceURLs=[url], verbs=[verb])


def _rule_covers(held: PolicyRule, single: PolicyRule) -> bool:
    return (
        _list_covers(held.verbs, single.verbs)
        and _list_covers(held.apiGroups, single.apiGroups)
        and _resource_covers(held.resources, single.resources)
        and all(_path_covered(url, held.nonResourceURLs) for url in single.nonResourceURLs or ())
        and _names_cover(held.resourceNames, single.resourceNames)
    )


def _list_covers(held: Sequence[str] | None, wanted: Sequence[str] | None) -> bool:
    held = held or ()
    return ALL in held or all(value in held for value in wanted or ())


def _resource_covers(held: Sequence[str] | None, wanted: Sequence[str] | None) -> bool:
    if _list_covers(held, wanted):
        return True
    for resource in wanted or ():
        _, slash, subresource = resource.partition("/")
        if resource not in (held or ()) and not (slash and f"*/{subresource}" in (held or ())):
            return False
    return True


def _names_cover(held: Sequence[str] | None, wanted: Sequence[str] | None) -> bool:
    if not held:
        return True
    return bool(wanted) and all(name in held for name in wanted or ())


def _path_covered(path: str, held: Sequence[str] | None) -> bool:
    return any(
        path == url or (url.endswith(ALL) and path.startswith(url.rstrip(ALL)))
        for url in held or ()
    )


def _compact(rules: Iterable[PolicyRule]) -> list[PolicyRule]:
    """One rule per resource, with all its verbs."""
    verbs: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    for rule in rules:
        fields = (rule.apiGroups, rule.resources, rule.nonResourceURLs, rule.resourceNames)
        key = tuple(tuple(field or ()) for field in fields)
        if rule.nonResourceURLs:
            key = (*key, tuple(rule.verbs or ()))  # paths are not merged upstream either
        verbs.setdefault(key, []).extend(rule.verbs or ())
    return [
        PolicyRule(
            apiGroups=list(key[0]),
            resources=list(key[1]),
            nonResourceURLs=list(key[2]),
            resourceNames=list(key[3]),
            verbs=found,
        )
        for key, found in verbs.items()
    ]


def _text(rule: PolicyRule) -> str:
    parts = (
        ("APIGroups", rule.apiGroups),
        ("Resources", rule.resources),
        ("NonResourceURLs", rule.nonResourceURLs),
        ("ResourceNames", rule.resourceNames),
        ("Verbs", rule.verbs),
    )
    shown = (f"{name}:{_quoted(values)}" for name, values in parts if values)
    return f"{{{', '.join(shown)}}}"


def _quoted(values: Iterable[str]) -> str:
    return "[" + " ".join(f'"{value}"' for value in values) + "]"
