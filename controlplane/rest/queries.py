"""Query parameters, each checked where it is read (meta/v1 ListOptions, CreateOptions, ...)."""

from collections.abc import Mapping
from typing import Final

from controlplane.registry.delete_options import checked
from controlplane.registry.options import DeleteOptions, ListOptions
from kubeapi import errors
from kubeapi.errors import Cause
from kubeapi.types import meta_v1

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

    def dry_run(self, verb: str) -> bool:
        if "dryRun" not in self._given:
            return False
        if self._given["dryRun"] != "All":
            value = self._given["dryRun"]
            text = f'Unsupported value: ["{value}"]: supported values: "All"'
            cause = Cause("FieldValueNotSupported", text, "dryRun")
            kind = _OPTIONS_KIND.get(verb, "CreateOptions")
            raise errors.invalid(kind, "", [cause], "meta.k8s.io")
        return True

    def field_validation(self, verb: str) -> str:
        value = self._given.get("fieldValidation", "") or "Warn"
        if value not in ("Ignore", "Warn", "Strict"):
            text = f'Unsupported value: "{value}": supported values: "", "Ignore", "Strict", "Warn"'
            cause = Cause("FieldValueNotSupported", text, "fieldValidation")
            kind = _OPTIONS_KIND.get(verb, "CreateOptions")
            raise errors.invalid(kind, "", [cause], "meta.k8s.io")
        return value

    def field_selector(self) -> str:
        return self._given.get("fieldSelector", "")

    def include_object(self) -> str:
        return self._given.get("includeObject") or "Metadata"

    def list_options(self, *, watch: bool = False) -> ListOptions:
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
            send_initial_events=self._optional_flag("sendInitialEvents"),
            allow_bookmarks=self.flag("allowWatchBookmarks"),
            timeout_s=timeout_s,
        )
        check_match(options, watch=watch)
        return options

    def delete_options(self) -> DeleteOptions:
        return checked(
            meta_v1.DeleteOptions(
                gracePeriodSeconds=self.number("gracePeriodSeconds"),
                propagationPolicy=self._given.get("propagationPolicy", ""),
                orphanDependents=self._optional_flag("orphanDependents"),
            )
        )

    def _optional_flag(self, name: str) -> bool | None:
        return self.flag(name) if name in self._given else None


_NO_OPTIONS: Final = ListOptions()


def check_match(options: ListOptions, *, watch: bool) -> None:
    """apimachinery `meta/internalversion/validation`: what goes with resourceVersionMatch."""
    match = options.resource_version_match
    problem = ""
    if options.send_initial_events is not None and not watch:
        raise _wrong_option("sendInitialEvents", "sendInitialEvents is forbidden for list")
    if options.send_initial_events is not None:
        if match != "NotOlderThan":
            problem = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
    elif match and watch:
        problem = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
    elif match and options.continue_token:
        problem = "resourceVersionMatch is forbidden when continue is provided"
    elif match and not options.resource_version:
        problem = "resourceVersionMatch is forbidden unless resourceVersion is provided"
    elif match == "Exact" and options.resource_version == "0":
        problem = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
    if problem:
        raise _wrong_option("resourceVersionMatch", problem)
    if match not in ("", "Exact", "NotOlderThan"):
        text = f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""'
        cause = Cause("FieldValueNotSupported", text, "resourceVersionMatch")
        raise errors.invalid("ListOptions", "", [cause], "meta.k8s.io")


def _wrong_option(field: str, problem: str) -> errors.StatusError:
    cause = Cause("FieldValueForbidden", f"Forbidden: {problem}", field)
    return errors.invalid("ListOptions", "", [cause], "meta.k8s.io")
