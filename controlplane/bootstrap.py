"""What exists after a first start: namespaces, roles, flow control, and the `kubernetes` Service.

Missing objects are created, what an administrator changed is left alone; RBAC objects that are
Kubernetes' own get their rules back, unless they are annotated not to (rbac autoupdate).
"""

import ipaddress
import logging
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from controlplane.auth.bootstrap import bootstrap_objects, pinnace_objects
from controlplane.auth.user import MASTERS_GROUP, User
from controlplane.registry import bodies
from controlplane.registry.api import Api
from controlplane.registry.options import Call
from kubeapi import errors
from kubeapi.resources import BY_KIND, ResourceInfo, split_api_version

log = logging.getLogger("bootstrap")

LOOPBACK_USER: Final = User("system:apiserver", (MASTERS_GROUP,))
AUTOUPDATE: Final = "rbac.authorization.kubernetes.io/autoupdate"


async def ensure_objects(api: Api) -> None:
    """Create what is missing of what every cluster has."""
    for obj in [*bootstrap_objects(), *pinnace_objects()]:
        await ensure(api, obj)


async def ensure_api_service(api: Api, service_ip: str, port: int) -> None:
    """The `kubernetes` Service in `default`."""
    await ensure(api, _service(service_ip, port))


async def ensure_api_endpoints(api: Api, addresses: Sequence[str], port: int) -> None:
    """The servers of the API as the endpoints of that Service. None may be on loopback, where
    every pod has its own."""
    reachable = [text for text in addresses if not ipaddress.ip_address(text).is_loopback]
    if reachable:
        for obj in (_endpoints(reachable, port), _slice(reachable, port)):
            await ensure(api, obj, replace=True)


async def ensure(api: Api, obj: dict[str, Any], *, replace: bool = False) -> None:
    """Create `obj`; where it is there, bring its rules (or with `replace` all of it) back."""
    group, version = split_api_version(obj["apiVersion"])
    info = BY_KIND[group, version, obj["kind"]]
    meta = obj["metadata"]
    namespace = meta.get("namespace", "")
    cache = api.registry.cache_of(info)
    stored = cache.get(f"{namespace}/{meta['name']}" if namespace else meta["name"])
    if stored is None:
        call = Call(LOOPBACK_USER, "create", info, namespace)
        call.field_validation = "Ignore"
        try:
            await api.create(call, bodies.decode_object(call, msgspec.json.encode(obj)))
        except errors.StatusError as error:
            if error.reason != "AlreadyExists":
                raise
    elif replace or _lost_rules(info, obj, stored.as_dict()):
        await _restore(api, info, namespace, obj)


def _lost_rules(info: ResourceInfo, wanted: dict[str, Any], have: dict[str, Any]) -> bool:
    if info.group != "rbac.authorization.k8s.io" or "aggregationRule" in wanted:
        return False
    if (have["metadata"].get("annotations") or {}).get(AUTOUPDATE) == "false":
        return False
    return any(wanted.get(part) != have.get(part) for part in ("rules", "subjects"))


async def _restore(api: Api, info: ResourceInfo, namespace: str, obj: dict[str, Any]) -> None:
    call = Call(LOOPBACK_USER, "update", info, namespace, obj["metadata"]["name"])
    call.field_validation = "Ignore"
    data = msgspec.json.encode(obj)
    await api.update(call, lambda: bodies.decode_object(call, data))


_LABELS: Final = {"component": "apiserver", "provider": "kubernetes"}


def _service(service_ip: str, port: int) -> dict[str, Any]:
    return {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": _LABELS},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": service_ip,
            "sessionAffinity": "None",
            "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": port}],
        },
    }


def _endpoints(addresses: Sequence[str], port: int) -> dict[str, Any]:
    return {
        "kind": "Endpoints",
        "apiVersion": "v1",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
        },
        "subsets": [
            {
                "addresses": [{"ip": address} for address in addresses],
                "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
            }
        ],
    }


def _slice(addresses: Sequence[str], port: int) -> dict[str, Any]:
    return {
        "kind": "EndpointSlice",
        "apiVersion": "discovery.k8s.io/v1",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "addressType": "IPv4",
        "endpoints": [
            {"addresses": [address], "conditions": {"ready": True}} for address in addresses
        ],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    }
