"""Query parameters, each checked where it is read (meta/v1 ListOptions, CreateOptions, ...)."""

from collections.abc import Mapping
from typing import Final

from controlplane.registry.options import DeleteOptions, ListOptions
from kubeapi import errors
from kubeapi.errors import Cause

_INT64_MAX: Final = 2**63 - 1
_OPTIONS_KIND: Final = {
    "create": "CreateOptions",
    "update": "UpdateOptions",
    "patch": "PatchOptions",
    "delete": "DeleteOptions",
    "deletecollection": "DeleteOptions",
}


class Query:
    """The parameters of one request."""

    __slots__ = ("_given",)

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given

    def flag(self, name: str) -> bool:
        # Kubernetes takes everything but these as true, a parameter without a value as well.
        return name in self._given and self._given[name].lower() not in ("false", "0")

    def number(self, name: str) -> int | None:
        text = self._given.get(name, "")
        if not text:
            return None
        try:
            value = int(text)
        except ValueError:
            raise errors.bad_request(
                f'strconv.ParseInt: parsing "{text}": invalid syntax'
            ) from None
        if abs(value) > _INT64_MAX:
            raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": value out of range')
        return value

    def dry_run(self) -> bool:
        if "dryRun" not in self._given:
            return False
        if self._given["dryRun"] != "All":
            value = self._given["dryRun"]
            text = f'Unsupported value: ["{value}"]: supported values: "All"'
            cause = Cause("FieldValueNotSupported", text, "dryRun")
            raise errors.invalid("CreateOptions", "", [cause], "meta.k8s.io")
        return True

    def field_validation(self, verb: str) -> str:
        value = self._given.get("fieldValidation", "") or "Warn"
        if value not in ("Ignore", "Warn", "Strict"):
            text = f'Unsupported value: "{value}": supported values: "", "Ignore", "Strict", "Warn"'
            cause = Cause("FieldValueNotSupported", text, "fieldValidation")
            kind = _OPTIONS_KIND.get(verb, "CreateOptions")
            raise errors.invalid(kind, "", [cause], "meta.k8s.io")
        return value

    def include_object(self) -> str:
        return self._given.get("includeObject") or "Metadata"

    def list_options(self) -> ListOptions:
        if not self._given:
            return _NO_OPTIONS
        get = self._given.get
        limit = self.number("limit") or 0
        timeout_s = self.number("timeoutSeconds") or 0
        options = ListOptions(
            label_selector=get("labelSelector", ""),
            field_selector=get("fieldSelector", ""),
            limit=limit,
            continue_token=get("continue", ""),
            resource_version=get("resourceVersion", ""),
            resource_version_match=get("resourceVersionMatch", ""),
            send_initial_events=self.flag("sendInitialEvents"),
            allow_bookmarks=self.flag("allowWatchBookmarks"),
            timeout_s=timeout_s,
        )
        _check_match(options, "sendInitialEvents" in self._given)
        return options

    def delete_options(self) -> DeleteOptions:
        policy = self._given.get("propagationPolicy", "")
        if policy not in ("", "Foreground", "Background", "Orphan"):
            text = (
                f'Unsupported value: "{policy}": supported values: "Foreground", "Background", '
                '"Orphan", "nil"'
            )
            cause = Cause("FieldValueNotSupported", text, "propagationPolicy")
            raise errors.invalid("DeleteOptions", "", [cause], "meta.k8s.io")
        if not policy and "orphanDependents" in self._given:
            policy = "Orphan" if self.flag("orphanDependents") else "Background"
        return DeleteOptions(
            grace_period_s=self.number("gracePeriodSeconds"), propagation_policy=policy
        )


_NO_OPTIONS: Final = ListOptions()


def _check_match(options: ListOptions, initial_events_given: bool) -> None:
    """apimachinery `meta/internalversion/validation`: what resourceVersionMatch goes with."""
    match = options.resource_version_match
    problem = ""
    if initial_events_given:
        if match != "NotOlderThan":
            problem = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
    elif match and options.continue_token:
        problem = "resourceVersionMatch is forbidden when continue is provided"
    elif match and not options.resource_version:
        problem = "resourceVersionMatch is forbidden unless resourceVersion is provided"
    elif match == "Exact" and options.resource_version == "0":
        problem = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
    if problem:
        cause = Cause("FieldValueForbidden", f"Forbidden: {problem}", "resourceVersionMatch")
        raise errors.invalid("ListOptions", "", [cause], "meta.k8s.io")
