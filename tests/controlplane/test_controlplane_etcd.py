"""The control plane on an etcd of its own: what it writes is there for etcdctl, and it comes
through the death of either."""

import asyncio
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from base.clock import SystemClock
from controlplane import flags
from controlplane.process import ControlPlane
from tests.controlplane.planes import (
    CONFIGMAPS,
    PODS,
    REPLICASETS,
    Admin,
    configmap,
    eventually,
    replicaset,
)
from tests.controlplane.storebackends import ROOT, Etcd, free_port, grpc_settled

pytestmark = [pytest.mark.realtime, pytest.mark.needs("etcd")]


def arguments(directory: Path, etcd: Etcd) -> list[str]:
    return [
        "--data-dir", str(directory), "--bind-address", "127.0.0.1",
        "--advertise-address", "127.0.0.1",
        "--secure-port", str(free_port()), "--grpc-port", str(free_port()),
        "--etcd-servers", etcd.url, "--leader-elect-lease-duration", "4s",
    ]  # fmt: skip


@asynccontextmanager
async def serving(directory: Path, etcd: Etcd) -> AsyncIterator[Admin]:
    given = flags.parse(arguments(directory, etcd))
    plane = ControlPlane(given, SystemClock(), random.Random())
    await plane.start()
    try:
        yield Admin(given)
    finally:
        await plane.stop()
        await grpc_settled()


def etcdctl(etcd: Etcd, *words: str) -> list[str]:
    command = ["etcdctl", f"--endpoints={etcd.url}", *words]
    done = subprocess.run(
        command, env={"ETCDCTL_API": "3", "PATH": "/usr/bin"}, capture_output=True, timeout=20
    )
    return done.stdout.decode().split()


async def test_objects_outlive_the_control_plane_and_etcd(tmp_path: Path) -> None:
    etcd = Etcd(tmp_path / "etcd")
    etcd.start()
    try:
        async with serving(tmp_path / "one", etcd) as admin:
            for path in ("/readyz/etcd", "/livez/etcd", "/healthz/etcd"):
                assert await admin.ask("GET", path) == (200, "ok")
            for number in range(5):
                assert (await admin.ask("POST", CONFIGMAPS, configmap(f"c{number}")))[0] == 201
                assert f"c{number}" in await admin.names(CONFIGMAPS)
            assert (await admin.ask("POST", CONFIGMAPS, configmap("c0")))[0] == 409
            assert (await admin.ask("DELETE", f"{CONFIGMAPS}/c4"))[0] == 200
            assert (await admin.ask("GET", f"{CONFIGMAPS}/c4"))[0] == 404
            keys = etcdctl(etcd, "get", "--prefix", "--keys-only", "/registry/core/configmaps/")
            assert "/registry/core/configmaps/default/c0" in keys
            assert "/registry/core/configmaps/default/c4" not in keys
            etcd.kill()
            status, text = await admin.ask("GET", "/readyz?verbose")
            assert status == 500
            assert "[-]etcd failed: reason withheld" in text
            etcd.start()
            await eventually(lambda: _is_ready(admin))
            assert (await admin.ask("POST", CONFIGMAPS, configmap("after")))[0] == 201
            assert {"c0", "c1", "c2", "c3", "after"} <= set(await admin.names(CONFIGMAPS))
        async with serving(tmp_path / "one", etcd) as admin:
            assert {"c0", "c1", "c2", "c3", "after"} <= set(await admin.names(CONFIGMAPS))
            assert (await admin.ask("POST", REPLICASETS, replicaset("web", 2)))[0] == 201
            await eventually(lambda: _has_pods(admin, 2))
    finally:
        etcd.kill()


async def _is_ready(admin: Admin) -> bool:
    return (await admin.ask("GET", "/readyz"))[0] == 200


async def _has_pods(admin: Admin, count: int) -> bool:
    return len(await admin.names(PODS)) == count


def start_process(directory: Path, etcd: Etcd) -> subprocess.Popen[bytes]:
    words = arguments(directory / "first", etcd)
    command = [sys.executable, "-m", "cluster.main", "controlplane", *words]
    with (directory / "log").open("wb") as log:
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)


async def test_another_control_plane_takes_over_from_one_that_was_killed(tmp_path: Path) -> None:
    etcd = Etcd(tmp_path / "etcd")
    etcd.start()
    first = start_process(tmp_path, etcd)
    leader = ("get", "--prefix", "--print-value-only", "/pinnace/leaders/")
    try:
        await eventually(lambda: asyncio.to_thread(etcdctl, etcd, *leader))
        before = etcdctl(etcd, *leader)
        async with serving(tmp_path / "second", etcd) as admin:
            assert (await admin.ask("POST", REPLICASETS, replicaset("web", 2)))[0] == 201
            await eventually(lambda: _has_pods(admin, 2))
            assert etcdctl(etcd, *leader) == before
            first.kill()
            first.wait()
            patched = await admin.ask("PATCH", f"{REPLICASETS}/web", {"spec": {"replicas": 4}})
            assert patched[0] == 200
            await eventually(lambda: _has_pods(admin, 4))
            assert etcdctl(etcd, *leader) != before
    finally:
        first.kill()
        first.wait()
        etcd.kill()
