"""What a single JSON value can be in Kubernetes' types, beyond `str`, `bool` and `float`.

For a reader of objects each is the Python type it is written with (a quantity is a `str`). The
`extra` of the annotation is what the decoder and `kubeapi.schema` read: it says in which canonical
form the value is kept. Source: API conventions, "Primitive types" and "Serialization Format".
"""

from typing import TYPE_CHECKING, Annotated, Any

import msgspec

Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]

Quantity = Annotated[str, msgspec.Meta(extra={"format": "quantity"})]
Time = Annotated[str, msgspec.Meta(extra={"format": "Time"})]
MicroTime = Annotated[str, msgspec.Meta(extra={"format": "MicroTime"})]
Bytes = Annotated[str, msgspec.Meta(extra={"format": "bytes"})]

IntOrString = Int32 | str

# For a class with a field of the name `bool` (DeviceAttribute), in which that would be the field.
Bool = bool

# JSON of any shape (a CRD's defaults, the data of a ControllerRevision).
Json = Any

# The field sets of managedFields are kept as the bytes they came in: decoded they would be the
# largest part of most objects, and only server-side apply looks into them. msgspec has no
# `Raw | None`; absent is None all the same, because a default is not checked.
if TYPE_CHECKING:
    RawJson = msgspec.Raw | None
else:
    RawJson = msgspec.Raw


class Message(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, repr_omit_defaults=True):
    """Any structure of the API: immutable, None where a field is absent.

    Untracked by the garbage collector (`gc=False`): decoded JSON has no cycles, and a full
    collection over thousands of tracked objects would hold the event loop for tens of
    milliseconds.
    """
