"""JSON to objects and back.

`decode` is for what comes from outside: it refuses what Kubernetes refuses, in its words, and
brings times, quantities and base64 into the form in which they are kept. `decode_stored` is for
what this program encoded itself, and skips that.
"""

from typing import Any, TypeVar

import msgspec

from kubeapi.errors import bad_request

T = TypeVar("T")

_encoder = msgspec.json.Encoder()


class _Decoders(dict[type[Any], msgspec.json.Decoder[Any]]):
    """A decoder per class, made when first asked for: making one resolves all its types."""

    def __missing__(self, kind: type[Any]) -> msgspec.json.Decoder[Any]:
        made = self[kind] = msgspec.json.Decoder(kind)
        return made


_decoders = _Decoders()


def decode(data: bytes, kind: type[T]) -> T:
    """The object in a body; StatusError 400 when it is none of this kind."""
    try:
        found: T = _decoders[kind].decode(data)
    except msgspec.DecodeError as error:
        raise bad_request(str(error)) from None
    return found


def decode_stored(data: bytes, kind: type[T]) -> T:
    """The object in bytes that `encode` made."""
    found: T = _decoders[kind].decode(data)
    return found


def encode(obj: Any) -> bytes:
    """The JSON of an object, with its apiVersion and kind."""
    return _encoder.encode(typed(obj))


def typed(obj: Any) -> Any:
    """`obj` with its apiVersion and kind filled, where it is a top-level kind."""
    gvk = getattr(obj, "GVK", None)
    if gvk is None or (obj.kind and obj.apiVersion):
        return obj
    group, version, kind = gvk
    api_version = f"{group}/{version}" if group else version
    return msgspec.structs.replace(obj, kind=kind, apiVersion=api_version)


def to_dict(obj: Any) -> Any:
    """The object as JSON values, for patches and other work on untyped trees."""
    return msgspec.json.decode(encode(obj))


def from_dict(value: dict[str, Any], kind: type[T]) -> T:
    """The object in JSON values; StatusError as `decode`."""
    return decode(_encoder.encode(value), kind)
