"""Webhook configurations, admission policies, CustomResourceDefinitions and APIServices.

Expressions (CEL) are not compiled here, and schemas of custom resources are judged by their root.
"""

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from controlplane.registry.strategy.validation import values
from controlplane.registry.strategy.validation.faults import Faults
from controlplane.registry.strategy.validation.rules import Rules, Table
from kubeapi import names
from kubeapi.types import admissionregistration_v1, apiextensions_v1, apiregistration_v1

_URL_FORM: Final = "desired format: https://host[/path]"
_ONE_CLIENT: Final = "exactly one of url or service is required"


def _webhooks(configuration: Any, faults: Faults, path: str) -> None:
    seen: set[str] = set()
    for index, webhook in enumerate(configuration.webhooks or ()):
        where, name = f"webhooks[{index}]", webhook.name or ""
        _domain_name(name, faults, f"{where}.name", 3, "three segments")
        if name in seen:
            faults.duplicate(f"{where}.name", name)
        seen.add(name)
        effects = webhook.sideEffects
        if effects is None:
            faults.required(f"{where}.sideEffects", "must specify one of None, NoneOnDryRun")
        elif effects not in ("None", "NoneOnDryRun"):
            faults.unsupported(f"{where}.sideEffects", effects, ("None", "NoneOnDryRun"))
        versions = webhook.admissionReviewVersions or []
        if not versions:
            text = "must specify one of v1, v1beta1"
            faults.required(f"{where}.admissionReviewVersions", text)
        elif not {"v1", "v1beta1"} & set(versions):
            text = "must include at least one of v1, v1beta1"
            faults.invalid(f"{where}.admissionReviewVersions", versions, text)
        client_config(webhook.clientConfig, faults, f"{where}.clientConfig")


def _domain_name(value: str, faults: Faults, path: str, segments: int, text: str) -> None:
    if not value:
        faults.required(path)
    elif names.dns_subdomain_problems(value):
        faults.each_invalid(path, value, names.dns_subdomain_problems(value))
    elif len(value.split(".")) < segments:
        faults.invalid(path, value, f"should be a domain with at least {text} separated by dots")


def client_config(config: Any, faults: Faults, path: str) -> None:
    """How to reach a webhook: by URL or by Service."""
    url = config.url if config is not None else None
    service = config.service if config is not None else None
    if (url is None) == (service is None):
        faults.required(path, _ONE_CLIENT)
    elif url is not None:
        _url(url, faults, f"{path}.url")
    elif service is not None:
        for name in ("name", "namespace"):
            if not getattr(service, name):
                faults.required(f"{path}.service.name")
        if service.path and not service.path.startswith("/"):
            text = "must start with a '/'"
            faults.invalid(f"{path}.service.path", service.path, text)
        if service.port is not None:
            values.port(service.port, faults, f"{path}.service", "port")


def _url(url: str, faults: Faults, path: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https":
        text = f"'https' is the only allowed URL scheme; {_URL_FORM}"
        faults.invalid(path, parts.scheme, text)
    if not parts.hostname:
        faults.invalid(path, parts.hostname or "", f"host must be specified; {_URL_FORM}")
    if parts.username is not None:
        user = parts.netloc.rpartition("@")[0]
        faults.invalid(path, user, "user information is not permitted in the URL")
    if parts.fragment:
        faults.invalid(path, parts.fragment, "fragments are not permitted in the URL")
    if parts.query:
        faults.invalid(path, parts.query, "query parameters are not permitted in the URL")


_WORDS: Final = {
    "operations": "operations",
    "apiGroups": "API groups",
    "apiVersions": "API versions",
}


def _rule(rule: Any, faults: Faults, path: str) -> None:
    for name, words in _WORDS.items():
        given: Sequence[str] = getattr(rule, name) or []
        if not given:
            faults.required(f"{path}.{name}")
        elif "*" in given and len(given) > 1:
            text = f"if '*' is present, must not specify other {words}"
            faults.invalid(f"{path}.{name}", given, text)
    resources = rule.resources or []
    if not resources:
        faults.required(f"{path}.resources")
    elif "*/*" in resources and len(resources) > 1:
        text = "if '*/*' is present, must not specify other resources"
        faults.invalid(f"{path}.resources", resources, text)


_ADMISSION = values.one_of("Fail", "Ignore")
_WEBHOOK: Final = {
    "failurePolicy": _ADMISSION,
    "matchPolicy": values.one_of("Equivalent", "Exact"),
    "reinvocationPolicy": values.one_of("IfNeeded", "Never"),
    "timeoutSeconds": values.between(1, 30, "the timeout value must be between 1 and 30 seconds"),
}


def _admission_policy(
    spec: admissionregistration_v1.ValidatingAdmissionPolicySpec, faults: Faults, path: str
) -> None:
    if not spec.validations and not spec.auditAnnotations:
        text = "validations or auditAnnotations must contain at least one item"
        faults.required(f"{path}.validations", text)
        faults.required(f"{path}.auditAnnotations", text)
    if spec.matchConstraints is None:
        faults.required(f"{path}.matchConstraints")
    elif not spec.matchConstraints.resourceRules:
        faults.required(f"{path}.matchConstraints.resourceRules")
    for index, item in enumerate(spec.validations or ()):
        where = f"{path}.validations[{index}]"
        if not (item.expression or "").strip():
            faults.required(f"{where}.expression", "expression is not specified")
        reasons = ("Forbidden", "Invalid", "RequestEntityTooLarge")
        if item.reason and item.reason not in (*reasons, "Unauthorized"):
            faults.unsupported(f"{where}.reason", item.reason, reasons)


_PRESERVES: Final = (
    "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in "
    "spec.versions[*].schema instead"
)
_COLUMN_TYPES: Final = "boolean,date,integer,number,string"


def _column(
    column: apiextensions_v1.CustomResourceColumnDefinition, faults: Faults, path: str
) -> None:
    """Kubernetes' paths are those of a definition with a single version."""
    where = f"spec.additionalPrinterColumns{path[path.rindex('[') :]}"
    if not column.name:
        faults.required(f"{where}.name")
    if not column.type:
        faults.required(f"{where}.type", f"must be one of {_COLUMN_TYPES}")
    elif column.type not in _COLUMN_TYPES.split(","):
        faults.invalid(f"{where}.type", column.type, f"must be one of {_COLUMN_TYPES}")
    if not column.jsonPath:
        faults.required(f"{where}.JSONPath")


def _scale(
    scale: apiextensions_v1.CustomResourceSubresourceScale, faults: Faults, path: str
) -> None:
    for name in ("specReplicasPath", "statusReplicasPath"):
        value = getattr(scale, name) or ""
        where = f"spec.subresources.scale.{name}"
        if not value:
            faults.required(where)
        elif not value.startswith("."):
            faults.invalid(where, value, "must be a simple json path starting with .")


def _definition(item: apiextensions_v1.CustomResourceDefinition, faults: Faults, path: str) -> None:
    spec = item.spec or apiextensions_v1.CustomResourceDefinitionSpec()
    group, plural = spec.group or "", (spec.names.plural if spec.names else None) or ""
    name = (item.metadata.name if item.metadata else None) or ""
    if name != f"{plural}.{group}":
        faults.invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')
    _domain_name(group, faults, "spec.group", 1, "one dot")
    if group and not names.dns_subdomain_problems(group) and "." not in group:
        faults.invalid("spec.group", group, "should be a domain with at least one dot")
    if not spec.scope:
        faults.required("spec.scope")
    elif spec.scope not in ("Cluster", "Namespaced"):
        faults.unsupported("spec.scope", spec.scope, ("Cluster", "Namespaced"))
    if spec.conversion is not None and spec.conversion.strategy not in ("None", "Webhook"):
        given = spec.conversion.strategy or ""
        faults.unsupported("spec.conversion.strategy", given, ("None", "Webhook"))
    if spec.preserveUnknownFields:
        faults.invalid("spec.preserveUnknownFields", True, _PRESERVES)
    _versions(spec.versions, faults)
    _definition_names(spec.names, faults)


def _versions(versions: Any, faults: Faults) -> None:
    stored = [version for version in versions or () if version.storage]
    if len(stored) != 1:
        text = "must have exactly one version marked as storage version"
        faults.invalid("spec.versions", versions, text)
        if not stored:
            text = "must have at least one stored version"
            faults.invalid("status.storedVersions", None, text)
    seen: set[str] = set()
    for index, version in enumerate(versions or ()):
        where, name = f"spec.versions[{index}]", version.name or ""
        faults.each_invalid(f"{where}.name", name, names.dns1035_label_problems(name))
        if name in seen:
            faults.invalid("spec.versions", versions, "must contain unique version names")
        seen.add(name)
        schema = version.schema.openAPIV3Schema if version.schema is not None else None
        if schema is None:
            faults.required(f"{where}.schema.openAPIV3Schema")
        elif schema.type != "object":
            faults.invalid(
                "spec.validation.openAPIV3Schema.type", schema.type or "",
                "must be object at the root",
            )  # fmt: skip


def _definition_names(given: Any, faults: Faults) -> None:
    for field in ("plural", "singular", "kind", "listKind"):
        value = (getattr(given, field) if given is not None else None) or ""
        if not value:
            faults.required(f"spec.names.{field}")
        else:
            problems = names.dns1035_label_problems(value.lower() if "ind" in field else value)
            faults.each_invalid(f"spec.names.{field}", value, problems)


def _api_service(item: apiregistration_v1.APIService, faults: Faults, path: str) -> None:
    spec = item.spec or apiregistration_v1.APIServiceSpec()
    name = (item.metadata.name if item.metadata else None) or ""
    required = f"{spec.version or ''}.{spec.group or ''}"
    if name != required:
        text = f'must be `spec.version+"."+spec.group`: "{required}"'
        faults.invalid("metadata.name", name, text)
    version = spec.version or ""
    if not version:
        faults.required("spec.version")
    else:
        faults.each_invalid("spec.version", version, names.dns1035_label_problems(version))
    if not 0 < (spec.groupPriorityMinimum or 0) <= 20000:
        text = "must be positive and less than 20000"
        faults.invalid("spec.groupPriorityMinimum", spec.groupPriorityMinimum or 0, text)
    if not 0 < (spec.versionPriority or 0) <= 1000:
        text = "must be positive and less than 1000"
        faults.invalid("spec.versionPriority", spec.versionPriority or 0, text)
    if spec.service is not None:
        for field in ("namespace", "name"):
            if not getattr(spec.service, field):
                faults.required(f"spec.service.{field}")
        if spec.insecureSkipTLSVerify and spec.caBundle:
            text = "may not be true if caBundle is present"
            faults.invalid("spec.insecureSkipTLSVerify", True, text)


RULES: Table = {
    admissionregistration_v1.MutatingWebhook: Rules(each=_WEBHOOK, skip=("clientConfig",)),
    admissionregistration_v1.MutatingWebhookConfiguration: Rules(whole=_webhooks),
    admissionregistration_v1.RuleWithOperations: Rules(whole=_rule),
    admissionregistration_v1.ValidatingAdmissionPolicySpec: Rules(
        each={"failurePolicy": _ADMISSION}, whole=_admission_policy, skip=("validations",)
    ),
    admissionregistration_v1.ValidatingAdmissionPolicy: Rules(present=("spec",)),
    admissionregistration_v1.ValidatingWebhook: Rules(
        each={k: v for k, v in _WEBHOOK.items() if k != "reinvocationPolicy"},
        skip=("clientConfig",),
    ),
    admissionregistration_v1.ValidatingWebhookConfiguration: Rules(whole=_webhooks),
    apiextensions_v1.CustomResourceColumnDefinition: Rules(whole=_column),
    apiextensions_v1.CustomResourceDefinition: Rules(whole=_definition),
    apiextensions_v1.CustomResourceSubresourceScale: Rules(whole=_scale),
    apiregistration_v1.APIService: Rules(whole=_api_service),
}
