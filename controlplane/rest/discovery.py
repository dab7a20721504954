"""What the door says about itself: groups, versions and resources, made from `kubeapi.resources`.

Clients ask either document by document (`/api`, `/apis`, `/apis/<group>` and what is below) or
for everything at once ("aggregated discovery", KEP-3352). Both forms name the same resources in
the same order; the first version of a group is the one its clients prefer.
"""

import base64
import hashlib
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from kubeapi.resources import RESOURCES, SUBRESOURCE_KINDS, ResourceInfo

JSON: Final = "application/json"
AGGREGATED: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

# Kubernetes 1.36 stores these kinds in an older version than it serves, and clients see that in
# the (opaque) hash only.
_OLDER_STORAGE: Final = {
    "CustomResourceDefinition": "v1beta1",
    "MutatingAdmissionPolicy": "v1beta1",
    "MutatingAdmissionPolicyBinding": "v1beta1",
}

_OTHER_PATHS: Final = (
    "/healthz",
    "/livez",
    "/metrics",
    "/openapi/v2",
    "/openapi/v3",
    "/openapi/v3/",
    "/readyz",
    "/version",
)


@dataclass(frozen=True)
class Document:
    """A body ready to be sent; `etag` is quoted as the header has it, "" where there is none."""

    body: bytes
    content_type: str = JSON
    etag: str = ""


class Discovery:
    """The discovery documents of a set of resources, each made once."""

    def __init__(self, resources: Iterable[ResourceInfo] = RESOURCES) -> None:
        self._by_version: dict[str, dict[str, list[ResourceInfo]]] = {}
        for info in resources:
            versions = self._by_version.setdefault(info.group, {})
            versions.setdefault(info.version, []).append(info)
        self._aggregated: dict[bool, Document] = {}
        self._documents: dict[str, Document] = {}

    @property
    def groups(self) -> Sequence[str]:
        """The named groups, in order."""
        return [group for group in self._by_version if group]

    def group_versions(self) -> Iterator[tuple[str, str]]:
        """Every (group, version), the core group's "" among the groups."""
        for group, versions in self._by_version.items():
            for version in versions:
                yield group, version

    def api_versions(self, server_address: str) -> dict[str, Any]:
        """`/api`; `server_address` is the host and port that clients may use."""
        return {
            "kind": "APIVersions",
            "versions": list(self._by_version.get("", ())),
            "serverAddressByClientCIDRs": [
                {"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}
            ],
        }

    def group_list(self) -> dict[str, Any]:
        """`/apis`."""
        groups = [self._group(name) for name in self.groups]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}

    def group(self, name: str) -> dict[str, Any] | None:
        """`/apis/<group>`; None when there is no such group."""
        if not name or name not in self._by_version:
            return None
        return {"kind": "APIGroup", "apiVersion": "v1"} | self._group(name)

    def resource_list(self, group: str, version: str) -> dict[str, Any] | None:
        """`/api/v1` (group "") or `/apis/<group>/<version>`; None when it is not served."""
        infos = self._by_version.get(group, {}).get(version)
        if infos is None:
            return None
        head: dict[str, Any] = {"kind": "APIResourceList"}
        if group:
            head["apiVersion"] = "v1"  # the core group's own list has never said so
        resources = [row for info in infos for row in _resource_rows(info)]
        return head | {"groupVersion": infos[0].api_version, "resources": resources}

    def document(self, path: str) -> Document | None:
        """What `/apis` and the paths of groups and versions answer; None for any other path."""
        path = path.rstrip("/")
        if path not in self._documents:
            found = self._find(path)
            if found is None:
                return None
            self._documents[path] = Document(msgspec.json.encode(found))
        return self._documents[path]

    def aggregated(self, *, core: bool) -> Document:
        """Everything at once, of `/api` (`core`) or of `/apis`."""
        if core not in self._aggregated:
            self._aggregated[core] = self._make_aggregated(core)
        return self._aggregated[core]

    def root_paths(self, extra: Iterable[str] = ()) -> dict[str, list[str]]:
        """`/`: what there is to see; `extra` are paths the door serves beside those known here."""
        paths = {"/api", "/apis", "/apis/", *_OTHER_PATHS, *extra}
        for group, versions in self._by_version.items():
            base = f"/apis/{group}" if group else "/api"
            paths.add(base)
            paths.update(f"{base}/{version}" for version in versions)
        return {"paths": sorted(paths)}

    def _find(self, path: str) -> dict[str, Any] | None:
        match path.strip("/").split("/"):
            case ["apis"]:
                return self.group_list()
            case ["apis", group]:
                return self.group(group)
            case ["api", version]:
                return self.resource_list("", version)
            case ["apis", group, version] if group:
                return self.resource_list(group, version)
            case _:
                return None

    def _group(self, name: str) -> dict[str, Any]:
        versions = [
            {"groupVersion": f"{name}/{version}", "version": version}
            for version in self._by_version[name]
        ]
        return {"name": name, "versions": versions, "preferredVersion": versions[0]}

    def _make_aggregated(self, core: bool) -> Document:
        items = [
            {
                "metadata": {"name": group} if group else {},
                "versions": [
                    {
                        "version": version,
                        "resources": [_aggregated_resource(info) for info in infos],
                        "freshness": "Current",
                    }
                    for version, infos in versions.items()
                ],
            }
            for group, versions in self._by_version.items()
            if bool(group) is not core
        ]
        body = msgspec.json.encode(
            {
                "kind": "APIGroupDiscoveryList",
                "apiVersion": "apidiscovery.k8s.io/v2",
                "metadata": {},
                "items": items,
            }
        )
        return Document(body, AGGREGATED, etag_of(body))


def etag_of(body: bytes) -> str:
    """A strong entity tag in Kubernetes' form: the quoted SHA-512 in capitals."""
    return f'"{hashlib.sha512(body).hexdigest().upper()}"'


def storage_version_hash(group: str, version: str, kind: str) -> str:
    """Which version a kind is stored in, as an opaque word (apiserver pkg/endpoints/discovery)."""
    digest = hashlib.sha256(f"{group}/{version}/{kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()


def accepts_aggregated(accept: str) -> bool | None:
    """Whether an Accept header asks for the aggregated form; None when neither form will do.

    What the client names first of equal weight wins. v2beta1 of the aggregated form, which
    Kubernetes 1.36 no longer serves either, is passed over: such clients name plain JSON next.
    """
    for media_type, parameters in _by_preference(accept or "*/*"):
        if parameters.get("as") == "APIGroupDiscoveryList":
            if (parameters.get("g"), parameters.get("v")) == ("apidiscovery.k8s.io", "v2"):
                return True
        elif "as" not in parameters and media_type in ("*/*", "application/*", JSON):
            return False
    return None


def version_info(git_version: str, build_date: str) -> dict[str, str]:
    """`/version`. `git_version` is such as "v1.36.2+pinnace.0.1.0"."""
    major, minor = git_version.removeprefix("v").split(".")[:2]
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return {
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": str(int(minor) - 1),
        "gitVersion": git_version,
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": build_date,
        "goVersion": f"python{platform.python_version()}",
        "compiler": platform.python_implementation().lower(),
        "platform": f"{platform.system().lower()}/{machine}",
    }


def _by_preference(accept: str) -> list[tuple[str, Mapping[str, str]]]:
    """Media ranges of an Accept header, the most wanted first (RFC 9110, 12.5.1)."""
    ranges: list[tuple[str, Mapping[str, str]]] = []
    for text in accept.split(","):
        media_type, *pairs = (part.strip() for part in text.split(";"))
        parameters = dict(pair.partition("=")[::2] for pair in pairs)
        ranges.append((media_type, parameters))
    return sorted(ranges, key=lambda found: -_weight(found[1].get("q", "1")))


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _resource_rows(info: ResourceInfo) -> Iterator[dict[str, Any]]:
    """A resource and its subresources in the classic form, absent fields left out."""
    row: dict[str, Any] = {
        "name": info.resource,
        "singularName": info.singular,
        "namespaced": info.namespaced,
        "kind": info.kind,
        "verbs": info.verbs,
        "shortNames": info.short_names,
        "categories": info.categories,
        "storageVersionHash": _storage_hash(info),
    }
    yield {key: value for key, value in row.items() if value not in ((), "")}
    for subresource, verbs in sorted(info.subresources.items()):
        group, version, kind = _subresource_kind(info, subresource)
        sub: dict[str, Any] = {
            "name": f"{info.resource}/{subresource}",
            "singularName": "",
            "namespaced": info.namespaced,
        }
        if group != info.group:
            sub |= {"group": group, "version": version}
        yield sub | {"kind": kind, "verbs": verbs}


def _aggregated_resource(info: ResourceInfo) -> dict[str, Any]:
    row: dict[str, Any] = {
        "resource": info.resource,
        "responseKind": {"group": "", "version": "", "kind": info.kind},
        "scope": "Namespaced" if info.namespaced else "Cluster",
        "singularResource": info.singular,
        "verbs": info.verbs,
        "shortNames": info.short_names,
        "categories": info.categories,
        "subresources": [
            _aggregated_subresource(info, name, verbs)
            for name, verbs in sorted(info.subresources.items())
        ],
    }
    return {key: value for key, value in row.items() if value}


def _aggregated_subresource(
    info: ResourceInfo, subresource: str, verbs: Sequence[str]
) -> dict[str, Any]:
    group, version, kind = _subresource_kind(info, subresource)
    if group == info.group:
        group = version = ""  # empty means the group and version it is listed under
    return {
        "subresource": subresource,
        "responseKind": {"group": group, "version": version, "kind": kind},
        "verbs": verbs,
    }


def _subresource_kind(info: ResourceInfo, subresource: str) -> tuple[str, str, str]:
    own = (info.group, info.version, info.kind)
    return SUBRESOURCE_KINDS.get(f"{info.resource}/{subresource}", own)


def _storage_hash(info: ResourceInfo) -> str:
    if "list" not in info.verbs or "create" not in info.verbs:
        return ""
    group, version = info.stored_as
    return storage_version_hash(group, _OLDER_STORAGE.get(info.kind, version), info.kind)
