"""Certificate requests and the fairness of the API (pkg/apis/{certificates,flowcontrol})."""

import base64
import binascii
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from controlplane.registry.strategy.validation import values
from controlplane.registry.strategy.validation.faults import Faults
from controlplane.registry.strategy.validation.rules import Rules, Table
from kubeapi import names
from kubeapi.types import certificates_v1, flowcontrol_v1

_EXPIRY_MIN_S: Final = 600
_NOT_PEM: Final = "PEM block type must be CERTIFICATE REQUEST"


def _signing_request(
    spec: certificates_v1.CertificateSigningRequestSpec, faults: Faults, path: str
) -> None:
    problem = _request_problem(spec.request or "")
    if problem:
        faults.invalid(f"{path}.request", spec.request, problem)
    usages = spec.usages or []
    if not usages:
        faults.required(f"{path}.usages")
    for index, usage in enumerate(usages):
        if usage in usages[:index]:
            faults.duplicate(f"{path}.usages[{index}]", usage)
    if not spec.signerName:
        faults.required(f"{path}.signerName")
    else:
        _signer(spec.signerName, faults, f"{path}.signerName")
    seconds = spec.expirationSeconds
    if seconds is not None and seconds < _EXPIRY_MIN_S:
        text = f"may not specify a duration less than {_EXPIRY_MIN_S} seconds (10 minutes)"
        faults.invalid(f"{path}.expirationSeconds", seconds, text)


def _request_problem(text: str) -> str:
    try:
        pem = base64.b64decode(text)
        if b"-----BEGIN CERTIFICATE REQUEST-----" not in pem:
            return _NOT_PEM
        request = x509.load_pem_x509_csr(pem)
    except (binascii.Error, ValueError, UnsupportedAlgorithm) as error:
        return str(error)
    return "" if request.is_signature_valid else "the signature of the request is not valid"


def _signer(name: str, faults: Faults, path: str) -> None:
    """`example.com/name`."""
    domain, slash, rest = name.partition("/")
    if not slash or "/" in rest or not rest:
        text = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        faults.invalid(path, name, text)
        return
    for part in domain.split("."):
        for problem in names.dns_label_problems(part):
            faults.invalid(path, domain, f'validating label "{part}": {problem}')
    if len(domain.split(".")) < 2:
        text = "should be a domain with at least two segments separated by dots"
        faults.invalid(path, domain, text)


def _flow_schema(spec: flowcontrol_v1.FlowSchemaSpec, faults: Faults, path: str) -> None:
    reference = spec.priorityLevelConfiguration
    name = (reference.name if reference is not None else None) or ""
    where = f"{path}.priorityLevelConfiguration.name"
    if not name:
        faults.required(where, "must reference a priority level")
    else:
        faults.each_invalid(where, name, names.dns_subdomain_problems(name))
    precedence = spec.matchingPrecedence or 0
    if precedence <= 0:
        faults.invalid(f"{path}.matchingPrecedence", precedence, "must be a positive value")
    elif precedence > 10000:
        text = "must not be greater than 10000"
        faults.invalid(f"{path}.matchingPrecedence", precedence, text)
    method = spec.distinguisherMethod
    if method is not None and method.type not in ("ByNamespace", "ByUser"):
        shown = {"Type": method.type or ""}
        faults.unsupported(f"{path}.distinguisherMethod.type", shown, ("ByNamespace", "ByUser"))
    for index, rule in enumerate(spec.rules or ()):
        _flow_rule(rule, faults, f"{path}.rules[{index}]")


def _flow_rule(rule: Any, faults: Faults, path: str) -> None:
    if not rule.subjects:
        faults.required(f"{path}.subjects", "subjects must contain at least one value")
    kinds = ("Group", "ServiceAccount", "User")
    for index, subject in enumerate(rule.subjects or ()):
        where = f"{path}.subjects[{index}]"
        if subject.kind not in kinds:
            faults.unsupported(f"{where}.kind", subject.kind or "", kinds)
            continue
        field = subject.kind[0].lower() + subject.kind[1:]
        one = getattr(subject, field)
        if one is None:
            text = f"{field} is required when subject kind is '{subject.kind}'"
            faults.required(f"{where}.{field}", text)
        elif not one.name:
            faults.required(f"{where}.{field}.name")
    if not rule.resourceRules and not rule.nonResourceRules:
        text = "at least one of resourceRules and nonResourceRules has to be non-empty"
        faults.required(path, text)
    for index, item in enumerate(rule.resourceRules or ()):
        if not item.clusterScope and not item.namespaces:
            text = "resource rules that are not cluster scoped must supply at least one namespace"
            faults.required(f"{path}.resourceRules[{index}].namespaces", text)


def _priority_level(
    item: flowcontrol_v1.PriorityLevelConfiguration, faults: Faults, path: str
) -> None:
    spec = item.spec or flowcontrol_v1.PriorityLevelConfigurationSpec()
    name = item.metadata.name if item.metadata else None
    if (name == "exempt") != (spec.type == "Exempt"):
        text = "must be 'Exempt' if and only if `name` is 'exempt'"
        faults.invalid("spec.type", spec.type or "", text)
    if spec.type == "Exempt":
        if spec.limited is not None:
            faults.forbidden("spec.limited", "must be nil if the type is not Limited")
    elif spec.type != "Limited":
        faults.unsupported("spec.type", spec.type or "", ("Exempt", "Limited"))
    elif spec.limited is None:
        faults.required("spec.limited", "must not be empty when type is Limited")
    else:
        _limited(spec.limited, faults, "spec.limited")


def _limited(limited: Any, faults: Faults, path: str) -> None:
    response = limited.limitResponse
    kind = (response.type if response is not None else None) or ""
    if kind not in ("Queue", "Reject"):
        faults.unsupported(f"{path}.limitResponse.type", kind, ("Queue", "Reject"))
    elif kind == "Queue" and response.queuing is None:
        text = "must not be empty if limited.limitResponse.type is Limited"
        faults.required(f"{path}.limitResponse.queuing", text)
    elif kind == "Reject" and response.queuing is not None:
        text = "must be nil if limited.limitResponse.type is not Limited"
        faults.forbidden(f"{path}.limitResponse.queuing", text)
    share = limited.lendablePercent
    if share is not None:
        values.between(0, 100)(share, faults, path, "lendablePercent")


RULES: Table = {
    certificates_v1.CertificateSigningRequest: Rules(present=("spec",)),
    certificates_v1.CertificateSigningRequestSpec: Rules(whole=_signing_request),
    flowcontrol_v1.FlowSchema: Rules(present=("spec",)),
    flowcontrol_v1.FlowSchemaSpec: Rules(whole=_flow_schema, skip=("rules",)),
    flowcontrol_v1.PriorityLevelConfiguration: Rules(whole=_priority_level),
}
