"""Namespaces, secrets, roles and the kinds that configure the API itself."""

import base64
from typing import Any, Final

from controlplane.registry.strategy.defaults.fill import default, default_zero, ensure, put
from kubeapi.types import (
    apiextensions_v1,
    core_v1,
    flowcontrol_v1,
    meta_v1,
    rbac_v1,
    resource_v1,
)

NAME_LABEL: Final = "kubernetes.io/metadata.name"
RBAC_GROUP: Final = "rbac.authorization.k8s.io"
EXACT_COUNT: Final = "ExactCount"


def _namespace(namespace: core_v1.Namespace) -> None:
    metadata = ensure(namespace, "metadata", meta_v1.ObjectMeta)
    if metadata.name:  # a name that is yet to be generated is labelled by whoever generates it
        put(metadata, "labels", {**(metadata.labels or {}), NAME_LABEL: metadata.name})


def _secret(secret: core_v1.Secret) -> None:
    """`stringData` is for writing only: it ends up in `data`, over what was there."""
    if secret.stringData:
        encoded = {
            key: base64.b64encode(value.encode()).decode()
            for key, value in secret.stringData.items()
        }
        put(secret, "data", {**(secret.data or {}), **encoded})
    put(secret, "stringData", None)


def _subject(subject: rbac_v1.Subject) -> None:
    if subject.kind in ("User", "Group"):
        default_zero(subject, "apiGroup", RBAC_GROUP)


def _device_request(
    request: resource_v1.ExactDeviceRequest | resource_v1.DeviceSubRequest,
) -> None:
    if request.deviceClassName:
        default_zero(request, "allocationMode", EXACT_COUNT)
        if request.allocationMode == EXACT_COUNT:
            default_zero(request, "count", 1)


def _limit_response(response: flowcontrol_v1.LimitResponse) -> None:
    if response.type == "Queue":
        ensure(response, "queuing", flowcontrol_v1.QueuingConfiguration)


def _resource_definition(spec: apiextensions_v1.CustomResourceDefinitionSpec) -> None:
    names = spec.names
    if names is not None and names.kind:
        default_zero(names, "singular", names.kind.lower())
        default_zero(names, "listKind", f"{names.kind}List")
    conversion = ensure(spec, "conversion", apiextensions_v1.CustomResourceConversion)
    default_zero(conversion, "strategy", "None")
    webhook = conversion.webhook
    service = webhook.clientConfig.service if webhook and webhook.clientConfig else None
    if service is not None:
        default(service, "port", 443)


RULES: Final[dict[Any, Any]] = {
    apiextensions_v1.CustomResourceDefinitionSpec: _resource_definition,
    core_v1.Namespace: _namespace,
    core_v1.Secret: _secret,
    flowcontrol_v1.LimitResponse: _limit_response,
    rbac_v1.Subject: _subject,
    resource_v1.DeviceSubRequest: _device_request,
    resource_v1.ExactDeviceRequest: _device_request,
}
