"""Objects to judge: a good one of each kind, and what becomes of it with one field changed."""

import copy
from typing import Any

from controlplane.registry import strategy
from controlplane.registry.strategy.validation import validate, validate_update
from kubeapi import codec
from kubeapi.errors import Cause
from kubeapi.resources import find

REMOVED = object()


def pod_spec(**fields: Any) -> dict[str, Any]:
    return {"containers": [{"name": "c", "image": "busybox"}], **fields}


def template(**fields: Any) -> dict[str, Any]:
    return {"metadata": {"labels": {"app": "a"}}, "spec": pod_spec(**fields)}


def workload(**fields: Any) -> dict[str, Any]:
    return {"selector": {"matchLabels": {"app": "a"}}, "template": template(), **fields}


def changed(obj: dict[str, Any], pointer: str, value: Any) -> dict[str, Any]:
    """A copy in which the field at a JSON pointer is another, or gone (REMOVED)."""
    obj = copy.deepcopy(obj)
    *path, last = pointer.strip("/").split("/")
    inner: Any = obj
    for part in path:
        inner = inner[int(part)] if isinstance(inner, list) else inner.setdefault(part, {})
    key: Any = int(last) if isinstance(inner, list) else last
    if value is REMOVED:
        inner.pop(key, None)
    elif isinstance(inner, list) and key == len(inner):
        inner.append(value)
    else:
        inner[key] = value
    return obj


def prepared(gvr: str, obj: dict[str, Any]) -> Any:
    """The object as it is when it is judged: decoded, with name, uid and defaults."""
    *group, version, resource = gvr.split("/")
    info = find("".join(group), version, resource)
    assert info is not None, gvr
    meta = {"name": "x", "uid": "00000000-0000-0000-0000-000000000001"} | obj.get("metadata", {})
    if info.namespaced:
        meta["namespace"] = "default"
    found = codec.from_dict(obj | {"metadata": meta}, info.type)
    strategy.prepare_create(found, info, now="2020-01-01T00:00:00Z")
    return found


def short(causes: list[Cause]) -> list[tuple[str, str]]:
    """(field, type of fault) of each."""
    return [(cause.field, cause.reason.removeprefix("FieldValue")) for cause in causes]


def faults(gvr: str, obj: dict[str, Any]) -> list[tuple[str, str]]:
    return short(validate(prepared(gvr, obj)))


def texts(gvr: str, obj: dict[str, Any]) -> list[str]:
    return [cause.message for cause in validate(prepared(gvr, obj))]


def update_faults(gvr: str, old: dict[str, Any], pointer: str, value: Any) -> list[tuple[str, str]]:
    """What is wrong with replacing the stored object by itself with one field changed."""
    stored = prepared(gvr, old)
    sent = changed(codec.to_dict(stored), pointer, value)
    new = codec.from_dict(sent, type(stored))
    strategy.prepare_update(new, stored)
    return short(validate_update(new, stored))
