"""The Container Runtime Interface of containerd, over its unix socket.

A thin client: one method per call that the agent makes, each with a deadline, each failure a
`RuntimeServiceError` that says which call failed and why. It keeps no state and retries nothing;
who calls decides that. The messages are those of `proto/cri.proto`.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import grpc
import grpc.aio

from pinnace_wire import cri_pb2 as pb

T = TypeVar("T")

CALL_TIMEOUT_S = 30.0
# Sandboxes wait for the network (the CNI plugin waits up to 10 s for its server).
SANDBOX_TIMEOUT_S = 120.0
PULL_TIMEOUT_S = 1800.0
# What StopContainer may take beyond the grace period that it waits itself.
STOP_MARGIN_S = 60.0
MAX_MESSAGE_BYTES = 16 << 20

_RUNTIME = "/runtime.v1.RuntimeService/"
_IMAGE = "/runtime.v1.ImageService/"


class RuntimeServiceError(Exception):
    """A call that containerd refused or did not answer; `code` is the gRPC status."""

    def __init__(self, call: str, code: grpc.StatusCode, details: str) -> None:
        super().__init__(f"rpc error: code = {code_name(code)} desc = {details}")
        self.call = call
        self.code = code
        self.details = details

    @property
    def not_found(self) -> bool:
        return self.code is grpc.StatusCode.NOT_FOUND

    @property
    def unavailable(self) -> bool:
        """The runtime cannot be reached: nothing is known about what was asked."""
        return self.code is grpc.StatusCode.UNAVAILABLE


def code_name(code: grpc.StatusCode) -> str:
    """`DeadlineExceeded`, as Go and therefore Kubernetes' messages name a status code."""
    return "".join(word.capitalize() for word in code.name.split("_"))


class CriClient:
    """RuntimeService and ImageService at `endpoint` (unix:///path or /path)."""

    def __init__(self, endpoint: str) -> None:
        target = endpoint if "://" in endpoint else f"unix://{endpoint}"
        self.endpoint = target
        self.channel = grpc.aio.insecure_channel(
            target,
            options=[
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
                # The socket comes back soon after containerd does: look again every second.
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.max_reconnect_backoff_ms", 1000),
            ],
        )
        self._calls: dict[str, Callable[..., Any]] = {}

    async def close(self) -> None:
        await self.channel.close()

    async def version(self) -> pb.VersionResponse:
        return await self._runtime("Version", pb.VersionRequest(), pb.VersionResponse)

    async def status(self) -> pb.RuntimeStatus:
        answer = await self._runtime("Status", pb.StatusRequest(), pb.StatusResponse)
        return answer.status

    async def verbose_status(self) -> dict[str, str]:
        """`info` of Status: containerd's configuration among it, as JSON."""
        request = pb.StatusRequest(verbose=True)
        return dict((await self._runtime("Status", request, pb.StatusResponse)).info)

    async def list_sandboxes(self, labels: dict[str, str] | None = None) -> list[pb.PodSandbox]:
        chosen = pb.PodSandboxFilter(label_selector=labels or {})
        request = pb.ListPodSandboxRequest(filter=chosen)
        return list(
            (await self._runtime("ListPodSandbox", request, pb.ListPodSandboxResponse)).items
        )

    async def list_containers(self, labels: dict[str, str] | None = None) -> list[pb.Container]:
        request = pb.ListContainersRequest(filter=pb.ContainerFilter(label_selector=labels or {}))
        answer = await self._runtime("ListContainers", request, pb.ListContainersResponse)
        return list(answer.containers)

    async def sandbox_status(self, sandbox_id: str) -> pb.PodSandboxStatus:
        request = pb.PodSandboxStatusRequest(pod_sandbox_id=sandbox_id)
        answer = await self._runtime("PodSandboxStatus", request, pb.PodSandboxStatusResponse)
        return answer.status

    async def container_status(self, container_id: str) -> pb.ContainerStatus:
        request = pb.ContainerStatusRequest(container_id=container_id)
        answer = await self._runtime("ContainerStatus", request, pb.ContainerStatusResponse)
        return answer.status

    async def run_sandbox(self, config: pb.PodSandboxConfig, handler: str = "") -> str:
        request = pb.RunPodSandboxRequest(config=config, runtime_handler=handler)
        answer = await self._runtime(
            "RunPodSandbox", request, pb.RunPodSandboxResponse, SANDBOX_TIMEOUT_S
        )
        return str(answer.pod_sandbox_id)

    async def stop_sandbox(self, sandbox_id: str) -> None:
        request = pb.StopPodSandboxRequest(pod_sandbox_id=sandbox_id)
        await self._runtime("StopPodSandbox", request, pb.StopPodSandboxResponse, SANDBOX_TIMEOUT_S)

    async def remove_sandbox(self, sandbox_id: str) -> None:
        request = pb.RemovePodSandboxRequest(pod_sandbox_id=sandbox_id)
        await self._runtime("RemovePodSandbox", request, pb.RemovePodSandboxResponse)

    async def create_container(
        self, sandbox_id: str, config: pb.ContainerConfig, sandbox: pb.PodSandboxConfig
    ) -> str:
        request = pb.CreateContainerRequest(
            pod_sandbox_id=sandbox_id, config=config, sandbox_config=sandbox
        )
        answer = await self._runtime(
            "CreateContainer", request, pb.CreateContainerResponse, SANDBOX_TIMEOUT_S
        )
        return str(answer.container_id)

    async def start_container(self, container_id: str) -> None:
        request = pb.StartContainerRequest(container_id=container_id)
        await self._runtime("StartContainer", request, pb.StartContainerResponse, SANDBOX_TIMEOUT_S)

    async def stop_container(self, container_id: str, grace_s: int) -> None:
        """SIGTERM (or the image's stop signal), `grace_s` later SIGKILL; returns when it ended."""
        request = pb.StopContainerRequest(container_id=container_id, timeout=grace_s)
        timeout_s = grace_s + STOP_MARGIN_S
        await self._runtime("StopContainer", request, pb.StopContainerResponse, timeout_s)

    async def update_resources(
        self, container_id: str, resources: pb.LinuxContainerResources
    ) -> None:
        request = pb.UpdateContainerResourcesRequest(container_id=container_id, linux=resources)
        await self._runtime(
            "UpdateContainerResources", request, pb.UpdateContainerResourcesResponse
        )

    async def remove_container(self, container_id: str) -> None:
        request = pb.RemoveContainerRequest(container_id=container_id)
        await self._runtime("RemoveContainer", request, pb.RemoveContainerResponse)

    async def reopen_log(self, container_id: str) -> None:
        request = pb.ReopenContainerLogRequest(container_id=container_id)
        await self._runtime("ReopenContainerLog", request, pb.ReopenContainerLogResponse)

    async def exec_sync(
        self, container_id: str, command: list[str], timeout_s: float
    ) -> pb.ExecSyncResponse:
        """Run `command` to its end; after `timeout_s` the runtime kills it."""
        request = pb.ExecSyncRequest(
            container_id=container_id, cmd=command, timeout=max(1, round(timeout_s))
        )
        return await self._runtime("ExecSync", request, pb.ExecSyncResponse, timeout_s + 5.0)

    async def exec_url(self, request: pb.ExecRequest) -> str:
        return str((await self._runtime("Exec", request, pb.ExecResponse)).url)

    async def image_status(self, image: str) -> pb.Image | None:
        """The image as the runtime has it; None where it has none of that name."""
        request = pb.ImageStatusRequest(image=pb.ImageSpec(image=image))
        answer = await self._image("ImageStatus", request, pb.ImageStatusResponse)
        return answer.image if answer.HasField("image") else None

    async def list_images(self) -> list[pb.Image]:
        answer = await self._image("ListImages", pb.ListImagesRequest(), pb.ListImagesResponse)
        return list(answer.images)

    async def pull_image(self, image: str, auth: pb.AuthConfig | None) -> str:
        request = pb.PullImageRequest(image=pb.ImageSpec(image=image), auth=auth)
        answer = await self._image("PullImage", request, pb.PullImageResponse, PULL_TIMEOUT_S)
        return str(answer.image_ref)

    async def _runtime(
        self, method: str, request: Any, answer: type[T], timeout_s: float = CALL_TIMEOUT_S
    ) -> T:
        return await self._call(_RUNTIME + method, request, answer, timeout_s)

    async def _image(
        self, method: str, request: Any, answer: type[T], timeout_s: float = CALL_TIMEOUT_S
    ) -> T:
        return await self._call(_IMAGE + method, request, answer, timeout_s)

    async def _call(self, path: str, request: Any, answer: type[T], timeout_s: float) -> T:
        call = self._calls.get(path)
        if call is None:
            call = self._calls[path] = self.channel.unary_unary(
                path,
                request_serializer=type(request).SerializeToString,
                response_deserializer=answer.FromString,  # type: ignore[attr-defined]
            )
        try:
            found: T = await call(request, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            name = path.rpartition("/")[2]
            raise RuntimeServiceError(name, error.code(), error.details() or "") from None
        return found
