"""What one RBAC rule allows, compiled so that asking is quick.

Semantics: k8s.io/kubernetes pkg/apis/rbac/v1 evaluation_helpers.go. `*` allows all of a list;
`*/scale` allows that subresource of every resource; a rule with resourceNames allows only
requests that name one of them; a path may end in `*`. A verb, group or resource never matches
by prefix.
"""

from collections.abc import Iterable
from typing import Final

from kubeapi.types import rbac_v1

ALL: Final = "*"


class CompiledRule:
    """One PolicyRule; None in a field stands for everything."""

    __slots__ = ("groups", "names", "paths", "prefixes", "verbs")

    def __init__(self, rule: rbac_v1.PolicyRule) -> None:
        self.verbs = _choice(rule.verbs)
        self.groups = _choice(rule.apiGroups)
        self.names = frozenset(rule.resourceNames) if rule.resourceNames else None
        urls = rule.nonResourceURLs or ()
        self.paths = frozenset(urls)
        self.prefixes = tuple(url.rstrip(ALL) for url in urls if url.endswith(ALL))

    def allows(self, verb: str, group: str, name: str) -> bool:
        """Whether verb, group and object name fit; the resource was matched by the index."""
        return (
            (self.verbs is None or verb in self.verbs)
            and (self.groups is None or group in self.groups)
            and (self.names is None or name in self.names)
        )

    def allows_path(self, verb: str, path: str) -> bool:
        if self.verbs is not None and verb not in self.verbs:
            return False
        return path in self.paths or path.startswith(self.prefixes)


class CompiledRole:
    """The rules of a Role or ClusterRole, by the resource (`pods`, `pods/log`) they name."""

    __slots__ = ("_by_resource", "_path_rules", "rules")

    def __init__(self, rules: Iterable[rbac_v1.PolicyRule]) -> None:
        self.rules = tuple(rules)
        self._by_resource: dict[str, list[CompiledRule]] = {}
        self._path_rules: list[CompiledRule] = []
        for rule in self.rules:
            compiled = CompiledRule(rule)
            for resource in dict.fromkeys(rule.resources or ()):
                self._by_resource.setdefault(resource, []).append(compiled)
            if rule.nonResourceURLs:
                self._path_rules.append(compiled)

    def allows(self, verb: str, group: str, resource: str, subresource: str, name: str) -> bool:
        by_resource = self._by_resource
        full = f"{resource}/{subresource}" if subresource else resource
        if _any_allows(by_resource.get(full), verb, group, name) or _any_allows(
            by_resource.get(ALL), verb, group, name
        ):
            return True
        return bool(subresource) and _any_allows(
            by_resource.get(f"*/{subresource}"), verb, group, name
        )

    def allows_path(self, verb: str, path: str) -> bool:
        return any(rule.allows_path(verb, path) for rule in self._path_rules)


def _any_allows(rules: list[CompiledRule] | None, verb: str, group: str, name: str) -> bool:
    if rules is None:
        return False
    return any(rule.allows(verb, group, name) for rule in rules)


def _choice(values: list[str] | None) -> frozenset[str] | None:
    chosen = frozenset(values or ())
    return None if ALL in chosen else chosen
