"""What a pod's containers are made with, gathered: objects it refers to, volumes, credentials."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from kubeapi.client import Client
from kubeapi.informer import Informer
from kubeapi.types import core_v1
from nodeagent.events import EventRecorder
from nodeagent.images import Credentials, credentials_of
from nodeagent.objects import NotRead, ObjectCache, config_map_names, secret_names
from nodeagent.pods.env import References
from nodeagent.pods.executor import Material
from nodeagent.pods.settings import Settings
from nodeagent.pods.spec import spec_of, uid_of
from nodeagent.tokens import TokenManager
from nodeagent.volumes.manager import VolumeManager
from nodeagent.volumes.payload import Sources, VolumeError

SERVICES_TIMEOUT_S = 10.0


@dataclass
class MaterialSource:
    """Reads what pods refer to; `gather` is called at every look at a pod, and is cheap."""

    client: Client
    volumes: VolumeManager
    tokens: TokenManager
    events: EventRecorder
    settings: Settings
    services: Informer[core_v1.Service]
    changed: Callable[[str], None]
    rng: random.Random
    config_maps: ObjectCache[core_v1.ConfigMap] = field(init=False)
    secrets: ObjectCache[core_v1.Secret] = field(init=False)

    def __post_init__(self) -> None:
        self.config_maps = ObjectCache(self.client, core_v1.ConfigMap, self.changed, self.rng)
        self.secrets = ObjectCache(self.client, core_v1.Secret, self.changed, self.rng)

    def hold(self, pod: core_v1.Pod) -> None:
        """Begin to watch what the pod refers to."""
        self.config_maps.hold(uid_of(pod), config_map_names(pod))
        self.secrets.hold(uid_of(pod), secret_names(pod))

    def release(self, uid: str) -> None:
        self.config_maps.hold(uid, ())
        self.secrets.hold(uid, ())
        self.tokens.forget(uid)

    async def gather(self, pod: core_v1.Pod, pod_ips: tuple[str, ...]) -> Material:
        """Everything the pod's containers need, volumes set up. Raises VolumeError."""
        self.hold(pod)
        try:
            config_maps = await self.config_maps.read_all(config_map_names(pod))
            secrets = await self.secrets.read_all(secret_names(pod))
        except NotRead as error:
            raise VolumeError(str(error)) from None
        await self._services_read()
        node = self.settings.node
        tokens = await self.tokens.tokens(pod)
        paths = self.volumes.ensure(pod, Sources(config_maps, secrets, tokens, node))
        references = References(config_maps, secrets, self.services.list(), node, pod_ips)
        return Material(references, self._credentials(pod, secrets), paths)

    async def _services_read(self) -> None:
        """Services are variables of every container: none is made before they are known."""
        try:
            async with asyncio.timeout(SERVICES_TIMEOUT_S):
                await self.services.synced.wait()
        except TimeoutError:
            text = "services have not yet been read at least once, cannot construct envvars"
            raise VolumeError(text) from None

    async def close(self) -> None:
        await self.config_maps.close()
        await self.secrets.close()

    def _credentials(
        self, pod: core_v1.Pod, secrets: dict[str, core_v1.Secret]
    ) -> list[Credentials]:
        found: list[Credentials] = []
        missing = []
        for ref in spec_of(pod).imagePullSecrets or ():
            secret = secrets.get(ref.name or "")
            if secret is None:
                missing.append(ref.name or "")
                continue
            try:
                found += credentials_of(secret)
            except ValueError as error:
                text = f"Image pull secret {ref.name} {error}"
                self.events.pod(pod, "Warning", "FailedToRetrieveImagePullSecret", text)
        if missing:
            text = (
                f"Unable to retrieve some image pull secrets ({', '.join(missing)}); "
                "attempting to pull the image may not succeed."
            )
            self.events.pod(pod, "Warning", "FailedToRetrieveImagePullSecret", text)
        return found
