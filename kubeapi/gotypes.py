"""How Go calls the types of fields, because Kubernetes' decode errors name them.

Most follow from the class of the field. Named string types do not, and only the ones that people
meet are listed; the others are called `string`. Source: k8s.io/api.
"""

from kubeapi.schema import FieldInfo, Kind

_SCALARS = {
    "string": "string",
    "bool": "bool",
    "double": "float64",
    "int32": "int32",
    "int64": "int64",
    "bytes": "[]uint8",
    # Their own decoders ask for a string, an integer, or take anything.
    "Time": "string",
    "MicroTime": "string",
    "quantity": "resource.Quantity",
    "int-or-string": "int32",
    "json": "runtime.RawExtension",
    "raw": "v1.FieldsV1",
}
_NAMED = {
    "Container.imagePullPolicy": "v1.PullPolicy",
    "Container.terminationMessagePolicy": "v1.TerminationMessagePolicy",
    "ContainerPort.protocol": "v1.Protocol",
    "DeleteOptions.propagationPolicy": "v1.DeletionPropagation",
    "DeploymentStrategy.type": "v1.DeploymentStrategyType",
    "EmptyDirVolumeSource.medium": "v1.StorageMedium",
    "HostPathVolumeSource.type": "v1.HostPathType",
    "LabelSelectorRequirement.operator": "v1.LabelSelectorOperator",
    "NodeSelectorRequirement.operator": "v1.NodeSelectorOperator",
    "ObjectMeta.uid": "types.UID",
    "OwnerReference.uid": "types.UID",
    "PersistentVolumeSpec.persistentVolumeReclaimPolicy": "v1.PersistentVolumeReclaimPolicy",
    "PodDNSConfig.options": "[]v1.PodDNSConfigOption",
    "PodSpec.dnsPolicy": "v1.DNSPolicy",
    "PodSpec.preemptionPolicy": "v1.PreemptionPolicy",
    "PodSpec.restartPolicy": "v1.RestartPolicy",
    "PodStatus.phase": "v1.PodPhase",
    "Preconditions.uid": "types.UID",
    "Secret.type": "v1.SecretType",
    "ServicePort.protocol": "v1.Protocol",
    "ServiceSpec.externalTrafficPolicy": "v1.ServiceExternalTrafficPolicy",
    "ServiceSpec.internalTrafficPolicy": "v1.ServiceInternalTrafficPolicy",
    "ServiceSpec.ipFamilies": "[]v1.IPFamily",
    "ServiceSpec.sessionAffinity": "v1.ServiceAffinity",
    "ServiceSpec.type": "v1.ServiceType",
    "StatefulSetSpec.podManagementPolicy": "v1.PodManagementPolicyType",
    "Taint.effect": "v1.TaintEffect",
    "Toleration.effect": "v1.TaintEffect",
    "Toleration.operator": "v1.TolerationOperator",
}


def class_name(kind: Kind) -> str:
    """ "v1.PodSpec": the package of a Go type is its version."""
    return f"{kind.__module__.rpartition('_')[2]}.{kind.__name__}"


def field_type(owner: Kind, field: FieldInfo, depth: int = 0) -> str:
    """The type of a field, or of what is inside `depth` of its containers."""
    containers = field.containers[depth:]
    named = _NAMED.get(f"{owner.__name__}.{field.name}")
    if named is not None:
        for _ in range(depth):
            named = named.removeprefix("[]")
        return named
    inner = class_name(field.kind) if field.kind else _SCALARS[field.format]
    if containers == ("dict",) and field.format == "quantity":
        return "v1.ResourceList"
    return "".join("[]" if c == "list" else "map[string]" for c in containers) + inner
