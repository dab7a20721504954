"""Pods on a running cluster: from POST to Ready, one at a time and many at once.

    python bench/pods.py [--kubeconfig FILE] [--image IMAGE] [-n 15] [-b 30]

The image must be on the node. Times are taken by one watch, so they hold the whole way: API,
scheduler, agent, runtime, network, status. Prints medians, the slowest, and pods per second.
"""

import argparse
import asyncio
import base64
import ssl
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import yaml

PODS = "/api/v1/namespaces/default/pods"
LIMIT_S = 120.0


def connection(kubeconfig: Path) -> tuple[str, ssl.SSLContext]:
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(
        cadata=base64.b64decode(cluster["certificate-authority-data"]).decode()
    )
    with tempfile.TemporaryDirectory() as directory:  # 0700, and gone again at once
        files = [Path(directory) / name for name in ("cert", "key")]
        for file, field in zip(files, ("certificate", "key"), strict=True):
            file.write_bytes(base64.b64decode(user[f"client-{field}-data"]))
        context.load_cert_chain(*files)
    return cluster["server"], context


class Probe:
    """Creates and deletes pods, and notes when the watch says what of them."""

    def __init__(self, session: aiohttp.ClientSession, image: str) -> None:
        self._session = session
        self._image = image
        self.ready_s: dict[str, float] = {}
        self.gone_s: dict[str, float] = {}
        self._changed = asyncio.Event()

    async def follow(self) -> None:
        async with self._session.get(f"{PODS}?watch=1&resourceVersion=0") as response:
            async for line in response.content:
                event = msgspec.json.decode(line)
                name = event["object"]["metadata"]["name"]
                conditions = event["object"].get("status", {}).get("conditions") or ()
                if event["type"] == "DELETED":
                    self.gone_s.setdefault(name, time.perf_counter())
                elif any(c["type"] == "Ready" and c["status"] == "True" for c in conditions):
                    self.ready_s.setdefault(name, time.perf_counter())
                self._changed.set()

    async def create(self, name: str) -> float:
        container = {
            "name": "c", "image": self._image, "imagePullPolicy": "IfNotPresent",
            "command": ["sleep", "3600"],
        }  # fmt: skip
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
        }
        begun_s = time.perf_counter()
        async with self._session.post(PODS, json=pod) as response:
            if response.status != 201:
                raise SystemExit(f"{name}: {await response.text()}")
        return begun_s

    async def delete(self, name: str) -> None:
        async with self._session.delete(f"{PODS}/{name}") as response:
            await response.read()

    async def until(self, times_s: dict[str, float], name: str) -> float:
        async with asyncio.timeout(LIMIT_S):
            while name not in times_s:
                self._changed.clear()
                await self._changed.wait()
        return times_s[name]


def shown(durations_s: list[float]) -> str:
    return (
        f"p50 {statistics.median(durations_s) * 1000:.0f} ms, max {max(durations_s) * 1000:.0f} ms"
    )


async def run(given: argparse.Namespace) -> None:
    server, context = connection(given.kubeconfig)
    connector = aiohttp.TCPConnector(ssl=context, limit=0)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(server, connector=connector, timeout=timeout) as session:
        probe = Probe(session, given.image)
        following = asyncio.create_task(probe.follow())
        tag = int(time.time())
        await one_by_one(probe, [f"bench-{tag}-{i}" for i in range(given.n)])
        await all_at_once(probe, [f"bench-{tag}-b{i}" for i in range(given.b)])
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def one_by_one(probe: Probe, names: list[str]) -> None:
    started: list[float] = []
    for name in names:
        begun_s = await probe.create(name)
        started.append(await probe.until(probe.ready_s, name) - begun_s)
        await probe.delete(name)
        await probe.until(probe.gone_s, name)
    print(f"one at a time, {len(names)}: {shown(started)}")


async def all_at_once(probe: Probe, names: list[str]) -> None:
    begun: list[Any] = await asyncio.gather(*map(probe.create, names))
    ready = [await probe.until(probe.ready_s, name) for name in names]
    took_s = max(ready) - min(begun)
    starts = [end - begin for begin, end in zip(begun, ready, strict=True)]
    print(f"{len(names)} at once: {shown(starts)}, {len(names) / took_s:.1f} pods/s")
    await asyncio.gather(*map(probe.delete, names))
    for name in names:
        await probe.until(probe.gone_s, name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path("/var/lib/pinnace/admin.kubeconfig")
    parser.add_argument("--kubeconfig", type=Path, default=default)
    parser.add_argument("--image", default="pinnace.local/hello:1")
    parser.add_argument("-n", type=int, default=15, help="pods one at a time")
    parser.add_argument("-b", type=int, default=30, help="pods at once")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
