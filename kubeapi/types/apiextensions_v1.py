"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from typing import ClassVar

from msgspec import field

from kubeapi.scalars import Bytes, Int32, Int64, Json, Message, Time
from kubeapi.types import meta_v1


class CustomResourceColumnDefinition(Message, frozen=True, kw_only=True):
    description: str | None = None
    format: str | None = None
    jsonPath: str | None = None
    name: str | None = None
    priority: Int32 | None = None
    type: str | None = None


class CustomResourceConversion(Message, frozen=True, kw_only=True):
    strategy: str | None = None
    webhook: WebhookConversion | None = None


class CustomResourceDefinition(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("apiextensions.k8s.io", "v1", "CustomResourceDefinition")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: CustomResourceDefinitionSpec | None = None
    status: CustomResourceDefinitionStatus | None = None


class CustomResourceDefinitionCondition(Message, frozen=True, kw_only=True):
    lastTransitionTime: Time | None = None
    message: str | None = None
    observedGeneration: Int64 | None = None
    reason: str | None = None
    status: str | None = None
    type: str | None = None


class CustomResourceDefinitionList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("apiextensions.k8s.io", "v1", "CustomResourceDefinitionList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[CustomResourceDefinition] | None = None


class CustomResourceDefinitionNames(Message, frozen=True, kw_only=True):
    kind: str | None = None
    categories: list[str] | None = None
    listKind: str | None = None
    plural: str | None = None
    shortNames: list[str] | None = None
    singular: str | None = None


class CustomResourceDefinitionSpec(Message, frozen=True, kw_only=True):
    conversion: CustomResourceConversion | None = None
    group: str | None = None
    names: CustomResourceDefinitionNames | None = None
    preserveUnknownFields: bool | None = None
    scope: str | None = None
    versions: list[CustomResourceDefinitionVersion] | None = None


class CustomResourceDefinitionStatus(Message, frozen=True, kw_only=True):
    acceptedNames: CustomResourceDefinitionNames | None = None
    conditions: list[CustomResourceDefinitionCondition] | None = None
    observedGeneration: Int64 | None = None
    storedVersions: list[str] | None = None


class CustomResourceDefinitionVersion(Message, frozen=True, kw_only=True):
    additionalPrinterColumns: list[CustomResourceColumnDefinition] | None = None
    deprecated: bool | None = None
    deprecationWarning: str | None = None
    name: str | None = None
    schema: CustomResourceValidation | None = None
    selectableFields: list[SelectableField] | None = None
    served: bool | None = None
    storage: bool | None = None
    subresources: CustomResourceSubresources | None = None


class CustomResourceSubresourceScale(Message, frozen=True, kw_only=True):
    labelSelectorPath: str | None = None
    specReplicasPath: str | None = None
    statusReplicasPath: str | None = None


class CustomResourceSubresourceStatus(Message, frozen=True, kw_only=True):
    pass


class CustomResourceSubresources(Message, frozen=True, kw_only=True):
    scale: CustomResourceSubresourceScale | None = None
    status: CustomResourceSubresourceStatus | None = None


class CustomResourceValidation(Message, frozen=True, kw_only=True):
    openAPIV3Schema: JSONSchemaProps | None = None


class ExternalDocumentation(Message, frozen=True, kw_only=True):
    description: str | None = None
    url: str | None = None


class JSONSchemaProps(Message, frozen=True, kw_only=True):
    ref_: str | None = field(default=None, name="$ref")
    schema_: str | None = field(default=None, name="$schema")
    additionalItems: Json = None
    additionalProperties: Json = None
    allOf: list[JSONSchemaProps] | None = None
    anyOf: list[JSONSchemaProps] | None = None
    default: Json = None
    definitions: dict[str, JSONSchemaProps] | None = None
    dependencies: dict[str, Json] | None = None
    description: str | None = None
    enum: list[Json] | None = None
    example: Json = None
    exclusiveMaximum: bool | None = None
    exclusiveMinimum: bool | None = None
    externalDocs: ExternalDocumentation | None = None
    format: str | None = None
    id: str | None = None
    items: Json = None
    maxItems: Int64 | None = None
    maxLength: Int64 | None = None
    maxProperties: Int64 | None = None
    maximum: float | None = None
    minItems: Int64 | None = None
    minLength: Int64 | None = None
    minProperties: Int64 | None = None
    minimum: float | None = None
    multipleOf: float | None = None
    not_: JSONSchemaProps | None = field(default=None, name="not")
    nullable: bool | None = None
    oneOf: list[JSONSchemaProps] | None = None
    pattern: str | None = None
    patternProperties: dict[str, JSONSchemaProps] | None = None
    properties: dict[str, JSONSchemaProps] | None = None
    required: list[str] | None = None
    title: str | None = None
    type: str | None = None
    uniqueItems: bool | None = None
    x_kubernetes_embedded_resource: bool | None = field(default=None, name="x-kubernetes-embedded-resource")
    x_kubernetes_int_or_string: bool | None = field(default=None, name="x-kubernetes-int-or-string")
    x_kubernetes_list_map_keys: list[str] | None = field(default=None, name="x-kubernetes-list-map-keys")
    x_kubernetes_list_type: str | None = field(default=None, name="x-kubernetes-list-type")
    x_kubernetes_map_type: str | None = field(default=None, name="x-kubernetes-map-type")
    x_kubernetes_preserve_unknown_fields: bool | None = field(default=None, name="x-kubernetes-preserve-unknown-fields")
    x_kubernetes_validations: list[ValidationRule] | None = field(default=None, name="x-kubernetes-validations")


class SelectableField(Message, frozen=True, kw_only=True):
    jsonPath: str | None = None


class ServiceReference(Message, frozen=True, kw_only=True):
    name: str | None = None
    namespace: str | None = None
    path: str | None = None
    port: Int32 | None = None


class ValidationRule(Message, frozen=True, kw_only=True):
    fieldPath: str | None = None
    message: str | None = None
    messageExpression: str | None = None
    optionalOldSelf: bool | None = None
    reason: str | None = None
    rule: str | None = None


class WebhookClientConfig(Message, frozen=True, kw_only=True):
    caBundle: Bytes | None = None
    service: ServiceReference | None = None
    url: str | None = None


class WebhookConversion(Message, frozen=True, kw_only=True):
    clientConfig: WebhookClientConfig | None = None
    conversionReviewVersions: list[str] | None = None
