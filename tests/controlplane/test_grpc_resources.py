"""The Resources service and its client: real certificates, the real API behind them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import msgspec
import pytest

from base.clock import SystemClock
from controlplane.grpc import refusals
from controlplane.grpc.tunnel import NodeTunnels
from kubeapi.client import PatchType
from kubeapi.errors import Cause, StatusError, invalid
from kubeapi.grpc_client import GrpcClient, status_error
from kubeapi.types import (
    authentication_v1,
    coordination_v1,
    core_v1,
    meta_v1,
    policy_v1,
    rbac_v1,
)
from pinnace_wire import resources_pb2 as pb
from pinnace_wire.resources_pb2_grpc import ResourcesStub
from tests.controlplane.inprocess import running_api
from tests.controlplane.streams_rig import Certificates, background, grpc_door

pytestmark = pytest.mark.realtime


@contextlib.asynccontextmanager
async def door(folder: Path, operations: Any = None) -> AsyncIterator[dict[str, GrpcClient]]:
    """Clients by name: "admin" may do everything, "nobody" nothing."""
    certificates = Certificates.make(folder / "pki")
    certificates.issue("admin", "kubernetes-admin", ("system:masters",))
    certificates.issue("nobody", "nobody")
    async with contextlib.AsyncExitStack() as stack:
        if operations is None:
            api = await stack.enter_async_context(
                running_api(folder / "store", clock=SystemClock())
            )
            operations = api.operations
        port = await stack.enter_async_context(grpc_door(certificates, operations, NodeTunnels()))
        clients = {
            name: GrpcClient(certificates.channel(port, name), timeout_s=5.0)
            for name in ("admin", "nobody")
        }
        try:
            yield clients
        finally:
            for client in clients.values():
                await client.close()


def configmap(name: str, **data: str) -> core_v1.ConfigMap:
    return core_v1.ConfigMap(
        metadata=meta_v1.ObjectMeta(name=name, namespace="default", labels={"app": name}),
        data=data or None,
    )


async def test_every_verb(tmp_path: Path) -> None:
    async with door(tmp_path) as clients:
        client = clients["admin"]
        made = await client.create(configmap("a", k="1"))
        assert made.metadata.uid
        assert await client.get(core_v1.ConfigMap, "a", "default") == made
        updated = await client.update(msgspec.structs.replace(made, data={"k": "2"}))
        assert updated.data == {"k": "2"}
        patched = await client.patch(
            core_v1.ConfigMap,
            "a",
            {"data": {"k": None, "n": "3"}},
            namespace="default",
            patch_type=PatchType.MERGE,
        )
        assert patched.data == {"n": "3"}
        await client.create(configmap("b"))
        listed = await client.list(core_v1.ConfigMap, "default", label_selector="app=a")
        assert [one.metadata.name for one in listed.items] == ["a"]
        assert int(listed.resource_version) > int(patched.metadata.resourceVersion)
        await client.delete(core_v1.ConfigMap, "a", "default", uid=made.metadata.uid)
        with pytest.raises(StatusError) as gone:
            await client.get(core_v1.ConfigMap, "a", "default")
        assert (gone.value.code, gone.value.reason, gone.value.name) == (404, "NotFound", "a")


async def test_subresources_whose_body_is_another_kind(tmp_path: Path) -> None:
    async with door(tmp_path) as clients:
        client = clients["admin"]
        spec = core_v1.PodSpec(containers=[core_v1.Container(name="c", image="busybox:1")])
        meta = meta_v1.ObjectMeta(name="p", namespace="default")
        await client.create(core_v1.Pod(metadata=meta, spec=spec))
        binding = core_v1.Binding(
            metadata=meta, target=core_v1.ObjectReference(kind="Node", name="n1")
        )
        assert await client.create(binding, subresource="binding", name="p") == binding
        bound = await client.get(core_v1.Pod, "p", "default")
        assert bound.spec.nodeName == "n1"
        status = core_v1.PodStatus(phase="Running")
        running = await client.update(
            msgspec.structs.replace(bound, status=status), subresource="status"
        )
        assert running.status.phase == "Running"
        eviction = policy_v1.Eviction(metadata=meta)
        assert await client.create(eviction, subresource="eviction", name="p") == eviction
        assert (await client.get(core_v1.Pod, "p", "default")).metadata.deletionTimestamp


async def test_a_watch_gives_what_happens_and_ends_with_its_reader(tmp_path: Path) -> None:
    async with door(tmp_path) as clients:
        client = clients["admin"]
        made = await client.create(configmap("a"))
        start = made.metadata.resourceVersion
        seen = []

        async def read() -> None:
            async for event in client.watch(
                core_v1.ConfigMap, "default", resource_version=start, label_selector="app=a"
            ):
                seen.append((event.type, event.object.metadata.name, event.object.data))
                if event.type == "DELETED":
                    return

        async with background(read()) as reading:
            await client.create(configmap("b"))
            await client.update(msgspec.structs.replace(made, data={"k": "2"}))
            await client.delete(core_v1.ConfigMap, "a", "default")
            async with asyncio.timeout(5):
                await reading
        assert seen == [("MODIFIED", "a", {"k": "2"}), ("DELETED", "a", {"k": "2"})]


async def test_refusals_come_back_as_they_were_raised(tmp_path: Path) -> None:
    async with door(tmp_path) as clients:
        client = clients["admin"]
        made = await client.create(configmap("a"))
        with pytest.raises(StatusError) as again:
            await client.create(configmap("a"))
        assert (again.value.code, again.value.reason) == (409, "AlreadyExists")
        await client.update(msgspec.structs.replace(made, data={"k": "1"}))
        with pytest.raises(StatusError) as stale:
            await client.update(msgspec.structs.replace(made, data={"k": "2"}))
        assert (stale.value.code, stale.value.reason) == (409, "Conflict")
        with pytest.raises(StatusError) as wrong:
            await client.create(configmap("Not_A_Name"))
        assert (wrong.value.code, wrong.value.reason) == (422, "Invalid")
        assert wrong.value.causes[0].field == "metadata.name"
        with pytest.raises(StatusError) as forbidden:
            await clients["nobody"].get(core_v1.ConfigMap, "a", "default")
        assert (forbidden.value.code, forbidden.value.reason) == (403, "Forbidden")
        assert 'User "nobody" cannot get resource "configmaps"' in forbidden.value.message


async def test_a_watch_is_refused_too(tmp_path: Path) -> None:
    async with door(tmp_path) as clients:
        watch = clients["nobody"].watch(core_v1.ConfigMap, "default", resource_version="1")
        with pytest.raises(StatusError) as forbidden:
            await anext(watch)
        assert forbidden.value.code == 403


async def test_an_unknown_resource_is_not_found(tmp_path: Path) -> None:
    async with door(tmp_path) as clients:
        stub = ResourcesStub(clients["admin"].channel)
        request = pb.GetRequest(resource=pb.Resource(version="v1", resource="nonsense"), name="x")
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await stub.Get(request)
        assert status_error(error.value).code == 404


async def test_a_lease_keeps_its_six_digits(tmp_path: Path) -> None:
    async with door(tmp_path) as clients:
        lease = coordination_v1.Lease(
            metadata=meta_v1.ObjectMeta(name="n1", namespace="kube-node-lease"),
            spec=coordination_v1.LeaseSpec(
                holderIdentity="n1", renewTime="2026-01-02T03:04:05.000000Z"
            ),
        )
        made = await clients["admin"].create(lease)
        assert made.spec.renewTime == "2026-01-02T03:04:05.000000Z"


async def test_a_namespace_is_given_where_there_is_one_and_only_there(tmp_path: Path) -> None:
    """A role in a namespace must not authorize what lies in none."""
    async with door(tmp_path) as clients:
        client = clients["admin"]
        role = rbac_v1.Role(
            metadata=meta_v1.ObjectMeta(name="all", namespace="default"),
            rules=[rbac_v1.PolicyRule(apiGroups=["*"], resources=["*"], verbs=["*"])],
        )
        binding = rbac_v1.RoleBinding(
            metadata=meta_v1.ObjectMeta(name="all", namespace="default"),
            roleRef=rbac_v1.RoleRef(apiGroup="rbac.authorization.k8s.io", kind="Role", name="all"),
            subjects=[
                rbac_v1.Subject(apiGroup="rbac.authorization.k8s.io", kind="User", name="nobody")
            ],
        )
        await client.create(role)
        await client.create(binding)
        other = clients["nobody"]
        await other.create(configmap("mine"))
        node = core_v1.Node(metadata=meta_v1.ObjectMeta(name="n1", namespace="default"))
        with pytest.raises(StatusError, match="nodes are not in a namespace"):
            await other.create(node)
        with pytest.raises(StatusError, match="nodes are not in a namespace"):
            await other.list(core_v1.Node, "default")
        with pytest.raises(StatusError, match='User "nobody" cannot create resource "nodes"'):
            await other.create(core_v1.Node(metadata=meta_v1.ObjectMeta(name="n1")))
        with pytest.raises(StatusError, match="configmaps are in a namespace"):
            await client.get(core_v1.ConfigMap, "mine")
        assert len((await client.list(core_v1.ConfigMap)).items) >= 1


class Echo:
    """Answers a create with what was sent, and keeps where it went."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str, str]] = []

    async def create(
        self, user: Any, info: Any, namespace: str, body: bytes, *, subresource: str, name: str
    ) -> bytes:
        self.asked.append((info.resource, namespace, name, subresource))
        return body


async def test_a_token_is_asked_of_its_service_account(tmp_path: Path) -> None:
    operations = Echo()
    async with door(tmp_path, operations) as clients:
        request = authentication_v1.TokenRequest(
            metadata=meta_v1.ObjectMeta(namespace="default"),
            spec=authentication_v1.TokenRequestSpec(audiences=["x"], expirationSeconds=3600),
        )
        answer = await clients["admin"].create(request, subresource="token", name="robot")
        assert answer.spec == request.spec
    assert operations.asked == [("serviceaccounts", "default", "robot", "token")]


class Scripted:
    """Operations that fail or hang as told."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.watching = 0

    async def get(self, *_: Any) -> bytes:
        if self.error is not None:
            raise self.error
        await asyncio.sleep(3600)
        return b""

    async def watch(self, *_: Any, **__: Any) -> AsyncIterator[tuple[str, bytes]]:
        self.watching += 1
        try:
            yield "ADDED", b'{"metadata":{"name":"a"}}'
            if self.error is not None:
                raise self.error
            await asyncio.sleep(3600)
        finally:
            self.watching -= 1


async def test_410_in_the_middle_of_a_watch(tmp_path: Path) -> None:
    gone = StatusError(410, "Expired", "too old resource version: 1 (5)")
    async with door(tmp_path, Scripted(gone)) as clients:
        watch = clients["admin"].watch(core_v1.Pod, resource_version="1")
        assert (await anext(watch)).object.metadata.name == "a"
        with pytest.raises(StatusError) as expired:
            await anext(watch)
        assert (expired.value.code, expired.value.reason) == (410, "Expired")


async def test_a_watcher_that_leaves_is_let_go(tmp_path: Path) -> None:
    operations = Scripted()
    async with door(tmp_path, operations) as clients:
        watch = clients["admin"].watch(core_v1.Pod, resource_version="1")
        await anext(watch)
        assert operations.watching == 1
        await watch.aclose()
        for _ in range(100):
            if not operations.watching:
                return
            await asyncio.sleep(0.01)
        raise AssertionError("the watch goes on without its reader")


async def test_a_defect_is_an_internal_error(tmp_path: Path) -> None:
    async with door(tmp_path, Scripted(ZeroDivisionError("oops"))) as clients:
        with pytest.raises(StatusError, match="Internal error occurred: oops") as error:
            await clients["admin"].get(core_v1.Pod, "x", "default")
        assert (error.value.code, error.value.reason) == (500, "InternalError")


async def test_a_call_that_is_not_answered_ends_at_its_deadline(tmp_path: Path) -> None:
    async with door(tmp_path, Scripted()) as clients:
        hasty = GrpcClient(clients["admin"].channel, timeout_s=0.1)
        with pytest.raises(StatusError) as late:
            await hasty.get(core_v1.Pod, "x", "default")
        assert (late.value.code, late.value.reason) == (504, "Timeout")


async def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    certificates = Certificates.make(tmp_path)
    client = GrpcClient(certificates.channel(1, "node"))
    with pytest.raises(StatusError) as away:
        await client.get(core_v1.Pod, "x", "default")
    assert (away.value.code, away.value.reason) == (503, "ServiceUnavailable")
    await client.close()


async def test_a_status_with_many_causes_still_fits(tmp_path: Path) -> None:
    causes = [Cause("FieldValueInvalid", f"bad thing number {i}", f"f[{i}]") for i in range(500)]
    async with door(tmp_path, Scripted(invalid("Pod", "x", causes))) as clients:
        with pytest.raises(StatusError) as error:
            await clients["admin"].get(core_v1.Pod, "x", "default")
        assert len(error.value.causes) == 500
    too_many = invalid("Pod", "x", causes * 50)
    assert len(refusals.status_trailer(too_many)) < 4096


async def test_only_certificates_of_the_ca_get_in(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    stranger = Certificates.make(tmp_path / "other")
    certificates = Certificates.make(tmp_path / "mine")
    async with grpc_door(certificates, Scripted(), NodeTunnels()) as port:
        for file in stranger.pair("node"):
            file.rename(certificates.folder / f"stranger{file.suffix}")
        client = GrpcClient(certificates.channel(port, "stranger"), timeout_s=2.0)
        with pytest.raises(StatusError) as refused:
            await client.get(core_v1.Pod, "x", "default")
        assert refused.value.code in (503, 504)
        await client.close()


async def test_a_port_that_is_taken_is_said_so(tmp_path: Path) -> None:
    certificates = Certificates.make(tmp_path)
    from controlplane.grpc import server

    async with grpc_door(certificates, Scripted(), NodeTunnels()) as port:
        with pytest.raises(OSError, match="is the port taken"):
            await server.start(
                f"127.0.0.1:{port}",
                *certificates.pair("server"),
                tmp_path / "ca.crt",
                Scripted(),
                NodeTunnels(),
            )


def test_every_status_has_a_code() -> None:
    assert refusals.grpc_code(StatusError(409, "AlreadyExists", "")).name == "ALREADY_EXISTS"
    assert refusals.grpc_code(StatusError(409, "Conflict", "")).name == "ABORTED"
    assert refusals.grpc_code(StatusError(410, "Expired", "")).name == "OUT_OF_RANGE"
    assert refusals.grpc_code(StatusError(418, "", "")).name == "FAILED_PRECONDITION"
    assert refusals.grpc_code(StatusError(599, "", "")).name == "INTERNAL"
