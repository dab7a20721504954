"""Resource URLs: from a request to a call of the API and back."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from aiohttp import web

from controlplane.auth.user import User
from controlplane.registry import bodies, kinds, subresources
from controlplane.registry.api import Api, Page, narrowed
from controlplane.registry.delete_options import delete_options
from controlplane.registry.operations import SUCCESS
from controlplane.registry.options import Call, DeleteOptions
from controlplane.registry.stored import Stored
from controlplane.registry.watchers import encode_event
from controlplane.rest import forms
from controlplane.rest.answers import encode, quoted_warnings, respond
from controlplane.rest.negotiation import Form, form_of
from controlplane.rest.podstreams import NodeTunnels, serve_exec, serve_log
from controlplane.rest.queries import Query
from controlplane.rest.router import Target, verb_of
from controlplane.rest.watch_stream import WatchStream
from kubeapi import errors, yaml
from kubeapi.types import meta_v1

BODY_LIMIT_BYTES: Final = 3 * 1024 * 1024
_YAML_TYPE: Final = "application/yaml"
LARGE_BODY_BYTES: Final = 128 * 1024
_PROTOBUF_TYPE: Final = "application/vnd.kubernetes.protobuf"
_JSON_TYPES: Final = frozenset({"", "application/json"})


class ResourceHandler:
    """Serves every resource; one method per API verb."""

    def __init__(self, api: Api, tunnels: NodeTunnels) -> None:
        self._api = api
        self._tunnels = tunnels
        self._verbs: dict[str, Callable[[web.BaseRequest, Call, Query], Awaitable[Any]]] = {
            "get": self._get,
            "list": self._list,
            "watch": self._watch,
            "create": self._create,
            "update": self._update,
            "patch": self._patch,
            "delete": self._delete,
            "deletecollection": self._delete_collection,
        }

    async def handle(
        self, request: web.BaseRequest, user: User, target: Target, query: Query, watch: bool
    ) -> web.StreamResponse:
        info = target.info
        if info is None:
            raise page_not_found()
        verb = verb_of(request.method, target, watch)
        call = Call(user, verb, info, target.namespace, target.name, target.subresource)
        # First of all: who may not ask learns nothing else, not even what is there.
        self._api.authorize(narrowed(call, query.field_selector()))
        if info.namespaced and not target.namespace and target.name:
            raise page_not_found()
        if not info.namespaced and target.namespace and info.resource != "namespaces":
            raise page_not_found()  # a right in a namespace is none to what lies outside it
        if request.method == "HEAD":
            raise method_not_allowed()
        call.dry_run = query.dry_run(verb)
        if target.subresource in _STREAMED and info.resource == "pods":
            return await self._stream(request, call)
        self._refuse_unserved(request, call, target)
        call.field_validation = query.field_validation(verb)
        response: web.StreamResponse = await self._verbs[verb](request, call, query)
        return response

    def _refuse_unserved(self, request: web.BaseRequest, call: Call, target: Target) -> None:
        """404 for a subresource that is not there, 405 for a verb that it does not have."""
        info = call.info
        verbs = info.subresources.get(call.subresource) if call.subresource else info.verbs
        if verbs is None or target.rest:
            raise page_not_found()
        if call.verb not in verbs:
            raise method_not_allowed()
        if not subresources.is_served(call):
            raise subresources.unsupported(call)
        collection = not call.name and (call.namespace or not info.namespaced)
        if call.verb in ("update", "patch") and not call.name:
            raise method_not_allowed()
        if call.verb == "create" and not call.subresource and not collection:
            raise method_not_allowed()
        if call.verb == "deletecollection" and not collection:
            raise method_not_allowed()  # no request empties all namespaces

    async def _get(self, request: web.BaseRequest, call: Call, query: Query) -> web.Response:
        form = form_of(request.headers.get("Accept", ""))
        stored = await self._api.get(call)
        return await self._answer(request, call, query, stored, form)

    async def _list(self, request: web.BaseRequest, call: Call, query: Query) -> web.Response:
        form = form_of(request.headers.get("Accept", ""))
        page = await self._api.list(call, query.list_options())
        body = forms.many(call.info, page, form, query.include_object(), self._now_s())
        return await respond(request, body, form=form)

    async def _watch(
        self, request: web.BaseRequest, call: Call, query: Query
    ) -> web.StreamResponse:
        form = form_of(request.headers.get("Accept", ""))
        options = query.list_options(watch=True)
        if not options.resource_version:
            await self._api.registry.refresh()
        initial = self._api.registry.revision if options.send_initial_events else None
        try:
            watcher = self._api.watch(call, options)
        except errors.StatusError as error:
            if error.code != 410:
                raise
            # Clients look for it among the events, where it is when it comes later.
            event = encode_event("ERROR", msgspec.json.encode(error.status()))
            return await respond(request, event, form=form)
        stream = WatchStream(
            call.info, form, query.include_object(), self._api.backing.clock, self._api.backing.rng,
            timeout_s=options.timeout_s, bookmarks=options.allow_bookmarks,
        )  # fmt: skip
        return await stream.serve(
            request, watcher, lambda: self._api.registry.revision, initial_end=initial
        )

    async def _create(self, request: web.BaseRequest, call: Call, query: Query) -> web.Response:
        form = form_of(request.headers.get("Accept", ""))
        make = await self._read_object(request, call)
        stored = await self._api.create(call, make())
        if stored is None:
            return await respond(request, SUCCESS, status=201)
        return await self._answer(request, call, query, stored, form, status=201)

    async def _update(self, request: web.BaseRequest, call: Call, query: Query) -> web.Response:
        form = form_of(request.headers.get("Accept", ""))
        make = await self._read_object(request, call)
        stored = await self._api.update(call, make)
        status = 201 if call.verb == "create" else 200
        return await self._answer(request, call, query, stored, form, status=status)

    async def _patch(self, request: web.BaseRequest, call: Call, query: Query) -> web.Response:
        form = form_of(request.headers.get("Accept", ""))
        data = await read_raw(request)
        if len(data) > LARGE_BODY_BYTES:
            await asyncio.to_thread(bodies.patcher, call, data, request.content_type)
        change = bodies.patcher(call, data, request.content_type)
        stored = await self._api.patch(call, change)
        return await self._answer(request, call, query, stored, form)

    async def _delete(self, request: web.BaseRequest, call: Call, query: Query) -> web.Response:
        form = form_of(request.headers.get("Accept", ""))
        options = await self._delete_options(request, query)
        stored, gone = await self._api.delete(call, options)
        if gone and not answers_with_object(call):
            return await respond(request, encode(_deleted(call, stored)), form=form)
        return await self._answer(request, call, query, stored, form)

    async def _delete_collection(
        self, request: web.BaseRequest, call: Call, query: Query
    ) -> web.Response:
        form = form_of(request.headers.get("Accept", ""))
        options = await self._delete_options(request, query)
        deleted = await self._api.delete_collection(call, query.list_options(), options)
        page = Page(deleted, self._api.registry.revision)
        body = forms.many(call.info, page, form, query.include_object(), self._now_s())
        return await respond(request, body, form=form)

    async def _read_object(self, request: web.BaseRequest, call: Call) -> Callable[[], Any]:
        """What decodes the body, anew each time. A large body that is wrong is told so from a
        thread: only the way that finds the fault is slow."""
        data, key_problems = await read_body(request, bodies.body_class(call))

        def make() -> Any:
            return bodies.decode_object(call, data, key_problems)

        if len(data) > LARGE_BODY_BYTES:
            await asyncio.to_thread(make)
        return make

    async def _delete_options(self, request: web.BaseRequest, query: Query) -> DeleteOptions:
        data = b""
        if request.can_read_body:
            data, _ = await read_body(request, meta_v1.DeleteOptions)
        return delete_options(data) if data else query.delete_options()

    async def _stream(self, request: web.BaseRequest, call: Call) -> web.StreamResponse:
        """Logs and exec: carried by the node's tunnel."""
        # The verb by which Kubernetes authorizes is that of the method, for a WebSocket as well.
        pod = self._api.backing.cached(
            Call(call.user, "get", call.info, call.namespace, call.name)
        )[1]
        serve = _STREAMED[call.subresource]
        return await serve(request, pod.obj, self._tunnels)

    async def _answer(
        self,
        request: web.BaseRequest,
        call: Call,
        query: Query,
        stored: Stored,
        form: Form,
        status: int = 200,
    ) -> web.Response:
        body = forms.one(call.info, stored, form, query.include_object(), self._now_s())
        headers = quoted_warnings(call.warnings)
        return await respond(request, body, status=status, form=form, headers=headers)

    def _now_s(self) -> float:
        return self._api.backing.clock.now_s()


_STREAMED: Final[dict[str, Callable[..., Awaitable[web.StreamResponse]]]] = {
    "log": serve_log,
    "exec": serve_exec,
}


def answers_with_object(call: Call) -> bool:
    return kinds.group_resource(call.info.storage) in kinds.RETURNS_DELETED


def _deleted(call: Call, stored: Stored) -> dict[str, Any]:
    details = {"name": call.name, "group": call.info.group, "kind": call.info.resource}
    details["uid"] = stored.obj.metadata.uid
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {key: value for key, value in details.items() if value},
    }


def page_not_found() -> errors.StatusError:
    return errors.StatusError(404, "NotFound", "the server could not find the requested resource")


def method_not_allowed() -> errors.StatusError:
    return errors.StatusError(
        405, "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
    )  # fmt: skip


async def read_raw(request: web.BaseRequest) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise errors.StatusError(
            413, "RequestEntityTooLarge",
            f"Request entity too large: limit is {BODY_LIMIT_BYTES}",
        ) from None  # fmt: skip


async def read_body(request: web.BaseRequest, kind: type[Any]) -> tuple[bytes, list[str]]:
    """The body as JSON, and the keys that a YAML body sets twice. YAML and protobuf are turned
    into JSON, anything else is 415."""
    media = request.content_type if "Content-Type" in request.headers else ""
    if media in _JSON_TYPES:
        return await read_raw(request), []
    if media == _YAML_TYPE:
        return await asyncio.to_thread(yaml.to_json, await read_raw(request), kind)
    if media == _PROTOBUF_TYPE:
        from kubeapi import protobuf  # its tables are large, and most servers never need them

        data = await read_raw(request)
        if len(data) > LARGE_BODY_BYTES:
            return await asyncio.to_thread(protobuf.to_json, data), []
        return protobuf.to_json(data), []
    raise errors.StatusError(
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json, application/yaml, application/vnd.kubernetes.protobuf",
    )
