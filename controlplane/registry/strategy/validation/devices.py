"""Dynamic resource allocation: claims and classes (pkg/apis/resource/validation).

Expressions (CEL) are not compiled here.
"""

from controlplane.registry.strategy.validation import values
from controlplane.registry.strategy.validation.faults import Faults
from controlplane.registry.strategy.validation.rules import Rules, Table
from kubeapi.types import resource_v1


def _claim(claim: resource_v1.DeviceClaim, faults: Faults, path: str) -> None:
    seen: set[str] = set()
    for index, request in enumerate(claim.requests or ()):
        name = request.name or ""
        if name and name in seen:
            faults.duplicate(f"{path}.requests[{index}]", name)
        seen.add(name)


def _request(request: resource_v1.DeviceRequest, faults: Faults, path: str) -> None:
    if (request.exactly is None) == (not request.firstAvailable):
        text = "exactly one of `exactly` or `firstAvailable` is required"
        if request.exactly is None:
            faults.required(path, text)
        else:
            faults.invalid(path, None, text)


def _count(value: int, faults: Faults, path: str, name: str) -> None:
    if value < 0:
        faults.invalid(f"{path}.{name}", value, "must be greater than zero")


_EXACT = Rules(
    required=("deviceClassName",),
    each={
        "deviceClassName": values.subdomain,
        "allocationMode": values.one_of("All", "ExactCount"),
        "count": _count,
    },
)

RULES: Table = {
    resource_v1.DeviceClaim: Rules(whole=_claim),
    resource_v1.DeviceClass: Rules(present=("spec",)),
    resource_v1.DeviceRequest: Rules(
        required=("name",), each={"name": values.label}, whole=_request
    ),
    resource_v1.DeviceSelector: Rules(required=("cel",)),
    resource_v1.DeviceSubRequest: _EXACT,
    resource_v1.ExactDeviceRequest: _EXACT,
    resource_v1.ResourceClaim: Rules(present=("spec",)),
    resource_v1.ResourceClaimTemplate: Rules(present=("spec",)),
}
