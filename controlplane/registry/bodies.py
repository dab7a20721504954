"""Request bodies into objects of the storage version, and stored objects into the version asked.

Shared by all doors that take bytes. Errors are Kubernetes' texts for bad bodies.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from controlplane.registry.options import Call
from controlplane.registry.stored import Stored
from kubeapi import codec, errors, patch, strict
from kubeapi.client import PatchType
from kubeapi.convert import convert
from kubeapi.resources import SUBRESOURCE_KINDS, ResourceInfo, kind_class


class _Header(msgspec.Struct):
    kind: str | None = None
    apiVersion: str | None = None


_header_decoder = msgspec.json.Decoder(_Header)


def body_kind(call: Call) -> tuple[str, str, type[Any]]:
    """(apiVersion, kind, class) of what the call's body must be."""
    special = SUBRESOURCE_KINDS.get(f"{call.info.resource}/{call.subresource}")
    if special is None:
        return call.info.api_version, call.info.kind, call.info.type
    group, version, kind = special
    return f"{group}/{version}" if group else version, kind, kind_class(*special)


def decode_object(call: Call, data: bytes) -> Any:
    """The object in a JSON body, as a fresh struct of the storage version."""
    api_version, kind, cls = body_kind(call)
    _check_header(data, api_version, kind)
    obj = codec.decode(data, cls)
    _check_strictly(call, data, cls, f'{kind} in version "{_version(api_version)}"', kind)
    return to_storage(call, obj)


def to_storage(call: Call, obj: Any) -> Any:
    if call.info.is_storage_version or type(obj) is not call.info.type:
        return obj
    storage = call.info.storage
    return codec.from_dict(convert(codec.to_dict(obj), storage.api_version), storage.type)


def _version(api_version: str) -> str:
    return api_version.rpartition("/")[2]


def _check_header(data: bytes, api_version: str, kind: str) -> None:
    try:
        header = _header_decoder.decode(data)
    except msgspec.DecodeError as error:
        shown = data[:31].decode("utf-8", "replace") or "<empty>"
        dots = " ..." if len(data) > 31 else ""
        raise errors.bad_request(
            f"the object provided is unrecognized (must be of type {kind}): "
            f"couldn't get version/kind; json parse error: {error} ({shown}{dots})"
        ) from None
    if header.kind and header.kind != kind:
        raise errors.bad_request(
            f'{header.kind} in version "{_version(header.apiVersion or api_version)}" cannot be '
            f"handled as a {kind}: converting to {kind}: unknown conversion"
        )
    if header.apiVersion and header.apiVersion != api_version:
        raise errors.bad_request(
            f"the API version in the data ({header.apiVersion}) does not match the expected API "
            f"version ({api_version})"
        )


def _check_strictly(call: Call, data: bytes, cls: type[Any], what: str, kind: str) -> None:
    """Unknown and duplicate fields: refused, warned of or ignored, as the client asks."""
    if call.field_validation != "Ignore":
        _report(call, strict.problems(data, cls), what, kind)


def _report(call: Call, problems: list[str], what: str, kind: str) -> None:
    if not problems or call.field_validation == "Ignore":
        return
    if call.field_validation == "Strict":
        raise errors.bad_request(
            f"{what} cannot be handled as a {kind}: strict decoding error: {', '.join(problems)}"
        )
    for problem in problems:
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
    _, kind, cls = body_kind(call)
    what = f'{kind} in version "{_version(call.info.api_version)}"'
    _report(call, duplicated, what, kind)

    def patched(stored: Stored) -> Any:
        outcome = patch.apply(patch_type, present_dict(call.info, stored), change, cls)
        encoded = msgspec.json.encode(outcome)
        try:
            obj = codec.decode(encoded, cls)
        except errors.StatusError as error:
            raise patch.refusal(patch_type, change, outcome, error.message) from None
        _check_strictly(call, encoded, cls, what, kind)
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
