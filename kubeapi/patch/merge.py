"""JSON merge patch, RFC 7386."""

from typing import Any


def merge_patch(current: Any, patch: Any) -> Any:
    """Maps merge, null removes, anything else replaces (RFC 7386 section 2)."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(current) if isinstance(current, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def merge_diff(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """A patch that makes `new` of `old`, provided that `new` has no nulls."""
    patch: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            inner = merge_diff(before, value)
            if inner:
                patch[key] = inner
        elif key not in old or before != value:
            patch[key] = value
    return patch
