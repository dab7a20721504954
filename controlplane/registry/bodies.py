"""Request bodies into objects of the storage version, and stored objects into the version asked.

Shared by all doors that take bytes. Errors are Kubernetes' texts for bad bodies.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from controlplane.registry.options import Call
from controlplane.registry.stored import Stored
from kubeapi import codec, errors, patch
from kubeapi.client import PatchType
from kubeapi.convert import convert
from kubeapi.resources import SUBRESOURCE_KINDS, ResourceInfo, kind_class


def body_class(call: Call) -> type[Any]:
    """The class of what the call's body must be."""
    special = SUBRESOURCE_KINDS.get(f"{call.info.resource}/{call.subresource}")
    return call.info.type if special is None else kind_class(*special)


def decode_object(call: Call, data: bytes, key_problems: Sequence[str] = ()) -> Any:
    """The object in a JSON body, as a fresh struct of the storage version.

    `key_problems` are the keys that were set twice in the YAML that the JSON was made of.
    """
    cls = body_class(call)
    obj = codec.decode(data, cls)
    if call.field_validation != "Ignore":
        _report(call, codec.strict_problems(data, cls), cls, key_problems)
    return to_storage(call, obj)


def to_storage(call: Call, obj: Any) -> Any:
    if call.info.is_storage_version or type(obj) is not call.info.type:
        return obj
    storage = call.info.storage
    return codec.from_dict(convert(codec.to_dict(obj), storage.api_version), storage.type)


def _report(
    call: Call, problems: list[str], cls: type[Any], key_problems: Sequence[str] = ()
) -> None:
    """Unknown and duplicate fields: refused, warned of or ignored, as the client asks."""
    if call.field_validation == "Strict":
        codec.refuse_strictly(problems, cls, key_problems)
    elif call.field_validation == "Warn":
        for problem in (*key_problems, *problems):
            call.warn(problem)


def patcher(call: Call, data: bytes, content_type: str) -> Callable[[Stored], Any]:
    """A function from the stored state to the patched object (storage version, fresh)."""
    try:
        patch_type = PatchType(content_type)
    except ValueError:
        accepted = ", ".join(kind.value for kind in PatchType)
        raise errors.StatusError(
            415, "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: "
            f"{accepted}",
        ) from None  # fmt: skip
    change, duplicated = patch.parse(patch_type, data)
    cls = body_class(call)
    _report(call, duplicated, cls)

    def patched(stored: Stored) -> Any:
        outcome = patch.apply(patch_type, present_dict(call.info, stored), change, cls)
        encoded = msgspec.json.encode(outcome)
        try:
            obj = codec.decode_plain(encoded, cls)
        except ValueError as error:
            raise patch.refusal(patch_type, change, outcome, str(error)) from None
        if call.field_validation != "Ignore":
            _report(call, codec.strict_problems(encoded, cls), cls)
        return to_storage(call, obj)

    return patched


def present_dict(info: ResourceInfo, stored: Stored) -> dict[str, Any]:
    """The stored object as JSON values of the version that `info` serves."""
    value = stored.as_dict()
    if info.is_storage_version or stored.layout.info.resource != info.resource:
        return value
    return convert(value, info.api_version)


def present(info: ResourceInfo, stored: Stored) -> bytes:
    """The stored object as JSON of the version that `info` serves."""
    if info.is_storage_version or stored.layout.info.resource != info.resource:
        return stored.json()
    return msgspec.json.encode(present_dict(info, stored))
