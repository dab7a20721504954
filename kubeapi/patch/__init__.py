"""Patches: a JSON value and a change make another JSON value.

Pure: neither the current value nor the patch is changed, parts of both may be shared by the
outcome. Neighbours: `kubeapi.schema` says how lists merge; the server decodes the outcome. What
is not here: server-side apply, and whether the outcome is a valid object.
"""

import json
from typing import Any

import msgspec

from kubeapi import gojson
from kubeapi.client import PatchType
from kubeapi.errors import Cause, StatusError, bad_request
from kubeapi.patch.gotext import go_text
from kubeapi.patch.merge import merge_diff, merge_patch
from kubeapi.patch.operations import OPERATIONS_MAX, json_patch
from kubeapi.patch.strategic import strategic_merge_patch
from kubeapi.schema import Kind
from kubeapi.strict import duplicates

__all__ = [
    "apply",
    "json_patch",
    "merge_diff",
    "merge_patch",
    "parse",
    "refusal",
    "strategic_merge_patch",
]


def parse(patch_type: PatchType, body: bytes) -> tuple[Any, list[str]]:
    """The patch in a body and the fields that it sets twice; StatusError 400 when it is none."""
    problem = gojson.syntax_problem(body)
    if problem is not None:
        raise _undecodable(patch_type, problem)
    patch = msgspec.json.decode(body)
    wanted, go_type = (
        (list, "jsonpatch.Patch")
        if patch_type is PatchType.JSON
        else (dict, "map[string]interface {}")
    )
    if patch is None and patch_type is PatchType.MERGE:
        raise bad_request("Invalid JSON Patch")
    if not isinstance(patch, wanted):
        sort = {list: "array", dict: "object", str: "string", bool: "bool"}
        shown = sort.get(type(patch), "number")
        problem = f"json: cannot unmarshal {shown} into Go value of type {go_type}"
        raise _undecodable(patch_type, problem)
    if len(patch) > OPERATIONS_MAX and patch_type is PatchType.JSON:
        text = f"the allowed maximum operations in a JSON patch is {OPERATIONS_MAX}"
        raise StatusError(413, "RequestEntityTooLarge", f"{text}, got {len(patch)}")
    return patch, [] if patch_type is PatchType.JSON else duplicates(body)


def _undecodable(patch_type: PatchType, problem: str) -> StatusError:
    prefix = "" if patch_type is PatchType.STRATEGIC else "error decoding patch: "
    return bad_request(prefix + problem)


def apply(patch_type: PatchType, current: dict[str, Any], patch: Any, kind: Kind) -> Any:
    """`current` with `patch` applied; StatusError 422 or 500 where it can not be."""
    match patch_type:
        case PatchType.JSON:
            return json_patch(current, patch)
        case PatchType.MERGE:
            return merge_patch(current, patch)
        case PatchType.STRATEGIC:
            return strategic_merge_patch(current, patch, kind)


def refusal(patch_type: PatchType, patch: Any, patched: Any, problem: str) -> StatusError:
    """The 422 for a patch whose outcome is no object of the kind (`problem` says why).

    Kubernetes shows the outcome of a JSON or merge patch, and the patch itself where it was
    strategic, and names neither kind nor object.
    """
    if patch_type is PatchType.STRATEGIC:
        shown = go_text(patch)
    else:
        shown = msgspec.json.encode(patched).decode()
    text = f"Invalid value: {json.dumps(shown, ensure_ascii=False)}: {problem}"
    causes = [Cause("FieldValueInvalid", text, "patch")]
    return StatusError(422, "Invalid", f' "" is invalid: patch: {text}', causes=causes)
