"""One object at one revision: the store's own bytes, and the struct once somebody asks for it.

The store holds an object as JSON without its resourceVersion, since nobody knows the revision
before the write: `{"kind":"Pod","apiVersion":"v1","metadata":{...},...}`. The revision is put in
when the object is written out, as the first field of `metadata`, so that store, cache and answers
share one copy of the rest.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from kubeapi import codec
from kubeapi.resources import ResourceInfo

_METADATA: Final = b'"metadata":{'
_encoder = msgspec.json.Encoder()


class Layout:
    """How objects of one kind lie in the store: a prefix that is the same for all of them."""

    __slots__ = ("info", "prefix", "skip")

    def __init__(self, info: ResourceInfo) -> None:
        self.info = info
        self.prefix = f'{{"kind":"{info.kind}","apiVersion":"{info.api_version}",'.encode()
        self.skip = len(self.prefix) + len(_METADATA)

    def value_of(self, obj: Any) -> bytes:
        """The bytes to store. `obj` is the caller's own: its type and revision are cleared."""
        msgspec.structs.force_setattr(obj.metadata, "resourceVersion", None)
        msgspec.structs.force_setattr(obj, "kind", None)
        msgspec.structs.force_setattr(obj, "apiVersion", None)
        body = _encoder.encode(obj)
        if not body.startswith(b"{" + _METADATA):
            raise ValueError(f"{self.info.kind}: metadata is not the first field of its encoding")
        return self.prefix + body[1:]


class Stored:
    """An object as the store has it at `revision`. Immutable, shared by everyone who reads."""

    __slots__ = ("_obj", "key", "layout", "revision", "value")

    def __init__(
        self, layout: Layout, key: str, value: bytes, revision: int, obj: Any = None
    ) -> None:
        self.layout = layout
        self.key = key
        self.value = value
        self.revision = revision
        self._obj = obj
        if obj is not None:
            _label(obj, layout.info, revision)

    @property
    def obj(self) -> Any:
        """The decoded struct."""
        if self._obj is None:
            self._obj = codec.decode_stored(self.value, self.layout.info.type)
            _label(self._obj, self.layout.info, self.revision)
        return self._obj

    def fresh_obj(self) -> Any:
        """A decoded copy that nobody else has seen, and that may therefore still be changed."""
        obj = codec.decode_stored(self.value, self.layout.info.type)
        _label(obj, self.layout.info, self.revision)
        return obj

    def bare_pieces(self) -> tuple[bytes, memoryview]:
        """The object without its opening brace, kind and apiVersion, as lists hold it."""
        if not self.revision:  # it was never stored: a review, or a dry run
            head = _METADATA
        else:
            head = b'"metadata":{"resourceVersion":"%d",' % self.revision
        return head, memoryview(self.value)[self.layout.skip :]

    def json(self) -> bytes:
        return b"".join((self.layout.prefix, *self.bare_pieces()))

    def as_dict(self) -> dict[str, Any]:
        """A fresh JSON value, for patches and conversions."""
        decoded: dict[str, Any] = msgspec.json.decode(self.json())
        return decoded

    def at_revision(self, revision: int) -> "Stored":
        """The same state named by another revision: what a DELETED event carries."""
        return Stored(self.layout, self.key, self.value, revision)


def _label(obj: Any, info: ResourceInfo, revision: int) -> None:
    msgspec.structs.force_setattr(obj, "kind", info.kind)
    msgspec.structs.force_setattr(obj, "apiVersion", info.api_version)
    if revision:
        msgspec.structs.force_setattr(obj.metadata, "resourceVersion", str(revision))


def join_list(kind: str, api_version: str, metadata: bytes, items: Iterable[Stored]) -> bytes:
    """A List object around stored items."""
    head = b'{"kind":"%s","apiVersion":"%s","metadata":%s,"items":[' % (
        kind.encode(),
        api_version.encode(),
        metadata,
    )
    pieces: list[bytes | memoryview] = [head]
    separator = b"{"
    for stored in items:
        pieces.append(separator)
        pieces.extend(stored.bare_pieces())
        separator = b",{"
    pieces.append(b"]}\n")
    return b"".join(pieces)
