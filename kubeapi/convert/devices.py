"""resource.k8s.io v1beta1, where requests and devices were unions, and v1.

Source: KEP-4381; `pkg/apis/resource/v1beta1/conversion.go`.
"""

from typing import Any

Map = dict[str, Any]

_IN_REQUEST = ("name", "firstAvailable")


def claim_to_v1(claim: Map) -> Map:
    return claim | {"spec": _spec(claim.get("spec"), _exact)} if "spec" in claim else claim


def claim_to_v1beta1(claim: Map) -> Map:
    return claim | {"spec": _spec(claim.get("spec"), _flat)} if "spec" in claim else claim


def template_to_v1(template: Map) -> Map:
    return _with_inner(template, claim_to_v1)


def template_to_v1beta1(template: Map) -> Map:
    return _with_inner(template, claim_to_v1beta1)


def _with_inner(template: Map, change: Any) -> Map:
    """A template's spec has the metadata and spec of a claim."""
    spec = template.get("spec")
    return template | {"spec": change(spec)} if isinstance(spec, dict) else template


def _spec(spec: Any, change: Any) -> Any:
    devices = (spec or {}).get("devices") or {}
    requests = devices.get("requests")
    if not requests:
        return spec
    return spec | {"devices": devices | {"requests": [change(request) for request in requests]}}


def _exact(request: Map) -> Map:
    """What v1beta1 has in the request itself is under `exactly` in v1."""
    kept = {key: value for key, value in request.items() if key in _IN_REQUEST}
    exactly = {key: value for key, value in request.items() if key not in _IN_REQUEST}
    return kept | {"exactly": exactly} if exactly else kept


def _flat(request: Map) -> Map:
    kept = {key: value for key, value in request.items() if key in _IN_REQUEST}
    return kept | (request.get("exactly") or {})


def slice_to_v1(slice_: Map) -> Map:
    return _with_devices(slice_, lambda d: {"name": d.get("name")} | (d.get("basic") or {}))


def slice_to_v1beta1(slice_: Map) -> Map:
    def change(device: Map) -> Map:
        basic = {key: value for key, value in device.items() if key != "name"}
        return {"name": device.get("name"), "basic": basic}

    return _with_devices(slice_, change)


def _with_devices(slice_: Map, change: Any) -> Map:
    spec = slice_.get("spec") or {}
    if not spec.get("devices"):
        return slice_
    return slice_ | {"spec": spec | {"devices": [change(device) for device in spec["devices"]]}}
