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
from kubeapi.reading import described
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
    try:
        patch = msgspec.json.decode(body)
        twice = [] if patch_type is PatchType.JSON else duplicates(body)
    except (msgspec.DecodeError, RecursionError) as error:
        problem = gojson.syntax_problem(body) or _limit_problem(error)
        raise _undecodable(patch_type, problem) from None
    if patch is None:
        if patch_type is PatchType.MERGE:
            raise bad_request("Invalid JSON Patch")
        return ([] if patch_type is PatchType.JSON else {}), []
    _check_shape(patch_type, patch)
    return patch, twice


def _limit_problem(error: Exception) -> str:
    return "exceeded max depth" if isinstance(error, RecursionError) else str(error)


def _check_shape(patch_type: PatchType, patch: Any) -> None:
    if patch_type is not PatchType.JSON:
        if not isinstance(patch, dict):
            raise _wrong_shape(patch_type, patch, "map[string]interface {}")
    elif not isinstance(patch, list):
        raise _wrong_shape(patch_type, patch, "jsonpatch.Patch")
    elif len(patch) > OPERATIONS_MAX:
        text = f"the allowed maximum operations in a JSON patch is {OPERATIONS_MAX}"
        raise StatusError(413, "RequestEntityTooLarge", f"{text}, got {len(patch)}")


def _wrong_shape(patch_type: PatchType, patch: Any, wanted: str) -> StatusError:
    problem = f"json: cannot unmarshal {described(patch)} into Go value of type {wanted}"
    return _undecodable(patch_type, problem)


def _undecodable(patch_type: PatchType, problem: str) -> StatusError:
    prefix = "" if patch_type is PatchType.STRATEGIC else "error decoding patch: "
    return bad_request(prefix + problem)


def apply(patch_type: PatchType, current: dict[str, Any], patch: Any, kind: Kind) -> Any:
    """`current` with `patch` applied; StatusError 422 or 500 where it can not be."""
    try:
        match patch_type:
            case PatchType.JSON:
                return json_patch(current, patch)
            case PatchType.MERGE:
                return merge_patch(current, patch)
            case PatchType.STRATEGIC:
                return strategic_merge_patch(current, patch, kind)
    except RecursionError:
        raise bad_request("exceeded max depth") from None


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
