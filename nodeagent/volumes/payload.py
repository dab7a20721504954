"""Which files a volume holds: configMap, secret, downwardAPI and projected, from values.

Pure. What is missing is a VolumeError with the message that the FailedMount event shows.
Sources: the kubelet's `configmap.MakePayload`, `secret.MakePayload`, `projected.collectData`.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from kubeapi.types import core_v1
from nodeagent.pods.fields import FieldError, NodeFacts, field_value, resource_value
from nodeagent.pods.spec import metadata

DEFAULT_MODE = 0o644


class VolumeError(Exception):
    """The volume cannot be set up now; the message says which and why."""


@dataclass(frozen=True)
class FileData:
    """One file of a volume; `owner` is set where it is not root's."""

    data: bytes
    mode: int = DEFAULT_MODE
    owner: int | None = None


Payload = dict[str, FileData]


@dataclass(frozen=True)
class Sources:
    """What volumes may refer to: objects of the pod's namespace by name, and tokens."""

    config_maps: Mapping[str, core_v1.ConfigMap] = field(default_factory=dict)
    secrets: Mapping[str, core_v1.Secret] = field(default_factory=dict)
    tokens: Mapping[tuple[str, int], str] = field(default_factory=dict)
    node: NodeFacts = field(default_factory=NodeFacts)


def config_map_payload(
    pod: core_v1.Pod,
    name: str | None,
    items: list[core_v1.KeyToPath] | None,
    optional: bool | None,
    mode: int,
    sources: Sources,
) -> Payload:
    found = sources.config_maps.get(name or "")
    if found is None:
        if optional:
            return {}
        raise VolumeError(f'configmap "{name}" not found')
    contents = {key: text.encode() for key, text in (found.data or {}).items()}
    contents |= {key: base64.b64decode(text) for key, text in (found.binaryData or {}).items()}
    return _projected(contents, items, mode, optional, f"configmap {_where(pod, name)}")


def secret_payload(
    pod: core_v1.Pod,
    name: str | None,
    items: list[core_v1.KeyToPath] | None,
    optional: bool | None,
    mode: int,
    sources: Sources,
) -> Payload:
    found = sources.secrets.get(name or "")
    if found is None:
        if optional:
            return {}
        raise VolumeError(f'secret "{name}" not found')
    contents = {key: base64.b64decode(text) for key, text in (found.data or {}).items()}
    return _projected(contents, items, mode, optional, f"secret {_where(pod, name)}")


def downward_payload(
    pod: core_v1.Pod,
    items: list[core_v1.DownwardAPIVolumeFile] | None,
    mode: int,
    sources: Sources,
) -> Payload:
    payload: Payload = {}
    for item in items or ():
        try:
            if item.fieldRef is not None:
                text = field_value(pod, item.fieldRef.fieldPath or "", sources.node)
            elif item.resourceFieldRef is not None:
                text = resource_value(pod, item.resourceFieldRef, sources.node)
            else:
                raise FieldError(f"{item.path}: neither fieldRef nor resourceFieldRef")
        except FieldError as error:
            raise VolumeError(str(error)) from None
        file_mode = item.mode if item.mode is not None else mode
        payload[item.path or ""] = FileData(text.encode(), file_mode)
    return payload


def projected_payload(
    pod: core_v1.Pod, source: core_v1.ProjectedVolumeSource, sources: Sources
) -> Payload:
    """All sources in one folder; of two that give the same path the later one counts."""
    mode = source.defaultMode if source.defaultMode is not None else DEFAULT_MODE
    payload: Payload = {}
    for part in source.sources or ():
        if part.configMap is not None:
            ref = part.configMap
            payload |= config_map_payload(pod, ref.name, ref.items, ref.optional, mode, sources)
        elif part.secret is not None:
            own = part.secret
            payload |= secret_payload(pod, own.name, own.items, own.optional, mode, sources)
        elif part.downwardAPI is not None:
            payload |= downward_payload(pod, part.downwardAPI.items, mode, sources)
        elif part.serviceAccountToken is not None:
            payload |= _token_file(pod, part.serviceAccountToken, mode, sources)
        else:
            kinds = ("clusterTrustBundle", "podCertificate")
            kind = next((k for k in kinds if getattr(part, k, None) is not None), "this")
            raise VolumeError(f"{kind} sources of projected volumes are not supported")
    return payload


def token_key(token: core_v1.ServiceAccountTokenProjection) -> tuple[str, int]:
    """Audience and lifetime: what tells one token of a pod from another."""
    return token.audience or "", token.expirationSeconds or 3600


def _token_file(
    pod: core_v1.Pod,
    token: core_v1.ServiceAccountTokenProjection,
    mode: int,
    sources: Sources,
) -> Payload:
    text = sources.tokens.get(token_key(token))
    if text is None:
        raise VolumeError("no service account token has been issued yet")
    context = pod.spec.securityContext if pod.spec else None
    user = _common_user(pod)
    has_group = context is not None and context.fsGroup is not None
    if user is not None or has_group:
        mode = 0o600
    return {token.path or "": FileData(text.encode(), mode, owner=user)}


def _common_user(pod: core_v1.Pod) -> int | None:
    """The user that every container runs as, where they agree on one."""
    spec = pod.spec or core_v1.PodSpec()
    podwide = spec.securityContext.runAsUser if spec.securityContext else None
    users = {
        c.securityContext.runAsUser
        if c.securityContext and c.securityContext.runAsUser is not None
        else podwide
        for c in [*(spec.initContainers or ()), *(spec.containers or ())]
    }
    return users.pop() if len(users) == 1 else None


def _projected(
    contents: dict[str, bytes],
    items: list[core_v1.KeyToPath] | None,
    mode: int,
    optional: bool | None,
    what: str,
) -> Payload:
    if not items:
        return {key: FileData(data, mode) for key, data in contents.items()}
    payload: Payload = {}
    for item in items:
        data = contents.get(item.key or "")
        if data is None:
            if optional:
                continue
            raise VolumeError(f"{what} references non-existent config key: {item.key}")
        file_mode = item.mode if item.mode is not None else mode
        payload[item.path or ""] = FileData(data, file_mode)
    return payload


def _where(pod: core_v1.Pod, name: str | None) -> str:
    return f"{metadata(pod).namespace}/{name}"
