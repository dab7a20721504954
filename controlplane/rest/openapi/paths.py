"""The operations of each resource: which paths there are, what they take and what they answer.

Described once in a neutral form; `documents` writes it in either dialect. Clients look here for
the kind a path is about (x-kubernetes-group-version-kind), for whether dryRun and fieldValidation
are understood, and for the schemas of bodies.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from controlplane.rest.openapi.schemas import PATCH, schema_name
from kubeapi.resources import SUBRESOURCE_KINDS, ResourceInfo, kind_class
from kubeapi.types import meta_v1

GVK = tuple[str, str, str]

STATUS: Final = schema_name(meta_v1.Status)
DELETE_OPTIONS: Final = schema_name(meta_v1.DeleteOptions)


@dataclass(frozen=True)
class Parameter:
    """A query or path parameter; `type` is boolean, integer or string."""

    name: str
    type: str
    text: str
    where: str = "query"


def _query(name: str, type_: str, text: str) -> Parameter:
    return Parameter(name, type_, text)


PRETTY: Final = _query("pretty", "string", "If 'true', then the output is pretty printed.")
DRY_RUN: Final = _query(
    "dryRun", "string", "When present, indicates that modifications should not be persisted."
)
FIELD_MANAGER: Final = _query(
    "fieldManager",
    "string",
    "fieldManager is a name associated with the actor or entity that is making these changes.",
)
FIELD_VALIDATION: Final = _query(
    "fieldValidation",
    "string",
    "fieldValidation instructs the server on how to handle objects in the request containing "
    "unknown or duplicate fields: Ignore, Warn or Strict.",
)
FORCE: Final = _query(
    "force",
    "boolean",
    'Force is going to "force" Apply requests. It means user will re-acquire conflicting fields '
    "owned by other people.",
)
SELECTION: Final = (
    _query("continue", "string", "The continue option retrieves more results of a list."),
    _query("fieldSelector", "string", "A selector to restrict the list by their fields."),
    _query("labelSelector", "string", "A selector to restrict the list by their labels."),
    _query("limit", "integer", "limit is a maximum number of responses to return."),
    _query("resourceVersion", "string", "Constrains what resource versions may be served."),
    _query("resourceVersionMatch", "string", "How resourceVersion is applied to lists."),
    _query("sendInitialEvents", "boolean", "Begin a watch with what is there already."),
    _query("timeoutSeconds", "integer", "Timeout for the list or watch call."),
)
LISTING: Final = (
    _query("allowWatchBookmarks", "boolean", 'Requests watch events with type "BOOKMARK".'),
    *SELECTION,
    _query("watch", "boolean", "Watch for changes to the described resources."),
)
WRITING: Final = (DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION)
DELETING: Final = (
    DRY_RUN,
    _query("gracePeriodSeconds", "integer", "The duration before the object is deleted."),
    _query("orphanDependents", "boolean", "Deprecated: use propagationPolicy."),
    _query("propagationPolicy", "string", "Whether and how garbage collection is performed."),
)
NAMESPACE: Final = Parameter(
    "namespace", "string", "object name and auth scope, such as for teams and projects", "path"
)


@dataclass(frozen=True)
class Operation:
    """One method of one path. `body` and `answer` are schema names, "" where there is none."""

    method: str
    action: str
    id: str
    text: str
    gvk: GVK
    answer: str
    body: str = ""
    parameters: tuple[Parameter, ...] = ()
    streams: bool = False


@dataclass(frozen=True)
class Path:
    """A path with its parameters and operations."""

    path: str
    parameters: tuple[Parameter, ...]
    operations: tuple[Operation, ...]
    tag: str


def paths_of(info: ResourceInfo) -> Iterator[Path]:
    """Every path of a resource."""
    base = f"/apis/{info.api_version}" if info.group else f"/api/{info.version}"
    scope = f"{base}/namespaces/{{namespace}}" if info.namespaced else base
    shared = (NAMESPACE, PRETTY) if info.namespaced else (PRETTY,)
    tag = _tag(info)
    if info.namespaced and "list" in info.verbs:
        listed = (_list(info, "ForAllNamespaces"),)
        yield Path(f"{base}/{info.resource}", (PRETTY,), listed, tag)
    collection = tuple(_collection(info))
    if collection:
        yield Path(f"{scope}/{info.resource}", shared, collection, tag)
    name = Parameter("name", "string", f"name of the {info.kind}", "path")
    named = (name, *shared)
    item = tuple(_item(info))
    if item:
        yield Path(f"{scope}/{info.resource}/{{name}}", named, item, tag)
    for subresource, verbs in sorted(info.subresources.items()):
        path = f"{scope}/{info.resource}/{{name}}/{subresource}"
        yield Path(path, named, tuple(_subresource(info, subresource, verbs)), tag)


def subresource_gvk(info: ResourceInfo, subresource: str) -> GVK:
    own = (info.group, info.version, info.kind)
    return SUBRESOURCE_KINDS.get(f"{info.resource}/{subresource}", own)


def _collection(info: ResourceInfo) -> Iterator[Operation]:
    kind = schema_name(info.type)
    gvk = (info.group, info.version, info.kind)
    if "list" in info.verbs:
        yield _list(info, "")
    if "create" in info.verbs:
        yield Operation(
            "post",
            "post",
            _id("create", info),
            _text("create", info),
            gvk,
            kind,
            kind,
            WRITING,
        )
    if "deletecollection" in info.verbs:
        yield Operation(
            "delete",
            "deletecollection",
            _id("delete", info, collection=True),
            f"delete collection of {info.kind}",
            gvk,
            STATUS,
            DELETE_OPTIONS,
            (*DELETING, *SELECTION),
        )


def _list(info: ResourceInfo, suffix: str) -> Operation:
    return Operation(
        "get",
        "list",
        _id("list", info, suffix),
        f"list or watch objects of kind {info.kind}",
        (info.group, info.version, info.kind),
        schema_name(info.list_type),
        parameters=LISTING,
        streams=True,
    )


# method, action, verb of the operation's id, verb of the resource that must be served
_ITEM_METHODS: Final = (
    ("get", "get", "read", "get"),
    ("put", "put", "replace", "update"),
    ("delete", "delete", "delete", "delete"),
    ("patch", "patch", "patch", "patch"),
)


def _item(info: ResourceInfo) -> Iterator[Operation]:
    gvk = (info.group, info.version, info.kind)
    for method, action, id_verb, verb in _ITEM_METHODS:
        if verb in info.verbs:
            yield _operation(info, method, action, id_verb, gvk, schema_name(info.type), "")


def _subresource(
    info: ResourceInfo, subresource: str, verbs: tuple[str, ...]
) -> Iterator[Operation]:
    gvk = subresource_gvk(info, subresource)
    if gvk[2].endswith("Options"):
        yield from _connect(info, subresource, verbs, gvk)
        return
    kind = schema_name(kind_class(*gvk))
    suffix = subresource.capitalize()
    for method, action, id_verb, verb in _ITEM_METHODS:
        if verb in verbs:
            yield _operation(info, method, action, id_verb, gvk, kind, suffix)
    if "create" in verbs:
        id_, text = _id("create", info, suffix), f"create {subresource} of a {info.kind}"
        yield Operation("post", "post", id_, text, gvk, kind, kind, WRITING)


_CONNECT_METHODS: Final = {
    "get": "get",
    "create": "post",
    "update": "put",
    "delete": "delete",
    "patch": "patch",
}


def _connect(
    info: ResourceInfo, subresource: str, verbs: tuple[str, ...], gvk: GVK
) -> Iterator[Operation]:
    """Streams and proxies take no object and answer whatever is behind them."""
    for verb in verbs:
        method = _CONNECT_METHODS[verb]
        id_ = _id(f"connect{method.capitalize()}", info, subresource.capitalize())
        text = f"connect {method.upper()} requests to {subresource} of {info.kind}"
        yield Operation(method, "connect", id_, text, gvk, "")


def _operation(
    info: ResourceInfo, method: str, action: str, verb: str, gvk: GVK, kind: str, suffix: str
) -> Operation:
    part = f"{suffix.lower()} of " if suffix else ""
    text = f"{verb} {part}the specified {info.kind}"
    body, answer, parameters = {
        "get": ("", kind, ()),
        "put": (kind, kind, WRITING),
        "patch": (PATCH, kind, (*WRITING, FORCE)),
        "delete": (DELETE_OPTIONS, STATUS, DELETING),
    }[method]
    return Operation(method, action, _id(verb, info, suffix), text, gvk, answer, body, parameters)


def _id(verb: str, info: ResourceInfo, suffix: str = "", *, collection: bool = False) -> str:
    """`listCoreV1NamespacedPod`, `readAppsV1NamespacedDeploymentStatus`."""
    where = "Namespaced" if info.namespaced and suffix != "ForAllNamespaces" else ""
    many = "Collection" if collection else ""
    return f"{verb}{_group_id(info)}{many}{where}{info.kind}{suffix}"


def _text(verb: str, info: ResourceInfo) -> str:
    return f"{verb} {'an' if info.kind[0] in 'AEIOU' else 'a'} {info.kind}"


def _group_id(info: ResourceInfo) -> str:
    words = info.group.removesuffix(".k8s.io").split(".") if info.group else ["core"]
    return "".join(word.capitalize() for word in words) + info.version.capitalize()


def _tag(info: ResourceInfo) -> str:
    words = info.group.removesuffix(".k8s.io").split(".") if info.group else ["core"]
    return words[0] + "".join(word.capitalize() for word in words[1:]) + f"_{info.version}"
