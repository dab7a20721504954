"""The verbs of the API over every kind: authorize, then read the cache or write the store.

All doors come through here. What is specific to a subresource is in `subresources`, to a kind in
`strategy`, to admission in `controlplane.admission`.
"""

import base64
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from controlplane.admission import chain
from controlplane.auth.forbidden import forbidden_error
from controlplane.registry import kinds, lifecycle, reviews, strategy, subresources, writes
from controlplane.registry.backing import Backing, key_of
from controlplane.registry.cache import ResourceCache
from controlplane.registry.options import Call, DeleteOptions, ListOptions
from controlplane.registry.registry import Overtaken
from controlplane.registry.stored import Stored
from controlplane.registry.watchers import Match, Watcher
from kubeapi import errors, selectors

log = logging.getLogger("api")


@dataclass(frozen=True)
class Page:
    """Part of a list, all of it as of `revision`."""

    items: Sequence[Stored]
    revision: int
    continue_token: str = ""
    remaining: int = 0


class Api:
    """Kubernetes' API in process."""

    def __init__(self, backing: Backing) -> None:
        self.backing = backing
        self.registry = backing.registry

    def authorize(self, call: Call) -> None:
        """403 unless the caller may do this."""
        # A right in a namespace is none to what lies outside it, whatever the door passed on.
        inside = call.info.namespaced or call.info.resource == "namespaces"
        namespace = call.namespace if inside else ""
        decision = self.backing.authorizer.authorize(
            call.user,
            call.verb,
            call.info.group,
            call.info.resource,
            call.subresource,
            call.name,
            namespace,
        )
        if not decision.allowed:
            raise forbidden_error(
                call.user, call.verb, call.info.group, call.info.resource, call.subresource,
                call.name, namespace,
            )  # fmt: skip

    # Reading

    async def get(self, call: Call) -> Stored:
        self.authorize(call)
        await self.registry.refresh()
        if call.subresource not in ("", "status"):
            return await subresources.get(self.backing, call)
        return self.backing.cached(call)[1]

    async def list(self, call: Call, options: ListOptions) -> Page:
        self.authorize(narrowed(call, options.field_selector))
        cache = self.registry.cache_of(call.info)
        match = self.matcher(call, options)
        if not options.resource_version:
            await self.registry.refresh()
        else:
            await self.registry.wait_for(_revision_of(options.resource_version))
        if options.continue_token:
            return await self._continued(cache, call, options, match)
        if _is_exact(options):
            revision = int(options.resource_version)
            past = await self._as_of(cache, namespace_of(call), "", revision)
            return _page([s for s in past if match is None or match(s)], options.limit, revision)
        matching = [s for s in cache.values(namespace_of(call)) if match is None or match(s)]
        return _page(matching, options.limit, self.registry.revision)

    async def _continued(
        self, cache: ResourceCache, call: Call, options: ListOptions, match: Match | None
    ) -> Page:
        revision, after = decode_continue(options.continue_token)
        if not 0 < revision <= self.registry.revision:
            raise errors.bad_request(f"invalid continue token: it is of revision {revision}")
        rest = await self._as_of(cache, namespace_of(call), after, revision)
        return _page([s for s in rest if match is None or match(s)], options.limit, revision)

    async def _as_of(
        self, cache: ResourceCache, namespace: str, after: str, revision: int
    ) -> Iterable[Stored]:
        """Objects with keys above `after` as they were at `revision`."""
        if cache.revision <= revision:
            return cache.values(namespace, after)
        prefix = f"{namespace}/" if namespace else ""
        return await self.registry.read_at(cache, prefix, after, revision)

    def watch(self, call: Call, options: ListOptions) -> Watcher:
        """The changes that the call's selectors let through, from the revision asked for."""
        self.authorize(narrowed(call, options.field_selector))
        cache = self.registry.cache_of(call.info)
        match = self.matcher(call, options)
        if call.name:
            match = _and(match, _named(call.name))
        since = self._check_known_revision(options.resource_version)
        if options.send_initial_events is False and not since:
            since = self.registry.revision
        if options.send_initial_events or not since:
            return cache.watch(namespace_of(call), match, None)
        return cache.watch(namespace_of(call), match, since)

    def matcher(self, call: Call, options: ListOptions) -> Match | None:
        """The test that both selectors make together; None where there is none."""
        info = call.info.storage
        match: Match | None = None
        if options.label_selector:
            match = _labels_match(selectors.parse_labels(options.label_selector))
        if options.field_selector:
            getters = kinds.selectable_fields(info)
            for term in selectors.parse_fields(options.field_selector):
                getter = getters.get(term.field)
                if getter is None:
                    raise errors.bad_request(kinds.unknown_field_message(term.field, info))
                match = _and(match, _field_matches(getter, term))
        return match

    def _check_known_revision(self, text: str) -> int:
        revision = _revision_of(text)
        if revision > self.registry.revision:
            raise self.registry.too_new(revision)
        return revision

    async def _settle(self, call: Call, resource_version: str = "", *, exists: bool) -> None:
        """Another control plane may have written what the caller knows of and this one has not
        heard yet: look, where the caller's view differs."""
        known = self.registry.cache_of(call.info).get(key_of(call)) is not None
        later = resource_version.isdecimal() and int(resource_version) > self.registry.revision
        if later or known is not exists:
            await self.registry.refresh()

    # Writing

    async def create(self, call: Call, obj: Any) -> Stored | None:
        """Create `obj`, which is the caller's own and will be changed. None: a subresource did
        what was asked and has no object to show."""
        self.authorize(call)
        if call.subresource:
            await subresources.create(self.backing, call, obj)
            return None
        if reviews.is_review(call):
            return reviews.answer(self.backing, call, obj)
        if call.info.resource == "bindings":
            call.name = lifecycle.metadata_of(obj).name or ""
            await subresources.create(self.backing, subresources.pod_binding(call), obj)
            return None
        return await self._create(call, obj)

    async def _create(self, call: Call, obj: Any) -> Stored:
        generated = not lifecycle.metadata_of(obj).name
        lifecycle.begin_object(obj, call.info, call.namespace, self.backing.now(), self.backing.rng)
        call.name = obj.metadata.name or ""
        strategy.prepare_create(obj, call.info, call.user, self.backing.now())
        await chain.admit(self.backing, call, obj, None)
        causes = lifecycle.validate_metadata(obj, call.info) + strategy.validate(obj)
        if causes:
            raise errors.invalid(call.info.kind, call.name, causes, call.info.group)
        await self._settle(call, exists=False)
        store = writes.create_named if generated else writes.create
        return await store(self.backing, call, obj)

    async def update(self, call: Call, make: Callable[[], Any]) -> Stored:
        """Replace with the object that `make` decodes, anew for each try; where it states a
        resourceVersion, only that version of it."""
        self.authorize(call)
        if call.subresource not in ("", "status"):
            return await subresources.update(self.backing, call, make)
        obj = make()
        writes.check_name(call, obj)
        await self._settle(call, obj.metadata.resourceVersion or "", exists=True)
        cache = self.registry.cache_of(call.info)
        missing = not call.subresource and cache.get(key_of(call)) is None
        if missing and kinds.group_resource(call.info.storage) in kinds.CREATES_ON_UPDATE:
            msgspec.structs.force_setattr(obj.metadata, "resourceVersion", None)
            call.verb = "create"  # so that the door answers 201
            self.authorize(call)
            return await self._create(call, obj)
        pinned = (obj.metadata.resourceVersion or "0") != "0"
        return await self._replace(call, lambda _: make(), pinned)

    async def patch(self, call: Call, change: Callable[[Stored], Any]) -> Stored:
        """Replace with what `change` makes of the stored state, tried anew when overtaken."""
        self.authorize(call)
        if call.subresource not in ("", "status"):
            return await subresources.patch(self.backing, call, change)
        await self._settle(call, exists=True)
        return await self._replace(call, change, pinned=False)

    async def _replace(self, call: Call, change: Callable[[Stored], Any], pinned: bool) -> Stored:
        for _ in range(writes.OVERTAKEN_TRIES):
            cache, stored = self.backing.cached(call)
            obj = change(stored)
            try:
                return await writes.replace(self.backing, call, cache, stored, obj)
            except Overtaken:
                if pinned:
                    break
        raise lifecycle.modified(call.info, call.name)

    async def delete(self, call: Call, options: DeleteOptions) -> tuple[Stored, bool]:
        """The object's last state and whether it is gone; else it waits for its finalizers."""
        self.authorize(call)
        call.dry_run = call.dry_run or options.dry_run
        await self._settle(call, options.resource_version, exists=True)
        return await writes.remove(self.backing, call, options)

    async def delete_collection(
        self, call: Call, options: ListOptions, delete: DeleteOptions
    ) -> Sequence[Stored]:
        """Delete every object that the selectors match; one that is gone already is no error."""
        self.authorize(narrowed(call, options.field_selector))
        match = self.matcher(call, options)
        await self.registry.refresh()
        cache = self.registry.cache_of(call.info)
        deleted = []
        for stored in list(cache.values(namespace_of(call))):
            if match is not None and not match(stored):
                continue
            meta = stored.obj.metadata
            one = Call(call.user, "delete", call.info, meta.namespace or "", meta.name)
            one.dry_run = call.dry_run or delete.dry_run
            try:
                deleted.append((await writes.remove(self.backing, one, delete))[0])
            except errors.StatusError as error:
                if error.code != 404:
                    raise
        return deleted


def namespace_of(call: Call) -> str:
    """The namespace that the call's objects lie in: a Namespace lies in none."""
    return call.namespace if call.info.namespaced else ""


def _revision_of(text: str) -> int:
    """A resourceVersion as a number; 400 where it is none."""
    try:
        revision = int(text or 0)
        if revision < 0:
            raise ValueError
    except ValueError:
        raise errors.bad_request(
            f'invalid resource version: resourceVersion: Invalid value: "{text}": '
            f'strconv.ParseUint: parsing "{text}": invalid syntax'
        ) from None
    return revision


def _is_exact(options: ListOptions) -> bool:
    """Whether a list is of the very revision named: also pages of one without a match (the
    API concepts, "Semantics for get and list")."""
    if options.resource_version in ("", "0"):
        return False
    match = options.resource_version_match
    return match == "Exact" or (not match and options.limit > 0)


def _and(first: Match | None, second: Match) -> Match:
    if first is None:
        return second
    return lambda stored: first(stored) and second(stored)


def narrowed(call: Call, field_selector: str) -> Call:
    """A list or watch of one object by its name is authorized as of that object."""
    if call.name or "metadata.name" not in field_selector:
        return call
    try:
        terms = selectors.parse_fields(field_selector)
    except errors.StatusError:
        return call  # a selector that is none narrows nothing; it is refused where it is used
    for term in terms:
        if term.field == "metadata.name" and term.equal:
            namespace = term.value if call.info.resource == "namespaces" else call.namespace
            return replace(call, name=term.value, namespace=namespace)
    return call


def _named(name: str) -> Match:
    return lambda stored: stored.key.rpartition("/")[2] == name


def _labels_match(labels: selectors.LabelMatcher) -> Match:
    return lambda stored: labels.matches(stored.obj.metadata.labels)


def _field_matches(getter: Callable[[Stored], str], term: selectors.FieldTerm) -> Match:
    return lambda stored: term.matches(getter(stored))


def _page(matching: list[Stored], limit: int, revision: int) -> Page:
    if limit <= 0 or len(matching) <= limit:
        return Page(matching, revision)
    items = matching[:limit]
    token = encode_continue(revision, items[-1].key)
    return Page(items, revision, token, len(matching) - limit)


def encode_continue(revision: int, after: str) -> str:
    """apiserver `storage/continue.go`: where the next page starts, and of which revision."""
    token = {"v": "meta.k8s.io/v1", "rv": revision, "start": f"{after}\0"}
    return base64.urlsafe_b64encode(msgspec.json.encode(token)).rstrip(b"=").decode()


def decode_continue(token: str) -> tuple[int, str]:
    """(revision, the last key of the page before)."""
    try:
        padded = token + "=" * (-len(token) % 4)
        decoded = msgspec.json.decode(base64.urlsafe_b64decode(padded), type=dict[str, Any])
        revision, start = int(decoded["rv"]), str(decoded["start"])
        if decoded["v"] != "meta.k8s.io/v1" or ".." in start:
            raise ValueError("not a token of this server")
    except (ValueError, KeyError, TypeError, msgspec.DecodeError) as error:
        raise errors.bad_request(
            f"invalid continue token: continue key is not valid: {error}"
        ) from None
    return revision, start.rstrip("\0")
