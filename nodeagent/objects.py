"""ConfigMaps and Secrets that the pods here refer to, each watched by its own name.

A node may read only what its pods use, so there is one watch per object and none over all of
them; it ends with the last pod that refers to the object. Neighbours: `kubeapi.informer` does the
watching, `pods.worker` holds and reads.
"""

import asyncio
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from kubeapi.client import Client
from kubeapi.informer import Informer
from kubeapi.types import core_v1
from nodeagent.pods.spec import all_containers, metadata, spec_of

T = TypeVar("T")
Key = tuple[str, str]

FIRST_READ_TIMEOUT_S = 10.0


class NotRead(Exception):
    """The API has not answered yet whether the object is there."""


@dataclass
class _Watched(Generic[T]):
    informer: Informer[T]
    task: asyncio.Task[None]
    holders: set[str] = field(default_factory=set)


class ObjectCache(Generic[T]):
    """Objects of one kind by (namespace, name), kept current while some pod holds them."""

    def __init__(
        self,
        client: Client,
        kind: type[T],
        changed: Callable[[str], None],
        rng: random.Random,
    ) -> None:
        self._client = client
        self._kind = kind
        self._changed = changed
        self._rng = rng
        self._watched: dict[Key, _Watched[T]] = {}

    def hold(self, uid: str, keys: Iterable[Key]) -> None:
        """The pod `uid` refers to exactly these objects from now on."""
        wanted = set(keys)
        for key in wanted:
            watched = self._watched.get(key) or self._watch(key)
            watched.holders.add(uid)
        for key, watched in list(self._watched.items()):
            if key not in wanted and uid in watched.holders:
                watched.holders.discard(uid)
                if not watched.holders:
                    watched.task.cancel()
                    del self._watched[key]

    async def read(self, key: Key) -> T | None:
        """The object, None where there is none; NotRead where the API does not say in time."""
        watched = self._watched[key]
        try:
            async with asyncio.timeout(FIRST_READ_TIMEOUT_S):
                await watched.informer.synced.wait()
        except TimeoutError:
            kind = self._kind.__name__.lower()
            message = f"failed to sync {kind} cache: timed out waiting for the condition"
            raise NotRead(message) from None
        return watched.informer.get(f"{key[0]}/{key[1]}")

    async def read_all(self, keys: Iterable[Key]) -> dict[str, T]:
        """Those of `keys` (of one namespace) that are there, by name."""
        found = {}
        for key in keys:
            obj = await self.read(key)
            if obj is not None:
                found[key[1]] = obj
        return found

    async def close(self) -> None:
        tasks = [watched.task for watched in self._watched.values()]
        self._watched.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _watch(self, key: Key) -> _Watched[T]:
        namespace, name = key
        selector = f"metadata.name={name}"
        informer: Informer[T] = Informer(
            self._client, self._kind, namespace, field_selector=selector, rng=self._rng
        )
        informer.add_handler(lambda old, new: self._notify(key))
        name_of_task = f"watch {self._kind.__name__} {namespace}/{name}"
        task = asyncio.create_task(informer.run(), name=name_of_task)
        watched = self._watched[key] = _Watched(informer, task)
        return watched

    def _notify(self, key: Key) -> None:
        for uid in self._watched[key].holders if key in self._watched else ():
            self._changed(uid)


def config_map_names(pod: core_v1.Pod) -> set[Key]:
    """The ConfigMaps that the pod's env and volumes refer to."""
    return _keys(pod, _env_names(pod, "configMapRef", "configMapKeyRef") | _volume_names(pod)[0])


def secret_names(pod: core_v1.Pod) -> set[Key]:
    """The Secrets of env, volumes and image pulls."""
    pull = {ref.name for ref in spec_of(pod).imagePullSecrets or ()}
    return _keys(pod, _env_names(pod, "secretRef", "secretKeyRef") | _volume_names(pod)[1] | pull)


def _keys(pod: core_v1.Pod, names: Iterable[str | None]) -> set[Key]:
    return {(metadata(pod).namespace or "", name) for name in names if name}


def _env_names(pod: core_v1.Pod, source: str, key: str) -> set[str | None]:
    found: set[Any] = set()
    for container in all_containers(pod):
        found |= {getattr(e, source).name for e in container.envFrom or () if getattr(e, source)}
        refs = [e.valueFrom for e in container.env or () if e.valueFrom is not None]
        found |= {getattr(r, key).name for r in refs if getattr(r, key)}
    return found


def _volume_names(pod: core_v1.Pod) -> tuple[set[str | None], set[str | None]]:
    """Names of ConfigMaps and of Secrets."""
    config_maps: set[str | None] = set()
    secrets: set[str | None] = set()
    for volume in spec_of(pod).volumes or ():
        if volume.configMap is not None:
            config_maps.add(volume.configMap.name)
        if volume.secret is not None:
            secrets.add(volume.secret.secretName)
        for part in (volume.projected.sources if volume.projected else None) or ():
            if part.configMap is not None:
                config_maps.add(part.configMap.name)
            if part.secret is not None:
                secrets.add(part.secret.name)
    return config_maps, secrets
