"""Strategic merge patch: lists merge by the keys that the kind declares, directives steer it.

`$patch` replaces or deletes a map or an item, `$retainKeys` clears what is not named,
`$setElementOrder/x` orders a list, `$deleteFromPrimitiveList/x` takes values out of one. Source:
apimachinery `util/strategicpatch` and the design "Preserve Order in Strategic Merge Patch".
"""

from dataclasses import dataclass
from typing import Any

from kubeapi.errors import StatusError
from kubeapi.patch.gotext import go_text
from kubeapi.schema import NO_RULE, FieldInfo, Kind, MergeRule, fields_of

Map = dict[str, Any]
Items = list[Any]

_DIRECTIVE = "$patch"
_RETAIN = "$retainKeys"
_ORDER = "$setElementOrder/"
_DELETE = "$deleteFromPrimitiveList/"


def strategic_merge_patch(current: Map, patch: Map, kind: Kind) -> Map:
    """`current`, an object of `kind`, with `patch` merged in.

    A patch that makes no sense is a StatusError 500 in Kubernetes, so it is one here.
    """
    return _merge_map(current, patch, _Shape(kind=kind))


def _failed(message: str) -> StatusError:
    return StatusError(500, "", message)


@dataclass(frozen=True)
class _Shape:
    """What is known of a value: the class of a map, or the field whose containers it is in."""

    kind: Kind | None = None
    field: FieldInfo | None = None
    depth: int = 0

    def of(self, name: str) -> tuple["_Shape", MergeRule]:
        """The shape of what a map has under `name`, and how it merges."""
        if self.kind is not None:
            field = fields_of(self.kind).get(name)
            return (_Shape(), NO_RULE) if field is None else (_shape(field, 0), field.rule)
        return self.inner(), NO_RULE

    def inner(self) -> "_Shape":
        """The shape of an item."""
        return _Shape() if self.field is None else _shape(self.field, self.depth + 1)


def _shape(field: FieldInfo, depth: int) -> _Shape:
    if depth >= len(field.containers):
        return _Shape(kind=field.kind)
    return _Shape(field=field, depth=depth)


def _merge_map(original: Map, patch: Map, shape: _Shape) -> Map:
    if _DIRECTIVE in patch:
        return _directed_map(patch)
    patch, merged = _retain_keys(original, dict(patch))
    for key in [key for key in patch if key.startswith(_ORDER)]:
        _merge_ordered(merged, patch, key.removeprefix(_ORDER), patch.pop(key), shape)
    for key, value in patch.items():
        _merge_key(merged, key, value, shape)
    return merged


def _directed_map(patch: Map) -> Map:
    """A map that replaces the original, or nothing."""
    directive = patch[_DIRECTIVE]
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != _DIRECTIVE}
    if directive == "delete":
        return {}
    raise _bad_directive(patch)


def _bad_directive(patch: Map) -> StatusError:
    return _failed(f"unknown patch type: {go_text(patch[_DIRECTIVE])} in map: {go_text(patch)}")


def _retain_keys(original: Map, patch: Map) -> tuple[Map, Map]:
    """The patch without `$retainKeys`, and a copy of the original with only those keys."""
    if _RETAIN not in patch:
        return patch, dict(original)
    kept = patch.pop(_RETAIN)
    if not isinstance(kept, list) or any(
        key not in kept
        for key, value in patch.items()
        if value is not None and not key.startswith((_DELETE, _ORDER))
    ):
        raise _failed("invalid patch format of retainKeys")
    return patch, {key: value for key, value in original.items() if key in kept}


def _merge_key(merged: Map, key: str, value: Any, shape: _Shape) -> None:
    deletes = key.startswith(_DELETE)
    key = key.removeprefix(_DELETE)
    if value is None:
        merged.pop(key, None)
        return
    before = merged.get(key)
    inner, rule = shape.of(key)
    if isinstance(before, dict) and isinstance(value, dict):
        replaces = "replace" in rule.strategies
        merged[key] = _plain(value) if replaces else _merge_map(before, value, inner)
    elif isinstance(before, list) and isinstance(value, list):
        merged[key] = _merge_list(before, value, inner, rule, deletes)
    elif not deletes:
        merged[key] = _plain(value)


def _plain(value: Any) -> Any:
    """A value that is new, without directives and nulls, which have nothing to act on."""
    if isinstance(value, dict):
        return {
            key: _plain(inner)
            for key, inner in value.items()
            if inner is not None and not key.startswith((_DIRECTIVE, _RETAIN, _ORDER, _DELETE))
        }
    if isinstance(value, list):
        return [_plain(item) for item in value if not _deletes_item(item)]
    return value


def _deletes_item(item: Any) -> bool:
    return isinstance(item, dict) and item.get(_DIRECTIVE) == "delete"


def _merge_list(
    original: Items, patch: Items, shape: _Shape, rule: MergeRule, deletes: bool
) -> Items:
    if "merge" not in rule.strategies:
        return list(patch)
    if not original and not patch:
        return original
    if not _are_maps(original, patch):
        if deletes:
            return [item for item in original if item not in patch]
        merged = original + [item for item in patch if item not in original]
        return _in_order(merged, patch, original, "")
    if not rule.merge_key:
        raise _failed("cannot merge lists without merge key for type struct")
    original, patch = _direct_items(original, patch, rule.merge_key)
    merged = _merge_items(original, patch, rule.merge_key, shape.inner())
    return _in_order(merged, patch, original, rule.merge_key)


def _are_maps(*lists: Items) -> bool:
    """Whether the items are maps; all of them must be of one type."""
    types = {type(item) for items in lists for item in items}
    if list in types:
        raise _failed("lists of lists are not supported")
    if len(types) > 1:
        raise _failed(f"list element types are not identical: {go_text(list(lists))}")
    return types == {dict}


def _key_of(item: Map, merge_key: str) -> Any:
    if merge_key not in item:
        raise _failed(f"map: {go_text(item)} does not contain declared merge key: {merge_key}")
    return item[merge_key]


def _direct_items(original: Items, patch: Items, merge_key: str) -> tuple[Items, Items]:
    """Both lists after the items of the patch that have a directive are acted upon."""
    plain: Items = []
    replaces = False
    for item in patch:
        match item.get(_DIRECTIVE):
            case None:
                plain.append(item)
            case "delete":
                gone = _key_of(item, merge_key)
                original = [old for old in original if old.get(merge_key) != gone]
            case "replace":
                replaces = True
            case "merge":
                raise _failed("merging lists cannot yet be specified in the patch")
            case _:
                raise _bad_directive(item)
    return (plain, []) if replaces else (original, plain)


def _merge_items(original: Items, patch: Items, merge_key: str, shape: _Shape) -> Items:
    merged = list(original)
    for item in patch:
        at = _find(merged, _key_of(item, merge_key), merge_key)
        if at is None:
            merged.append(_plain(item))
        else:
            merged[at] = _merge_map(merged[at], item, shape)
    return merged


def _find(items: Items, wanted: Any, merge_key: str) -> int | None:
    """The place of the item with this key; of the value itself in a list of plain values."""
    for index, item in enumerate(items):
        if (item.get(merge_key) if merge_key else item) == wanted:
            return index
    return None


def _in_order(merged: Items, wanted: Items, present: Items, merge_key: str) -> Items:
    """`merged` so that items of `wanted` are in its order, and others where they were.

    What only the server has goes before the first wanted item that it preceded in `present`.
    """

    def place(item: Any, order: Items) -> int | None:
        return _find(order, _key_of(item, merge_key) if merge_key else item, merge_key)

    asked = [item for item in merged if place(item, wanted) is not None]
    asked.sort(key=lambda item: place(item, wanted) or 0)
    others = [item for item in merged if place(item, wanted) is None]
    ordered: Items = []
    while asked and others:
        mine, theirs = place(others[0], present), place(asked[0], present)
        first = mine is not None and theirs is not None and mine < theirs
        ordered.append(others.pop(0) if first else asked.pop(0))
    return ordered + asked + others


def _merge_ordered(merged: Map, patch: Map, key: str, order: Any, shape: _Shape) -> None:
    """`$setElementOrder/key`: merge that list, if there is one, and give it the order."""
    inner, rule = shape.of(key)
    present = merged.get(key)
    changes = patch.pop(key, None)
    for items in (order, present if present is not None else [], changes or []):
        if not isinstance(items, list):
            raise _failed(f"expected a []interface {{}}, but received a {_go_kind(items)}")
    if rule.merge_key and not all(isinstance(item, dict) for item in order):
        raise _failed("value for key 0 is not a map.")
    if changes is not None:
        _check_order(changes, order, rule.merge_key)
    if present is None and changes is None:
        return
    if present is None:
        found = _plain(changes)
    elif changes is None:
        found = present
    else:
        found = _merge_list(present, changes, inner, rule, deletes=False)
    merge_key = rule.merge_key if _are_maps(present or [], changes or []) else ""
    merged[key] = _in_order(found, order, present or [], merge_key)


def _go_kind(value: Any) -> str:
    return {str: "string", bool: "bool", int: "int64", float: "float64", dict: "map"}[type(value)]


def _check_order(changes: Items, order: Items, merge_key: str) -> None:
    """The items of the patch must come in the order that the directive gives."""
    rest = iter(order)
    for item in changes:
        if isinstance(item, dict) and _DIRECTIVE in item:
            continue
        wanted = _key_of(item, merge_key) if merge_key else item
        if not any((o.get(merge_key) if merge_key else o) == wanted for o in rest):
            raise _failed(
                f"The order in patch list:\n{go_text(changes)}\n doesn't match "
                f"$setElementOrder list:\n{go_text(order)}\n"
            )
