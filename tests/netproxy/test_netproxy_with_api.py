"""The daemon against a real control plane: Services over the API, traffic through the kernel."""

import asyncio
import contextlib
import http.client
import json
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from base import pki
from tests.cni.netlab import Lab, sh
from tests.netproxy.traffic import REFUSED, VIP, Pod, call, world

pytestmark = [pytest.mark.realtime, pytest.mark.needs("root", "iptables")]
ROOT = Path(__file__).parents[2]
NODE = "node-a"
SERVICES = "/api/v1/namespaces/default/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"


class Cluster:
    """A control plane and the proxy, each a process in this test's network namespace."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.pki = root / "data" / "pki"
        self.proxy: subprocess.Popen[bytes] | None = None
        self.control_plane = self._start("controlplane", f"--data-dir={root / 'data'}")

    def _start(self, name: str, *flags: str) -> subprocess.Popen[bytes]:
        code = f"import sys; from {name}.main import main; sys.exit(main(sys.argv[1:]))"
        with (self.root / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-c", code, *flags], stdout=log, stderr=log, cwd=ROOT
            )

    def start_proxy(self, *flags: str) -> None:
        credentials = [
            f"--ca-file={self.pki / 'ca.crt'}",
            f"--cert-file={self.pki / 'proxy.crt'}",
            f"--key-file={self.pki / 'proxy.key'}",
            f"--hostname-override={NODE}",
        ]
        self.proxy = self._start("netproxy", *credentials, *flags)

    def stop_proxy(self, number: int = signal.SIGTERM) -> int:
        assert self.proxy is not None
        self.proxy.send_signal(number)
        return self.proxy.wait(20)

    def request(self, method: str, path: str, body: Any = None) -> Any:
        context = ssl.create_default_context(cafile=str(self.pki / "ca.crt"))
        context.load_cert_chain(self.pki / "admin.crt", self.pki / "admin.key")
        connection = http.client.HTTPSConnection("127.0.0.1", 6443, timeout=10, context=context)
        try:
            headers = {"Content-Type": "application/json"}
            connection.request(method, path, json.dumps(body) if body else None, headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
            assert response.status < 300, answer
            return answer
        finally:
            connection.close()

    def stop(self) -> None:
        for process in (self.proxy, self.control_plane):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(20)

    def log(self) -> str:
        return (self.root / "netproxy.log").read_text()


@contextlib.asynccontextmanager
async def cluster(root: Path) -> AsyncIterator[Cluster]:
    made = Cluster(root)
    try:
        async with asyncio.timeout(30):
            while True:
                assert made.control_plane.poll() is None, (root / "controlplane.log").read_text()
                with contextlib.suppress(OSError, AssertionError):
                    made.request("GET", "/version")
                    break
                await asyncio.sleep(0.05)
        pki.ensure_pki(made.pki, pki.node_and_proxy(NODE, ["192.0.2.1"]), time.time())
        yield made
    finally:
        made.stop()


def web(**spec: Any) -> dict[str, Any]:
    ports = [{"port": 80, "targetPort": 8080, "nodePort": 30080}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"clusterIP": VIP, "type": "NodePort", "ports": ports} | spec,
    }


def slice_body(*pods: Pod) -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "web-1",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "web"},
        },
        "addressType": "IPv4",
        "ports": [{"port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": [pod.address], "nodeName": NODE} for pod in pods],
    }


async def until_answers(expected: str, port: int = 80, address: str = VIP) -> float:
    """Seconds until a call begins its answer so."""
    before = time.monotonic()
    async with asyncio.timeout(20):
        while not (await call(None, address, port, 0.5)).startswith(expected):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return time.monotonic() - before


async def test_a_services_life_over_the_api(node: Lab, tmp_path: Path) -> None:
    async with world(node) as w, cluster(tmp_path) as c:
        a, b = w.pod("a"), w.pod("b")
        c.start_proxy()
        try:
            c.request("POST", SERVICES, web())
            await until_answers(REFUSED)
            c.request("POST", SLICES, slice_body(a))
            await until_answers("a ")
            await until_answers("a ", 30080, "127.0.0.1")
            # While the proxy is dead the rules stay; what it missed it does when it is back.
            assert c.stop_proxy(signal.SIGKILL) == -signal.SIGKILL
            assert (await call(None, VIP, 80)).startswith("a ")
            c.request("PUT", f"{SLICES}/web-1", slice_body(b))
            c.start_proxy()
            await until_answers("b ")
            assert (await call(None, VIP, 80)).startswith("b ")
            # The Service goes, and with it all that was of it.
            c.request("DELETE", f"{SERVICES}/web")
            async with asyncio.timeout(20):
                while VIP in sh("iptables-save"):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            assert c.stop_proxy() == 0
            assert "PINNACE-SERVICES" in sh("iptables-save")
            assert "Traceback" not in c.log(), c.log()
        except (TimeoutError, AssertionError):
            sys.stderr.write(c.log())
            raise


async def test_the_daemon_without_a_control_plane_and_its_pages(node: Lab, tmp_path: Path) -> None:
    """The rules of last time serve on until the API is there again; repairs go on too."""
    async with world(node) as w, cluster(tmp_path) as c:
        a = w.pod("a")
        c.request("POST", SERVICES, web())
        c.request("POST", SLICES, slice_body(a))
        c.start_proxy("--iptables-sync-period=200ms")
        await until_answers("a ")
        c.control_plane.kill()
        c.control_plane.wait(10)
        sh("iptables -t nat -F PINNACE-SERVICES")
        await until_answers("a ")
        pages = {
            path: await fetch("127.0.0.1", port, path)
            for path, port in (("/metrics", 10249), ("/healthz", 10256), ("/proxyMode", 10249))
        }
        assert pages["/proxyMode"].endswith("iptables")
        assert pages["/healthz"].startswith("HTTP/1.1 200 OK")
        assert "kubeproxy_sync_proxy_rules_duration_seconds_count" in pages["/metrics"]
        assert c.stop_proxy() == 0
        assert (await call(None, VIP, 80)).startswith("a ")
        # A proxy that starts now knows nothing and takes nothing away.
        c.start_proxy()
        await asyncio.sleep(1)
        assert (await call(None, VIP, 80)).startswith("a ")
        assert c.proxy is not None
        assert c.proxy.poll() is None


async def fetch(host: str, port: int, path: str) -> str:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    return answer
