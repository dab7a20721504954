"""Objects and lists in the form that was asked for: whole, as a Table, or their metadata."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from controlplane.registry import bodies
from controlplane.registry.api import Page
from controlplane.registry.stored import Stored, join_list
from controlplane.rest import table
from controlplane.rest.negotiation import Form
from kubeapi.resources import ResourceInfo

INCLUDE_OBJECT_DEFAULT: Final = "Metadata"


def one(info: ResourceInfo, stored: Stored, form: Form, include: str, now_s: float) -> bytes:
    """A single object."""
    if form.transform == "Table":
        return tabulated(info, [stored], {"resourceVersion": str(stored.revision)}, include, now_s)
    if form.transform:
        return msgspec.json.encode(metadata_only(stored))
    return bodies.present(info, stored)


def many(info: ResourceInfo, page: Page, form: Form, include: str, now_s: float) -> bytes:
    """A list of objects."""
    metadata: dict[str, Any] = {"resourceVersion": str(page.revision)}
    if page.continue_token:
        metadata |= {"continue": page.continue_token, "remainingItemCount": page.remaining}
    if form.transform == "Table":
        return tabulated(info, page.items, metadata, include, now_s)
    if form.transform:
        return msgspec.json.encode(
            {
                "kind": "PartialObjectMetadataList",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": metadata,
                "items": [metadata_only(stored) for stored in page.items],
            }
        )
    encoded = msgspec.json.encode(metadata)
    if info.is_storage_version:
        return join_list(f"{info.kind}List", info.api_version, encoded, page.items)
    items = b",".join(bodies.present(info, stored) for stored in page.items)
    return b'{"kind":"%sList","apiVersion":"%s","metadata":%s,"items":[%s]}\n' % (
        info.kind.encode(), info.api_version.encode(), encoded, items,
    )  # fmt: skip


def tabulated(
    info: ResourceInfo,
    items: Sequence[Stored],
    metadata: dict[str, Any],
    include: str,
    now_s: float,
    *,
    with_columns: bool = True,
) -> bytes:
    return table.table(
        info.storage, items, metadata, include, now_s,
        with_columns=with_columns, body_of=lambda item: bodies.present(info, item),
    )  # fmt: skip


def metadata_only(stored: Stored) -> dict[str, Any]:
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": msgspec.to_builtins(stored.obj.metadata),
    }
