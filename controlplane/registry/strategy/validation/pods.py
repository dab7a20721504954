"""Pods and the templates that they are made of (ValidatePodSpec and what it calls)."""

import re
from typing import Any, Final

from controlplane.registry.strategy.validation import (
    containers,
    environment,
    probes,
    resources,
    scheduling,
    values,
    volumes,
)
from controlplane.registry.strategy.validation.faults import Faults, join
from controlplane.registry.strategy.validation.rules import Rules, Table
from kubeapi import names
from kubeapi.types import core_v1

RESTART_POLICIES: Final = ("Always", "OnFailure", "Never")
_DNS_POLICIES: Final = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_SYSCTL = re.compile(
    r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?", re.ASCII
)
_NOT_SYSCTL = (
    r"must have at most 253 characters and match regex "
    r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
)
_SEARCH_PATTERN: Final = r"_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*"
_SEARCH = re.compile(_SEARCH_PATTERN, re.ASCII)
_NOT_SEARCH = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' "
    "or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    f"for validation is '{_SEARCH_PATTERN}')"
)
_NAMESERVERS_MAX: Final = 3
_SEARCHES_MAX: Final = 32
_SEARCH_CHARACTERS_MAX: Final = 2048


def _pod_spec(spec: core_v1.PodSpec, faults: Faults, path: str) -> None:
    containers.check_containers(spec, faults, path)
    if spec.volumes:
        volumes.check_names(spec.volumes, faults, f"{path}.volumes")
    if spec.dnsPolicy == "None" and not (spec.dnsConfig and spec.dnsConfig.nameservers):
        _needs_nameserver(spec, faults, path)
    if spec.securityContext is not None:
        _namespaces_agree(spec, faults, path)
    if spec.schedulingGates:
        _scheduling_gates(spec, faults, path)
    if spec.resourceClaims:
        values.no_duplicates(spec.resourceClaims, "name", faults, f"{path}.resourceClaims")
    if spec.topologySpreadConstraints:
        _spread_once(spec, faults, path)
    if spec.readinessGates:
        for index, gate in enumerate(spec.readinessGates):
            where = f"{path}.readinessGates[{index}]"
            values.qualified_or_empty(gate.conditionType or "", faults, where, "conditionType")


def _needs_nameserver(spec: core_v1.PodSpec, faults: Faults, path: str) -> None:
    if spec.dnsConfig is None:
        text = "must provide `dnsConfig` when `dnsPolicy` is None"
        faults.required(f"{path}.dnsConfig", text)
    else:
        text = "must provide at least one DNS nameserver when `dnsPolicy` is None"
        faults.required(f"{path}.dnsConfig.nameservers", text)


def _namespaces_agree(spec: core_v1.PodSpec, faults: Faults, path: str) -> None:
    if spec.shareProcessNamespace and spec.hostPID:
        text = "ShareProcessNamespace and HostPID cannot both be enabled"
        faults.invalid(f"{path}.securityContext.shareProcessNamespace", True, text)


def _scheduling_gates(spec: core_v1.PodSpec, faults: Faults, path: str) -> None:
    seen: set[str] = set()
    for index, gate in enumerate(spec.schedulingGates or ()):
        where, name = f"{path}.schedulingGates[{index}]", gate.name or ""
        faults.each_invalid(where, name, names.qualified_name_problems(name))
        if name in seen:
            faults.duplicate(where, name)
        seen.add(name)


def _spread_once(spec: core_v1.PodSpec, faults: Faults, path: str) -> None:
    seen: set[tuple[str | None, str | None]] = set()
    for index, constraint in enumerate(spec.topologySpreadConstraints or ()):
        key = (constraint.topologyKey, constraint.whenUnsatisfiable)
        if key in seen:
            where = f"{path}.topologySpreadConstraints[{index}].{{topologyKey, whenUnsatisfiable}}"
            faults.duplicate(where, f"{{{key[0]}, {key[1]}}}")
        seen.add(key)


def _dns_config(config: core_v1.PodDNSConfig, faults: Faults, path: str) -> None:
    servers, searches = config.nameservers or [], config.searches or []
    if len(servers) > _NAMESERVERS_MAX:
        text = f"must not have more than {_NAMESERVERS_MAX} nameservers"
        faults.invalid(f"{path}.nameservers", servers, text)
    values.each_named(names.ip_address_problems)(servers, faults, path, "nameservers")
    if len(searches) > _SEARCHES_MAX:
        text = f"must not have more than {_SEARCHES_MAX} search paths"
        faults.invalid(f"{path}.searches", searches, text)
    if len(" ".join(searches)) > _SEARCH_CHARACTERS_MAX:
        text = f"must not have more than {_SEARCH_CHARACTERS_MAX} characters (including spaces) in the search list"  # noqa: E501
        faults.invalid(f"{path}.searches", searches, text)
    for index, search in enumerate(searches):
        if search != "." and not _SEARCH.fullmatch(search.removesuffix(".")):
            faults.invalid(f"{path}.searches[{index}]", search, _NOT_SEARCH)
    for index, option in enumerate(config.options or ()):
        if not option.name:
            faults.required(f"{path}.options[{index}]", "must not be empty")


def _host_alias(alias: core_v1.HostAlias, faults: Faults, path: str) -> None:
    faults.each_invalid(f"{path}.ip", alias.ip or "", names.ip_address_problems(alias.ip or ""))


def _sysctls(sysctls: list[core_v1.Sysctl], faults: Faults, path: str, name: str) -> None:
    seen: set[str] = set()
    for index, sysctl in enumerate(sysctls):
        where, key = f"{join(path, name)}[{index}].name", sysctl.name or ""
        if not key:
            faults.required(where)
        elif len(key) > 253 or not _SYSCTL.fullmatch(key):
            faults.invalid(where, key, _NOT_SYSCTL)
        elif key in seen:
            faults.duplicate(where, key)
        seen.add(key)


def _user_ids(groups: list[int], faults: Faults, path: str, name: str) -> None:
    for index, group in enumerate(groups):
        values.user_id(group, faults, path, f"{name}[{index}]")


def _claim(claim: core_v1.PodResourceClaim, faults: Faults, path: str) -> None:
    if not claim.resourceClaimName and not claim.resourceClaimTemplateName:
        shown = _claim_shown(claim)
        text = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
        faults.invalid(path, shown, text)
    elif claim.resourceClaimName and claim.resourceClaimTemplateName:
        text = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
        faults.invalid(path, _claim_shown(claim), text)


def _claim_shown(claim: core_v1.PodResourceClaim) -> dict[str, Any]:
    return {
        "Name": claim.name or "",
        "ResourceClaimName": claim.resourceClaimName,
        "ResourceClaimTemplateName": claim.resourceClaimTemplateName,
    }


def _template(template: core_v1.PodTemplateSpec, faults: Faults, path: str) -> None:
    """Kubernetes leaves `metadata` out of these paths."""
    meta = template.metadata
    if meta is not None:
        faults += names.label_causes(meta.labels, f"{path}.labels")
        faults += names.annotation_causes(meta.annotations, f"{path}.annotations")
    if template.spec is not None and template.spec.ephemeralContainers:
        text = "ephemeral containers not allowed in pod template"
        faults.required(f"{path}.spec.ephemeralContainers", text)


_MIRROR: Final = "kubernetes.io/config.mirror"


def check_new_pod(pod: core_v1.Pod, faults: Faults) -> None:
    """What a pod that is created may not have yet."""
    if pod.spec is None:
        return
    annotations = (pod.metadata.annotations if pod.metadata else None) or {}
    if _MIRROR in annotations and not pod.spec.nodeName:
        text = "must set spec.nodeName if mirror pod annotation is set"
        faults.invalid(f"metadata.annotations[{_MIRROR}]", annotations[_MIRROR], text)
    if pod.spec.ephemeralContainers:
        faults.forbidden("spec.ephemeralContainers", "cannot be set on create")
    if pod.spec.nodeName and pod.spec.schedulingGates:
        text = "cannot be set until all schedulingGates have been cleared"
        faults.forbidden("spec.nodeName", text)


RULES: Table = {
    **containers.RULES,
    **environment.RULES,
    **probes.RULES,
    **resources.RULES,
    **scheduling.RULES,
    **volumes.RULES,
    core_v1.HostAlias: Rules(
        each={"hostnames": values.each_named(names.dns_subdomain_problems)}, whole=_host_alias
    ),
    core_v1.PodDNSConfig: Rules(whole=_dns_config),
    core_v1.PodOS: Rules(required=("name",), each={"name": values.one_of("linux", "windows")}),
    core_v1.PodResourceClaim: Rules(required=("name",), each={"name": values.label}, whole=_claim),
    core_v1.PodSecurityContext: Rules(
        each={
            "runAsUser": values.user_id,
            "runAsGroup": values.user_id,
            "fsGroup": values.user_id,
            "supplementalGroups": _user_ids,
            "fsGroupChangePolicy": values.one_of("Always", "OnRootMismatch"),
            "supplementalGroupsPolicy": values.one_of("Merge", "Strict"),
            "sysctls": _sysctls,
        },
    ),
    core_v1.PodSpec: Rules(
        required=("containers",),
        each={
            "restartPolicy": values.one_of(*RESTART_POLICIES),
            "dnsPolicy": values.one_of(*_DNS_POLICIES),
            "activeDeadlineSeconds": values.between(1, 2**31 - 1),
            "nodeSelector": values.labels,
            "nodeName": values.subdomain,
            "serviceAccountName": values.subdomain,
            "priorityClassName": values.subdomain,
            "runtimeClassName": values.subdomain,
            "hostname": values.label,
            "subdomain": values.label,
            "preemptionPolicy": values.one_of("PreemptLowerPriority", "Never"),
        },
        whole=_pod_spec,
        skip=("schedulingGates", "readinessGates"),
    ),
    core_v1.Pod: Rules(present=("spec",)),
    core_v1.PodTemplateSpec: Rules(whole=_template, present=("spec",)),
}
