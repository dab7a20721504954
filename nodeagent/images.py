"""Images for containers: pulled when the policy says so, with back-off and credentials.

Decides by `imagePullPolicy` and by what the runtime has; failures carry the waiting reason and
the message that the container's status shows. Source: the kubelet's image manager.
"""

import asyncio
import base64
import binascii
import json
from dataclasses import dataclass, field
from typing import Any

from base.clock import Clock
from kubeapi.types import core_v1
from nodeagent.cri import CriClient, RuntimeServiceError
from nodeagent.events import EventRecorder
from nodeagent.pods.backoff import FailureBackoff
from nodeagent.pods.spec import Container
from pinnace_wire import cri_pb2 as pb

PARALLEL_PULLS = 3
# How long a container shows ErrImagePull before it shows that it waits.
SAY_BACKOFF_AFTER_S = 1.0
DOCKER_HUB = "docker.io"
DOCKER_CONFIG_JSON = "kubernetes.io/dockerconfigjson"
DOCKER_CONFIG = "kubernetes.io/dockercfg"


class ImageError(Exception):
    """The image cannot be used; `reason` is the container's waiting reason."""

    def __init__(self, reason: str, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class Credentials:
    """A user and password for one registry (and path below it)."""

    registry: str
    username: str = ""
    password: str = ""
    identity_token: str = ""


@dataclass
class ImageManager:
    """`ensure` gives the reference of an image that is present, or raises ImageError."""

    cri: CriClient
    events: EventRecorder
    clock: Clock
    backoff: FailureBackoff = field(default_factory=FailureBackoff)
    _errors: dict[str, str] = field(default_factory=dict)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PARALLEL_PULLS))

    async def ensure(
        self, pod: core_v1.Pod, container: Container, credentials: list[Credentials]
    ) -> pb.Image:
        """The image of `container` as the runtime has it, pulled where needed."""
        name = container.name or ""
        image = normalized(container.image or "")
        present = await self._present(pod, container, image)
        policy = pull_policy(container)
        if present is not None and policy != "Always":
            text = f'Container image "{container.image}" already present on machine'
            text += " and can be accessed by the pod"
            self.events.pod(pod, "Normal", "Pulled", text, name)
            return present
        if present is None and policy == "Never":
            text = f'Container image "{container.image}" is not present with pull policy of Never'
            self.events.pod(pod, "Warning", "ErrImageNeverPull", text, name)
            raise ImageError("ErrImageNeverPull", text)
        await self._pull(pod, container, image, credentials)
        pulled = await self.cri.image_status(image)
        if pulled is None:
            raise ImageError("ErrImagePull", f'image "{container.image}" is gone after its pull')
        return pulled

    async def _present(self, pod: core_v1.Pod, container: Container, image: str) -> pb.Image | None:
        try:
            return await self.cri.image_status(image)
        except RuntimeServiceError as error:
            text = f'Failed to inspect image "{container.image}": {error}'
            self.events.pod(pod, "Warning", "InspectFailed", text, container.name or "")
            raise ImageError("ImageInspectError", text) from None

    async def _pull(
        self, pod: core_v1.Pod, container: Container, image: str, credentials: list[Credentials]
    ) -> None:
        name = container.name or ""
        key = f"{pod.metadata.uid if pod.metadata else ''}/{image}"
        wait_s = self.backoff.wait_s(key, self.clock.monotonic_s())
        if wait_s > 0:
            text = f'Back-off pulling image "{container.image}"'
            self.events.pod(pod, "Normal", "BackOff", text, name)
            raise ImageError("ImagePullBackOff", f"{text}: {self._errors.get(key, '')}", wait_s)
        self.events.pod(pod, "Normal", "Pulling", f'Pulling image "{container.image}"', name)
        asked_s = self.clock.monotonic_s()
        try:
            async with self._slots:
                began_s = self.clock.monotonic_s()
                await self._pull_with(image, credentials)
        except RuntimeServiceError as error:
            raise self._failed(pod, container, key, error) from None
        self.backoff.forget(key)
        self._errors.pop(key, None)
        ended_s = self.clock.monotonic_s()
        size = await self._size_bytes(image)
        text = (
            f'Successfully pulled image "{container.image}" in {_took(ended_s - began_s)} '
            f"({_took(ended_s - asked_s)} including waiting). Image size: {size} bytes."
        )
        self.events.pod(pod, "Normal", "Pulled", text, name)

    def _failed(
        self, pod: core_v1.Pod, container: Container, key: str, error: RuntimeServiceError
    ) -> ImageError:
        now_s = self.clock.monotonic_s()
        self.backoff.failed(key, now_s, now_s)
        self._errors[key] = f"ErrImagePull: {error}"
        text = f'Failed to pull image "{container.image}": {error}'
        self.events.pod(pod, "Warning", "Failed", text, container.name or "")
        return ImageError("ErrImagePull", str(error), SAY_BACKOFF_AFTER_S)

    async def _pull_with(self, image: str, credentials: list[Credentials]) -> None:
        """Try each credential that fits the registry; the last failure is the one reported."""
        fitting = [c for c in credentials if fits(c.registry, image)]
        for index, credential in enumerate(fitting):
            try:
                await self.cri.pull_image(image, _auth(credential))
            except RuntimeServiceError:
                if index == len(fitting) - 1:
                    raise
            else:
                return
        if not fitting:
            await self.cri.pull_image(image, None)

    async def _size_bytes(self, image: str) -> int:
        try:
            status = await self.cri.image_status(image)
        except RuntimeServiceError:
            return 0
        return status.size if status is not None else 0


def pull_policy(container: Container) -> str:
    """The policy, defaulted as the API server does: Always for the tag `latest`."""
    if container.imagePullPolicy:
        return container.imagePullPolicy
    return "Always" if normalized(container.image or "").endswith(":latest") else "IfNotPresent"


def normalized(image: str) -> str:
    """`image` with `:latest` where it has neither tag nor digest."""
    last = image.rpartition("/")[2]
    return image if ":" in last or "@" in image else f"{image}:latest"


def registry_of(image: str) -> str:
    """The registry and path that the image's name stands for: `docker.io/library/busybox`."""
    path = image.split("@")[0]
    head, _, last = path.rpartition("/")
    path = f"{head}/{last.split(':')[0]}".lstrip("/")
    first = path.split("/")[0]
    if "/" not in path:
        return f"{DOCKER_HUB}/library/{path}"
    is_host = "." in first or ":" in first or first == "localhost"
    return path if is_host else f"{DOCKER_HUB}/{path}"


def fits(registry: str, image: str) -> bool:
    """Whether a credential for `registry` (host, maybe with a path) is for `image`."""
    wanted = registry.removeprefix("https://").removeprefix("http://").rstrip("/")
    wanted = wanted.removesuffix("/v1").removesuffix("/v2")
    if wanted in ("index.docker.io", "registry-1.docker.io"):
        wanted = DOCKER_HUB
    path = registry_of(image)
    return path == wanted or path.startswith(f"{wanted}/")


def credentials_of(secret: core_v1.Secret) -> list[Credentials]:
    """The logins in a pull secret; ValueError says what is wrong with it."""
    data = secret.data or {}
    try:
        if secret.type == DOCKER_CONFIG_JSON:
            text = base64.b64decode(data.get(".dockerconfigjson", ""))
            logins = json.loads(text or b"{}").get("auths") or {}
        elif secret.type == DOCKER_CONFIG:
            logins = json.loads(base64.b64decode(data.get(".dockercfg", "")) or b"{}")
        else:
            raise ValueError(f'type "{secret.type}" is none of a pull secret')
        return [_login(registry, login) for registry, login in logins.items()]
    except (binascii.Error, UnicodeDecodeError, json.JSONDecodeError, AttributeError) as error:
        raise ValueError(f"cannot be read: {error}") from None


def _login(registry: str, login: dict[str, Any]) -> Credentials:
    username, password = login.get("username", ""), login.get("password", "")
    if login.get("auth"):
        decoded = base64.b64decode(login["auth"]).decode()
        username, _, password = decoded.rstrip("\0").partition(":")
    return Credentials(registry, username, password, login.get("identitytoken", ""))


def _auth(credential: Credentials) -> pb.AuthConfig:
    return pb.AuthConfig(
        username=credential.username,
        password=credential.password,
        identity_token=credential.identity_token,
    )


def _took(duration_s: float) -> str:
    return f"{duration_s * 1000:.0f}ms" if duration_s < 1 else f"{duration_s:.3f}s"
