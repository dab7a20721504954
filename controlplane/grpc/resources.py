"""The Resources service: Kubernetes' verbs over the registry's operations."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Protocol, cast

from controlplane.auth.user import User
from controlplane.grpc.identity import Context, caller
from controlplane.grpc.refusals import refusing
from kubeapi.errors import StatusError, bad_request
from kubeapi.resources import ResourceInfo, find
from pinnace_wire import resources_pb2 as pb
from pinnace_wire.resources_pb2_grpc import ResourcesServicer

if TYPE_CHECKING:
    from controlplane.registry.operations import Operations


class _Addressed(Protocol):
    @property
    def resource(self) -> pb.Resource: ...

    @property
    def namespace(self) -> str: ...


def _who_and_what(
    context: Context, request: _Addressed, *, everywhere: bool = False
) -> tuple[User, ResourceInfo]:
    """The caller and the resource. Only with `everywhere` may the namespace be left out."""
    asked = request.resource
    info = find(asked.group, asked.version, asked.resource)
    if info is None:
        message = "the server could not find the requested resource"
        raise StatusError(404, "NotFound", message)
    if request.namespace and not info.namespaced:
        # Over HTTP there is no such path. Let through, a role in that namespace would authorize
        # what only a cluster role may.
        raise bad_request(f"{info.resource} are not in a namespace: it must be empty")
    if info.namespaced and not request.namespace and not everywhere:
        raise bad_request(f"{info.resource} are in a namespace: it must not be empty")
    return caller(context), info


class ResourcesService(ResourcesServicer):
    """Each method is one operation; refusals leave as `controlplane.grpc.refusals` says."""

    def __init__(self, operations: "Operations") -> None:
        self._operations = operations

    async def Get(self, request: pb.GetRequest, context: Context) -> pb.Object:
        async with refusing(context):
            user, info = _who_and_what(context, request)
            return pb.Object(
                json=await self._operations.get(
                    user, info, request.namespace, request.name, request.subresource
                )
            )

    async def List(self, request: pb.ListRequest, context: Context) -> pb.ListResponse:
        async with refusing(context):
            user, info = _who_and_what(context, request, everywhere=True)
            items, resource_version = await self._operations.list(
                user,
                info,
                request.namespace,
                label_selector=request.label_selector,
                field_selector=request.field_selector,
            )
            return pb.ListResponse(items=items, resource_version=resource_version)

    async def Watch(self, request: pb.WatchRequest, context: Context) -> None:
        async with refusing(context):
            user, info = _who_and_what(context, request, everywhere=True)
            events = self._operations.watch(
                user,
                info,
                request.namespace,
                resource_version=request.resource_version,
                label_selector=request.label_selector,
                field_selector=request.field_selector,
            )
            async with aclosing(cast("AsyncGenerator[tuple[str, bytes], None]", events)):
                async for event_type, json in events:
                    # Waits while the watcher is slow; the registry ends one that is far behind.
                    await context.write(pb.WatchEvent(type=event_type, json=json))

    async def Create(self, request: pb.CreateRequest, context: Context) -> pb.Object:
        async with refusing(context):
            user, info = _who_and_what(context, request)
            return pb.Object(
                json=await self._operations.create(
                    user,
                    info,
                    request.namespace,
                    request.json,
                    subresource=request.subresource,
                    name=request.name,
                )
            )

    async def Update(self, request: pb.UpdateRequest, context: Context) -> pb.Object:
        async with refusing(context):
            user, info = _who_and_what(context, request)
            return pb.Object(
                json=await self._operations.update(
                    user,
                    info,
                    request.namespace,
                    request.name,
                    request.json,
                    subresource=request.subresource,
                )
            )

    async def Patch(self, request: pb.PatchRequest, context: Context) -> pb.Object:
        async with refusing(context):
            user, info = _who_and_what(context, request)
            return pb.Object(
                json=await self._operations.patch(
                    user,
                    info,
                    request.namespace,
                    request.name,
                    request.json,
                    request.content_type,
                    subresource=request.subresource,
                )
            )

    async def Delete(self, request: pb.DeleteRequest, context: Context) -> pb.Object:
        async with refusing(context):
            user, info = _who_and_what(context, request)
            return pb.Object(
                json=await self._operations.delete(
                    user, info, request.namespace, request.name, request.options_json
                )
            )
